"""Between a state and the API's Response: show a state as a Response, or let a Response replace a state's."""

from msgspec import Raw
from msgspec.json import Decoder

from streamfold.errors import MalformedBody
from streamfold.fold.response import take_answer
from streamfold.fold.state import GrowingText, State, settled
from streamfold.fold.tree import Object, encode, opened
from streamfold.schema import UNDECODABLE, Response, decode_response, well_formed

_decode_object = Decoder(dict[str, Raw]).decode


def snapshot_json(state: State) -> bytes:
    """Return the Response as JSON: every field that the server sent, known or not, as it was spelled.

    `output` holds the items folded so far. If nothing was folded, it is what the server sent, which may be null or
    absent. A state that never saw a Response (a stream read from its middle) has no field except `output`.
    """
    document = settled(state)
    if document.head is not None and not document.output:
        return encode(document.head)
    head = opened(document.head)
    fields = head if isinstance(head, Object) else Object()
    return encode(Object({**fields, "output": document.output}))


def snapshot(state: State) -> Response:
    """Return the Response as a typed value. The names of fields that do not validate are in its `rejected`."""
    return decode_response(snapshot_json(state))


def with_response(state: State, response: bytes) -> State:
    """Return the state with a Response that came outside the stream, such as the answer to a GET or a cancel.

    Every field becomes the Response's; the cursor stays. Law 7 applies as it does to a terminal event: folded items
    stay where the Response has less, for example after a cancel whose answer has an empty output. Once the Response is
    terminal, later events change nothing.

    Raises:
        MalformedBody: The bytes are not a JSON object.
    """
    data = well_formed(response)
    try:
        _decode_object(data)
    except UNDECODABLE as error:
        raise MalformedBody("Response", str(error)) from error
    document = take_answer(settled(state), Raw(data), state.cursor or 0)
    return State(state.cursor, GrowingText(document))
