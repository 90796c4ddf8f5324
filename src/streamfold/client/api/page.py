"""Lists and deletions, as the gateway answers them.

In      the bytes of a body
Out     Page, Deleted
Units   entries
Errors  MalformedBody
Source  protocol reference 8
"""

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder

from streamfold.errors import MalformedBody

__all__ = ["Deleted", "Page", "decode_deleted", "decode_page"]


class Page(Struct, frozen=True, kw_only=True):
    """One page of a list. data: the JSON of each entry, as it was sent; `decode_response` and `decode_batch` read it."""

    data: tuple[Raw, ...]
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None


class Deleted(Struct, frozen=True, kw_only=True):
    """What was deleted."""

    id: str
    deleted: bool = True


_decode_page = Decoder(Page).decode
_decode_deleted = Decoder(Deleted).decode


def decode_page(data: bytes) -> Page:
    """The page in a body.

    Raises: MalformedBody.
    """
    try:
        return _decode_page(data)
    except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBody("list", str(error)) from error


def decode_deleted(data: bytes) -> Deleted:
    """The deletion in a body.

    Raises: MalformedBody.
    """
    try:
        return _decode_deleted(data)
    except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBody("deletion", str(error)) from error
