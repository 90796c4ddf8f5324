"""What the fold reads of a Response: its status and its output. All else stays unread.

In      the JSON of a Response
Out     a Glance
Errors  what is in UNDECODABLE, for JSON that is no object or is nested too deep
Source  `response` in docs/reference/response.md
"""

from msgspec import Raw, Struct
from msgspec.json import Decoder

from streamfold.fold.tree import NULL, Array, text_of
from streamfold.schema import UNDECODABLE

__all__ = ["Glance", "glance_at"]


class Glance(Struct, frozen=True, gc=False):
    """status: None where it is no text, or an empty one. output: empty where it is no array, or an empty one."""

    status: str | None
    output: Array


class _Status(Struct, gc=False):
    status: Raw = NULL


class _StatusAndOutput(_Status, gc=False):
    output: list[Raw] | None = None


_decode_both = Decoder(_StatusAndOutput).decode
_decode_status = Decoder(_Status).decode


def glance_at(response: Raw) -> Glance:
    """The Response's status and output, each read where it is of its type.

    Raises: what is in UNDECODABLE, if the Response is no object.
    """
    output: list[Raw] | None = None
    try:
        both = _decode_both(response)
        status, output = both.status, both.output
    except UNDECODABLE:
        status = _decode_status(response).status  # the output is no array, or else this raises too
    text = text_of(status)
    return Glance(str(text) or None if text is not None else None, Array(enumerate(output or ())))
