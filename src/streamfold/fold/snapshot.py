"""A state shown as the API's Response: typed, or as JSON with every field the server sent.

In      a State
Out     JSON bytes, or a Response
Errors  none: a state that has seen nothing is a Response with an empty output
Source  docs/reference/response.md
"""

from streamfold.fold.state import State, settled
from streamfold.fold.tree import Object, encode, opened
from streamfold.schema import Response, decode_response

__all__ = ["snapshot", "snapshot_json"]


def snapshot_json(state: State) -> bytes:
    """The Response as JSON bytes: every field that the server sent, known or not, in its own spelling.

    `output` holds the items folded so far; where there are none, it is what the server sent, be it null or absent.
    A state that never saw a Response (a stream read from its middle) has no field but `output`.
    """
    document = settled(state)
    if document.head is not None and not document.output:
        return encode(document.head)
    head = opened(document.head)
    fields = head if isinstance(head, Object) else Object()
    return encode(Object({**fields, "output": document.output}))


def snapshot(state: State) -> Response:
    """The Response as a typed value. A field that does not validate is named in its `rejected`."""
    return decode_response(snapshot_json(state))
