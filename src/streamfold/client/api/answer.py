"""What a call gives back: its body collected and typed, or the error that a bad answer becomes."""

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder

from streamfold.client.transport.transport import Reply, Request
from streamfold.errors import (
    GatewayError,
    MalformedBody,
    ProtocolViolation,
    RequestRefused,
    TransportError,
    UnexpectedAnswer,
)
from streamfold.session import Answer, ErrorWords

Entry = TypeVar("Entry")

# Bodies of the API itself are decoded by `streamfold.schema`, which salvages what it can, and so are the entries of a page: a
# field that does not fit costs neither its entry nor the others. The two below belong to single calls and are small, so a
# body that does not fit is an error.


class Page(Struct, Generic[Entry], frozen=True, kw_only=True):
    """One page of a list.

    Attributes:
        data: The entries: Responses, Batches or items.
        raw: The JSON of each entry, as it was sent.
        has_more: Whether another page follows: ask for it with `after=page.last_id`.
        first_id: The id of the first entry.
        last_id: The id of the last entry.
    """

    data: tuple[Entry, ...]
    raw: tuple[bytes, ...] = ()
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None


class Deleted(Struct, frozen=True, kw_only=True):
    """The gateway's word that a response was deleted."""

    id: str
    deleted: bool = True


_decode_page = Decoder(Page[Raw]).decode
_decode_deleted = Decoder(Deleted).decode
NOT_DECODED = (MsgspecError, UnicodeDecodeError, RecursionError)


def decode_page(data: bytes, decode_entry: Callable[[bytes], Entry]) -> Page[Entry]:
    """The page in a body.

    Raises:
        MalformedBody: The body is not a list of the API.
    """
    try:
        page = _decode_page(data)
        raw = tuple(map(bytes, page.data))
        return Page(
            data=tuple(map(decode_entry, raw)),
            raw=raw,
            has_more=page.has_more,
            first_id=page.first_id,
            last_id=page.last_id,
        )
    except (*NOT_DECODED, MalformedBody) as error:
        raise MalformedBody("list", str(error)) from error


def decode_deleted(data: bytes) -> Deleted:
    """The deletion in a body.

    Raises:
        MalformedBody: The body is not a deletion of the API.
    """
    try:
        return _decode_deleted(data)
    except NOT_DECODED as error:
        raise MalformedBody("deletion", str(error)) from error


async def collect(reply: Reply, *, max_body_bytes: int) -> Answer:
    """The whole answer. An error status keeps its meaning even if its body breaks off.

    Raises:
        ProtocolViolation: The body is larger than `max_body_bytes`.
        TransportError: The body of a success breaks off.
    """
    pieces: list[bytes] = []
    size = 0
    is_refusal = reply.status >= 400
    try:
        async for chunk in reply.chunks():
            size += len(chunk)
            if size > max_body_bytes:
                raise ProtocolViolation(f"the body is larger than {max_body_bytes:,} bytes")
            pieces.append(chunk)
    except TransportError:
        if not is_refusal:  # its status and headers say enough, Retry-After among them
            raise
    return Answer(reply.status, reply.headers, b"".join(pieces))


def bad_answer(answer: Answer, request: Request, *, expected: str) -> GatewayError:
    """The error for an answer to this request that is not what was expected."""
    if answer.is_success:
        kind = answer.headers.get("content-type", "")
        error: GatewayError = UnexpectedAnswer(expected, answer.status, kind, answer.request_id, answer.excerpt)
    else:
        words = ErrorWords.of(answer.body)
        error = RequestRefused(answer.status, words.message, words.code, words.param, answer.request_id, answer.excerpt)
    return error.during(request.method, request.url)
