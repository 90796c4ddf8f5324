"""What a call gives back: its body collected and typed, or the error that a bad answer becomes."""

from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Generic, TypeVar

import anyio
from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder

from streamfold.client.api.credentials import Credentials
from streamfold.client.transport.transport import Reply, Request
from streamfold.errors import (
    GatewayError,
    IdleTimeout,
    MalformedBody,
    ProtocolViolation,
    RequestRefused,
    TransportError,
    UnexpectedAnswer,
)
from streamfold.schema import is_usable_id, read_head
from streamfold.session import Answer, is_event_stream

Entry = TypeVar("Entry")

REFUSAL_SECONDS = 5.0  # how long to wait for the words of an error status
MAX_REFUSAL_BYTES = 1024 * 1024  # and how many of them to keep
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FIELDS = (b"", b"data", b"event", b"id", b"retry")  # of an event stream; a comment has no name
MAX_OPENING_BYTES = 1024  # of white space, before a body without content type is taken for no event stream

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
_decode_fields = Decoder(dict[str, Raw]).decode
NULL = Raw(b"null")
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


async def collect(reply: Reply, request: Request, *, max_body_bytes: int) -> Answer:
    """The whole answer, in which a refusal repeats no credential of the request.

    An error status keeps its meaning even if its body breaks off, never comes, or is too large. A body must be complete
    within the request's idle timeout, because a server that drips is never silent.

    Raises:
        ProtocolViolation: The body is larger than `max_body_bytes`.
        TransportError: The body of a success breaks off.
    """
    is_refusal = not 200 <= reply.status < 300
    seconds = min(request.idle_timeout_seconds, REFUSAL_SECONDS if is_refusal else inf)
    limit = min(max_body_bytes, MAX_REFUSAL_BYTES if is_refusal else max_body_bytes)
    pieces: list[bytes] = []
    try:
        with anyio.move_on_after(seconds) as waiting:
            await _read(reply, pieces, limit)
        if waiting.cancelled_caught:
            raise IdleTimeout(f"no complete answer within {seconds:g} seconds")
    except TransportError:
        if not is_refusal:  # its status and headers say enough, Retry-After among them
            raise
    body = b"".join(pieces)
    if is_refusal or not body.lstrip().startswith((b"{", b"[")):  # else it is what was asked for, and stays as it is
        return _hidden(Answer(reply.status, reply.headers, body), Credentials(request))
    return Answer(reply.status, reply.headers, body)


async def _read(reply: Reply, pieces: list[bytes], limit: int) -> None:
    size = 0
    async for chunk in reply.chunks():
        size += len(chunk)
        if size > limit:
            raise ProtocolViolation(f"the body is larger than {limit:,} bytes")
        pieces.append(chunk)


def _hidden(answer: Answer, credentials: Credentials) -> Answer:
    headers = {name: credentials.hide(value) for name, value in answer.headers.items()}
    return Answer(answer.status, headers, credentials.hide_bytes(answer.body))


def bad_answer(answer: Answer, request: Request, *, expected: str) -> GatewayError:
    """The error for an answer to this request that is not what was expected."""
    credentials = Credentials(request)
    answer = _hidden(answer, credentials)
    words = answer.error
    if answer.is_success and not is_error(answer):
        kind = answer.headers.get("content-type", "")
        error: GatewayError = UnexpectedAnswer(expected, answer.status, kind, answer.request_id, answer.excerpt)
    else:
        error = RequestRefused(answer.status, words.message, words.code, words.param, answer.request_id, answer.excerpt)
    return error.during(request.method, credentials.hide(request.url))


def is_error(answer: Answer) -> bool:
    """Whether the body is an error, whatever the status says: some gateways answer 200 with `{"error": ...}`."""
    try:
        fields = _decode_fields(answer.body)
    except NOT_DECODED:
        return False
    return fields.get("error", NULL) != NULL and not fields.keys() & {"id", "data"}


def names_response(answer: Answer) -> bool:
    """Whether the answer to a POST for a stream is the Response itself, whose id is then followed."""
    head = read_head(answer.body) if answer.is_success and answer.is_json else None
    return head is not None and head.status is not None and is_usable_id(head.id)


# A reply without a content type. RFC 9110 (8.3) lets the reader look at the body then, and servers that people write by
# hand leave the header out. A reply with another type stays what it says.


def begins_as_stream(data: bytes) -> bool | None:
    """Whether a body begins as an event stream; None if more of it must be seen."""
    start = data.removeprefix(BYTE_ORDER_MARK).lstrip()
    if start and not BYTE_ORDER_MARK.startswith(data):
        name, is_whole, _ = start.partition(b":")
        if is_whole or not any(each.startswith(start) for each in FIELDS):
            return name in FIELDS
    return None if len(data) < MAX_OPENING_BYTES else False


class UnlabelledReply:
    """A reply without a content type, and its own chunks: the first of them was read to see what it is.

    A class, because a generator that is left in the middle must be closed by its event loop, and trio warns of that.
    """

    def __init__(self, reply: Reply) -> None:
        self.status: int = reply.status
        self.headers: Mapping[str, str] = reply.headers
        self._reply = reply
        self._rest = reply.chunks()
        self._opening = b""

    async def is_event_stream(self, *, seconds: float) -> bool:
        """Read as much as it takes to see whether it is an event stream.

        Raises:
            TransportError: The connection failed before that, or nothing to be seen arrived in this time.
        """
        verdict: bool | None = None
        with anyio.move_on_after(seconds) as waiting:
            async for chunk in self._rest:
                self._opening += chunk
                verdict = begins_as_stream(self._opening)
                if verdict is not None:
                    break
        if waiting.cancelled_caught:
            raise IdleTimeout(f"no event within {seconds:g} seconds")
        return bool(verdict)

    def chunks(self) -> "UnlabelledReply":
        return self

    def __aiter__(self) -> "UnlabelledReply":
        return self

    async def __anext__(self) -> bytes:
        if self._opening:
            opening, self._opening = self._opening, b""
            return opening
        return await self._rest.__anext__()

    async def aclose(self) -> None:
        """Close what it reads, if that can be closed, as a generator can."""
        close: Callable[[], Awaitable[None]] | None = getattr(self._rest, "aclose", None)
        if close is not None:
            await close()

    async def abort(self) -> None:
        await self._reply.abort()


async def seen(reply: Reply, request: Request) -> tuple[Reply, bool]:
    """The reply to read from, and whether it is an event stream.

    Raises:
        TransportError: It has no content type, and the connection failed before its body showed what it is.
    """
    if reply.status != 200 or reply.headers.get("content-type", "").strip():
        return reply, is_event_stream(reply.status, reply.headers)
    unlabelled = UnlabelledReply(reply)
    return unlabelled, await unlabelled.is_event_stream(seconds=request.idle_timeout_seconds)
