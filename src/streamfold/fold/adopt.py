"""A state takes over a Response that came outside the stream: the answer to a GET, or to a cancel.

In      a State, and the Response's JSON
Out     a State at the same cursor, which shows that Response
Errors  MalformedBody for bytes that are no JSON object
Source  law 7 in docs/explanation/laws.md: it holds for such a Response as for a terminal event's
"""

from msgspec import MsgspecError, Raw
from msgspec.json import Decoder

from streamfold.errors import MalformedBody
from streamfold.fold.state import Focus, State, settled
from streamfold.fold.steps import take_snapshot, take_terminal
from streamfold.schema import ResponseCompleted, is_terminal_status, well_formed

__all__ = ["with_response"]

_decode_object = Decoder(dict[str, Raw]).decode


def with_response(state: State, response: bytes) -> State:
    """The state with this Response for its own: every field is the Response's, the cursor stays.

    Folded items are kept where the Response has none, as after a cancel that is answered with an empty output. Once
    the Response is terminal, later events change nothing.
    Raises: MalformedBody if the bytes are no JSON object; the state stays as it was.
    """
    data = well_formed(response)
    try:
        _decode_object(data)
    except (MsgspecError, RecursionError) as error:
        raise MalformedBody("Response", str(error)) from error
    at = state.cursor or 0
    event = ResponseCompleted(response=Raw(data))
    document = take_snapshot(settled(state), event, at)
    if is_terminal_status(document.status):
        document = take_terminal(settled(state), event, at)
    return State(state.cursor, Focus(document))
