"""Which requests ask for the stream of a response, and the requests that continue such a stream.

No I/O. A request is recognized by its path, under any prefix: a POST of `…/responses` whose body has `"stream": true`, and a
GET of `…/responses/{id}?stream=true`.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from math import inf
from types import ModuleType
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from attrs import evolve, frozen
from msgspec import Raw
from msgspec.json import Decoder

from streamfold.client.api.arguments import resolve_dialect
from streamfold.client.api.credentials import IDEMPOTENCY_KEY, Credentials
from streamfold.client.api.request import EVENT_STREAM, JSON
from streamfold.client.transport.body import ContentDecoder
from streamfold.client.transport.lookout import WatchedSession
from streamfold.client.transport.transport import Request
from streamfold.errors import (
    ConnectFailed,
    Disconnected,
    IdleTimeout,
    ProtocolViolation,
    TransportError,
    UsageError,
)
from streamfold.schema import UNDECODABLE, Dialect, is_usable_id, promotion
from streamfold.session import Call, Cancel, Connect, Patience, is_event_stream

COLLECTION = "/responses"
TRUE = frozenset({"true", "1"})
# What describes the body of the first request, or how it is carried: a GET that continues its stream has none of it.
LEFT_OUT = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "transfer-encoding",
        IDEMPOTENCY_KEY,
    }
)
_decode_fields = Decoder(dict[str, Raw]).decode
_decode_names = Decoder(list[str]).decode


@frozen(kw_only=True)
class Resumable:
    """A request for the stream of a response.

    Attributes:
        collection: The URL of all responses, without its query.
        response_id: The id of the response; None if the request creates it.
        starting_after: The sequence number that the request asks to begin after.
        is_background: Whether the response is created to run in the background; None if that is not known.
        is_sure: Whether it asks for a stream. If its body cannot be read before it is sent, only the answer shows that.
        query: What every request that continues the stream has in its query.
        stream_query: What is added where the stream itself is asked for.
    """

    collection: str
    response_id: str | None = None
    starting_after: int | None = None
    is_background: bool | None = None
    is_sure: bool = True
    query: tuple[tuple[str, str], ...] = ()
    stream_query: tuple[tuple[str, str], ...] = ()

    @property
    def can_resume(self) -> bool:
        """Whether its stream outlives a connection, as far as the request says."""
        return self.response_id is not None or self.is_background is True

    def url(self, call: Call, response_id: str) -> str:
        """The URL of a call: a GET that continues the stream or retrieves the response, or the POST of a cancel."""
        query = [*self.query]
        if isinstance(call, Connect):
            query += [("stream", "true"), *self.stream_query]
            if call.starting_after is not None:
                query.append(("starting_after", str(call.starting_after)))
        asked = f"?{urlencode(query, quote_via=quote)}" if query else ""
        cancel = "/cancel" if isinstance(call, Cancel) else ""
        return f"{self.collection}/{quote(response_id, safe='')}{cancel}{asked}"


def read_request(method: str, url: str, body: bytes | None) -> Resumable | None:
    """Return what a request asks for; None if it is not for the stream of a response.

    Args:
        method: The HTTP method.
        url: Absolute, with its query.
        body: The body; None if it cannot be read before it is sent.
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if method == "POST" and path.endswith(COLLECTION):
        return _read_create(parts, path, body)
    parent, _, segment = path.rpartition("/")
    if method == "GET" and parent.endswith(COLLECTION) and is_usable_id(unquote(segment)):
        return _read_get(parts, parent, unquote(segment))
    return None


def _read_create(parts: SplitResult, path: str, body: bytes | None) -> Resumable | None:
    fields = _fields_of(body)
    if body is not None and fields.get("stream") != Raw(b"true"):
        return None
    collection = _url(parts, path)
    pads = _fields_of(fields.get("stream_options")).get("include_obfuscation")
    padding = [] if pads is None else [("include_obfuscation", bytes(pads).decode())]
    name = dialect_of(parts).include_parameter or "include"
    return Resumable(
        collection=collection,
        is_background=None if body is None else fields.get("background") == Raw(b"true"),
        is_sure=body is not None,
        query=(*_pairs_of(parts), *((name, value) for value in _names_in(fields.get("include")))),
        stream_query=tuple(padding),
    )


def _read_get(parts: SplitResult, path: str, response_id: str) -> Resumable | None:
    asked = dict(_pairs_of(parts))
    after = asked.get("starting_after", "")
    if asked.get("stream", "").lower() not in TRUE or (after and not after.isdecimal()):
        return None
    of_stream = {"stream", "starting_after", "include_obfuscation"}
    return Resumable(
        collection=_url(parts, path),
        response_id=response_id,
        starting_after=int(after) if after else None,
        query=tuple(pair for pair in _pairs_of(parts) if pair[0] not in of_stream),
        stream_query=tuple(pair for pair in _pairs_of(parts) if pair[0] == "include_obfuscation"),
    )


def continuing_headers(headers: Iterable[tuple[str, str]], call: Call) -> list[tuple[str, str]]:
    """The headers of a GET that continues the stream: those of the first request, without what belongs to its body."""
    kept = [(name, value) for name, value in headers if name.lower() not in LEFT_OUT]
    accept = EVENT_STREAM if isinstance(call, Connect) else JSON
    return [*kept, ("accept", accept), ("accept-encoding", "identity")]


def _pairs_of(parts: SplitResult) -> list[tuple[str, str]]:
    return parse_qsl(parts.query, keep_blank_values=True)


def _url(parts: SplitResult, path: str) -> str:
    return f"{parts.scheme}://{parts.netloc}{path}"


def dialect_of(parts: SplitResult) -> Dialect:
    """The dialect that the URL of a create looks like."""
    host = parts.netloc.rpartition("@")[2]
    base = parts.path.rstrip("/").removesuffix(COLLECTION)
    return resolve_dialect(None, base_url=f"{parts.scheme}://{host}{base}")


def _fields_of(value: bytes | Raw | None) -> Mapping[str, Raw]:
    try:
        return _decode_fields(value or b"")
    except UNDECODABLE:
        return {}


def _names_in(value: Raw | None) -> list[str]:
    try:
        return _decode_names(value or b"[]")
    except UNDECODABLE:
        return []


# The same in the terms of the library that sends the request

LIBRARIES = frozenset({"httpx", "httpx2"})
# What httpx calls our errors, where an error has no cause of its own.
NAMES: Mapping[type[TransportError], str] = {
    ConnectFailed: "ConnectError",
    IdleTimeout: "ReadTimeout",
    Disconnected: "ReadError",
    ProtocolViolation: "RemoteProtocolError",
}
RESPONSE = b'"response"'
DATA = b"data:"
# What describes the first connection's body, which is not the one that is read.
OF_ONE_BODY = frozenset({b"content-encoding", b"content-length"})


def library_of(request: object) -> ModuleType:
    """The library whose Request this is.

    Raises:
        UsageError: It is of neither httpx nor httpx2.
    """
    for kind in type(request).__mro__:
        if (name := kind.__module__.partition(".")[0]) in LIBRARIES:
            return import_module(name)
    raise UsageError(f"ResumingTransport carries requests of httpx and httpx2, not {type(request).__name__}")


def _demoted(line: bytes, promoted: promotion.Promoted) -> bytes:
    """A line of a frame, whose Response is not promoted."""
    if not line.startswith(DATA):
        return line
    data = line.removeprefix(DATA).lstrip(b" ")
    return line.removesuffix(data) + promotion.demote_event(data, promoted)


@frozen
class StreamRequest:
    """The first request of a stream. Each library has its own class for it, so its type is not named here.

    Attributes:
        promoted: The create that is sent instead of the one that was given.
    """

    library: ModuleType
    request: Any
    asked: Resumable
    patience: Patience
    promoted: promotion.Promotion | None = None

    @classmethod
    def of(cls, request: Any, patience: Patience, promote: promotion.PromoteMode = "never") -> "StreamRequest | None":
        """The stream that a request asks for; None if it asks for something else."""
        body: bytes | None = None
        if type(request.stream).__name__ == "ByteStream":  # a body in memory, and not an upload that is read once
            body = b"".join(request.stream)
        url = str(request.url)
        asked = read_request(request.method, url, body)
        if asked is None:
            return None
        promoted = None
        if body and asked.response_id is None:
            promoted = promotion.promote_create(body, promote, dialect_of(urlsplit(url)))
        if promoted is not None:
            asked = evolve(asked, is_background=True)
        return cls(library_of(request), request, asked, patience, promoted)

    # Requests

    def first_request(self) -> Any:
        """The request as it is sent: not compressed, and without more silence than its stream need bear."""
        if not self.asked.is_sure:
            return self.request
        # A body that is not compressed can be passed on byte for byte, and a server that compresses a stream may hold events
        # back. The request is a copy, because the SDK keeps its own for a retry.
        headers = self.request.headers.copy()
        headers["accept-encoding"] = "identity"
        stream = self.request.stream
        if self.promoted is not None:
            headers["content-length"] = str(len(self.promoted.body))
            stream = self.library.ByteStream(self.promoted.body)
        return self.library.Request(
            self.request.method,
            self.request.url,
            headers=headers,
            stream=stream,
            extensions=self._extensions() if self.asked.can_resume else self.request.extensions,
        )

    def next_request(self, call: Call, response_id: str) -> Any:
        """The request for a call of the session."""
        headers = continuing_headers(self.request.headers.multi_items(), call)
        url = self.asked.url(call, response_id)
        method = "POST" if isinstance(call, Cancel) else "GET"
        return self.library.Request(method, url, headers=headers, extensions=self._extensions())

    def as_asked(self, frames: bytes) -> bytes:
        """Whole frames as the reader asked for them: not promoted."""
        if self.promoted is None or RESPONSE not in frames:
            return frames
        return b"\n".join([_demoted(line, self.promoted.promoted) for line in frames.split(b"\n")])

    def _extensions(self) -> dict[str, Any]:
        """The SDK's own timeouts, but no more silence than `idle_seconds`, which also bounds what the SDK leaves unbounded."""
        # openai's SDK waits ten minutes for a byte. A stream that can be resumed need not: asking again costs little, and
        # silence is all that a dead connection behind a NAT ever shows.
        seconds = self.patience.idle_seconds
        given: dict[str, float | None] = self.request.extensions.get("timeout") or {}
        bounded = {name: min(given.get(name) or inf, seconds) for name in ("connect", "read", "write")}
        return {**self.request.extensions, "timeout": {"pool": None, **given, **bounded}}

    # The session

    def session(self, *, random: Callable[[], float], now: float) -> WatchedSession:
        """The session that watches the stream, which is open."""
        asked = self.asked
        return WatchedSession(
            asked.response_id,
            random=random,
            now=now,
            starting_after=asked.starting_after,
            patience=self.patience,
            is_connected=True,
            is_background=asked.is_background,
            hide=self.hide,
        )

    def hide(self, text: str) -> str:
        """The text without the credentials of the request."""
        headers = tuple(self.request.headers.multi_items())
        request = Request(method=self.request.method, url=str(self.request.url), headers=headers)
        return Credentials(request).hide(text)

    # The answer

    def can_continue(self, response: Any) -> bool:
        """Whether an answer is a stream that we can read."""
        if not is_event_stream(response.status_code, response.headers):
            return False
        try:
            ContentDecoder(response.headers.get("content-encoding", ""))
        except ProtocolViolation:
            return False
        return True

    def answer(self, response: Any, body: Any) -> Any:
        """The answer that the client gets: the first one's head, and a body that is continued."""
        headers = [pair for pair in response.headers.raw if pair[0].lower() not in OF_ONE_BODY]
        return self.library.Response(response.status_code, headers=headers, stream=body, extensions=response.extensions)

    # Errors

    def error(self, error: Exception) -> Exception:
        """What the library itself would have raised for a failure."""
        cause: BaseException = error
        while isinstance(cause, TransportError) and cause.__cause__ is not None:
            cause = cause.__cause__
        own = [NAMES[kind] for kind in type(error).__mro__ if kind in NAMES]
        theirs = [] if isinstance(cause, TransportError) else [kind.__name__ for kind in type(cause).__mro__]
        made: Exception = self._class_of([*theirs, *own])(str(cause))
        return made

    def _class_of(self, names: Iterable[str]) -> Any:
        """The first of these that is an error of the library for a request."""
        library: Any = self.library
        for name in names:
            kind = getattr(library, name, None)
            if isinstance(kind, type) and issubclass(kind, library.RequestError):
                return kind
        return library.ReadError

    def cut_short(self, reason: str) -> Exception:
        """The error for a stream that ended, cleanly or not, where it must not."""
        made: Exception = self.library.RemoteProtocolError(reason)
        return made
