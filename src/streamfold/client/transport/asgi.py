"""A transport into an ASGI application of the same process: no sockets, and the same guarantees as over a network.

The application runs as a task of its own. It cannot send faster than the reader reads, it gets `http.disconnect` when the
reader leaves, and an exception in it ends the reply as a broken connection would.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from streamfold.client.transport.body import ReplyBody, join_header
from streamfold.client.transport.failure import sentence
from streamfold.client.transport.timing import ABORTED, IdleGuard, spawn
from streamfold.client.transport.transport import Reply, Request
from streamfold.errors import Disconnected, InvalidArgument, without_credentials

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

SENT_AFTER_LEAVING = "the client has gone"


class AsgiTransport:
    """A Transport into an ASGI application. It does not run the application's lifespan.

    Args:
        app: The ASGI application.
        grace_seconds: How long the application may continue after its reader left and it got `http.disconnect`. Then
            its task is cancelled.
    """

    holds_no_scope: ClassVar[bool] = True

    def __init__(self, app: App, *, grace_seconds: float = 5.0) -> None:
        self._app = app
        self._grace_seconds = grace_seconds
        self._running: set[AppCall] = set()

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        """Call the application; the context gives its reply."""
        call = AppCall(self._app, request)
        self._running.add(call)

        async def run() -> None:
            try:
                await call.run()
            finally:
                self._running.discard(call)

        spawn(run)
        reply = AsgiReply(call, idle_seconds=request.idle_timeout_seconds)
        try:
            await reply.begin()
            yield reply
        finally:
            try:
                await reply.aclose()
            finally:
                call.leave(grace_seconds=self._grace_seconds)

    async def aclose(self) -> None:
        """Cancel every call that is still running, and wait until it is over."""
        for call in list(self._running):
            call.leave(grace_seconds=0)
            await call.finished.wait()


# Two tasks and a channel. The reader's task opens the reply and reads; the application's task, which `spawn` starts outside
# of any task group, runs the app. A task group would tie both to the block that opened the reply, and a reader that is a
# generator may leave that block in another task. What ends the application's task is `leave`, in three ways:
#
#     the reader read everything     the app returns by itself; the grace time never strikes
#     the reader left early          `receive` gives http.disconnect, `send` raises OSError, and after `grace_seconds`
#                                    the task is cancelled
#     the transport is closed        the same with no grace, and `aclose` waits until the task has ended


class AppCall:
    """One call of the application, from the application's side."""

    def __init__(self, app: App, request: Request) -> None:
        self._app = app
        self._scope = scope_of(request)
        self._body: bytes | None = request.body or b""
        # A buffer of 0: `send` returns only when the reader has taken the bytes, so a slow reader holds the sender back.
        self.parts: MemoryObjectReceiveStream[bytes]
        self._sender, self.parts = anyio.create_memory_object_stream[bytes](0)
        self._task = anyio.CancelScope()
        self._left = anyio.Event()
        self.head: anyio.Event = anyio.Event()
        self.finished: anyio.Event = anyio.Event()
        self.status: int = 0
        self.headers: dict[str, str] = {}
        self.is_whole: bool = False
        self.failure: Exception | None = None

    async def run(self) -> None:
        """Run it to its end. What it raises is kept for the reader."""
        try:
            with self._task:
                await self._app(self._scope, self._receive, self._send)
        except Exception as error:
            self.failure = error
        finally:
            self._sender.close()
            self.head.set()
            self.finished.set()

    def leave(self, *, grace_seconds: float) -> None:
        """The reader has left: the application gets `http.disconnect`, and then the grace time."""
        self._left.set()
        self.parts.close()
        self._task.deadline = anyio.current_time() + grace_seconds

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._left.is_set():
            raise OSError(SENT_AFTER_LEAVING)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            for name, value in message.get("headers", ()):
                join_header(self.headers, name, value)
            self.head.set()
        elif message["type"] == "http.response.body":
            if body := message.get("body", b""):
                try:
                    await self._sender.send(body)
                except anyio.BrokenResourceError as error:
                    raise OSError(SENT_AFTER_LEAVING) from error
            if not message.get("more_body", False):
                self.is_whole = True
                self._sender.close()
                return
            await anyio.lowlevel.checkpoint()


class AsgiReply:
    """What an application answers, as a Reply."""

    def __init__(self, call: AppCall, *, idle_seconds: float) -> None:
        self._call = call
        self._guard = IdleGuard(idle_seconds=idle_seconds)
        self._body = ReplyBody(self._read)

    @property
    def status(self) -> int:
        return self._call.status

    @property
    def headers(self) -> dict[str, str]:
        return self._call.headers

    async def begin(self) -> None:
        """Wait for the head of the reply, which comes before any of the body."""
        await self._guard.wait(self._call.head.wait)
        if not self.status:
            raise self._cut_short("before it answered")

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, content-decoded, cut as it was sent."""
        return self._body.chunks(self.headers.get("content-encoding", ""))

    async def abort(self) -> None:
        self._guard.end()
        self._body.end()

    async def aclose(self) -> None:
        """End the reading."""
        self._guard.end()
        await self._body.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield await self._guard.wait(self._call.parts.receive)
        except anyio.EndOfStream:
            pass
        except anyio.ClosedResourceError as error:  # closed by a leave that came before this wait had its scope
            raise Disconnected(ABORTED) from error
        if not self._call.is_whole:
            await self._call.finished.wait()
            raise self._cut_short("in the middle of its answer")

    def _cut_short(self, where: str) -> Disconnected:
        error = self._call.failure
        failure = Disconnected(f"the application ended {where}" + (f": {sentence(error)}" if error else ""))
        failure.__cause__ = error
        return failure


def scope_of(request: Request) -> Message:
    """The ASGI scope of a request.

    Raises:
        InvalidArgument: The URL has no scheme or no host.
    """
    parts = urlsplit(request.url)
    if not parts.scheme or not parts.hostname:
        shown = without_credentials(request.url)
        raise InvalidArgument("url", f"must begin with http:// or https:// and a host, not {shown!r}")
    fields = list(request.headers)
    if all(name.lower() != "host" for name, _ in fields):
        fields.insert(0, ("host", parts.netloc))
    if request.body is not None:
        fields.append(("content-length", str(len(request.body))))
    path = parts.path or "/"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": parts.scheme,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in fields],
        "client": ("127.0.0.1", 0),
        "server": (parts.hostname, parts.port or 80),
        "extensions": {},
    }
