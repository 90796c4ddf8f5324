"""The request that a resumed body answers, in the terms of the library that sent it: httpx or httpx2."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from math import inf
from types import ModuleType
from typing import Any

from attrs import frozen

from streamfold.client.api.credentials import Credentials
from streamfold.client.transport.body import ContentDecoder
from streamfold.client.transport.passage import WatchedSession
from streamfold.client.transport.resumable import Resumable, continuing_headers, read_request
from streamfold.client.transport.transport import Request
from streamfold.errors import (
    ConnectFailed,
    Disconnected,
    IdleTimeout,
    ProtocolViolation,
    TransportError,
    UsageError,
)
from streamfold.session import Call, Patience, is_event_stream

LIBRARIES = frozenset({"httpx", "httpx2"})
# What httpx calls our errors, where an error has no cause of its own.
NAMES: Mapping[type[TransportError], str] = {
    ConnectFailed: "ConnectError",
    IdleTimeout: "ReadTimeout",
    Disconnected: "ReadError",
    ProtocolViolation: "RemoteProtocolError",
}
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


@frozen
class Origin:
    """The first request of a stream. Each library has its own class for it, so its type is not named here."""

    library: ModuleType
    request: Any
    asked: Resumable
    patience: Patience

    @classmethod
    def of(cls, request: Any, patience: Patience) -> "Origin | None":
        """The origin of a stream that this request asks for; None if it asks for something else."""
        body: bytes | None = None
        if type(request.stream).__name__ == "ByteStream":  # a body in memory, and not an upload that is read once
            body = b"".join(request.stream)
        asked = read_request(request.method, str(request.url), body)
        return None if asked is None else cls(library_of(request), request, asked, patience)

    # Requests

    def first_request(self) -> Any:
        """The request as it is sent: not compressed, and without more silence than its stream need bear."""
        if not self.asked.is_sure:
            return self.request
        headers = self.request.headers.copy()
        headers["accept-encoding"] = "identity"
        return self.library.Request(
            self.request.method,
            self.request.url,
            headers=headers,
            stream=self.request.stream,
            extensions=self._extensions() if self.asked.can_resume else self.request.extensions,
        )

    def next_request(self, call: Call, response_id: str) -> Any:
        """The request for a call of the session."""
        headers = continuing_headers(self.request.headers.multi_items(), call)
        url = self.asked.url(call, response_id)
        return self.library.Request("GET", url, headers=headers, extensions=self._extensions())

    def _extensions(self) -> dict[str, Any]:
        """The SDK's own timeouts, but no more silence than `idle_seconds`, which also bounds what the SDK leaves unbounded."""
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
            hide=self.credentials.hide,
        )

    @property
    def credentials(self) -> Credentials:
        """What must not be shown."""
        headers = tuple(self.request.headers.multi_items())
        return Credentials(Request(method=self.request.method, url=str(self.request.url), headers=headers))

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
