"""The connection between a client and what it talks to: a proxy that watches the streams, and may cut them.

It reads raw HTTP, so what passes is not changed: it counts frames by their blank lines, and looks for the terminal
event. A blank line of a head or of a chunk ends with a carriage return; one of a stream does not.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream
from attrs import define

from streamfold.chaos import Drop, How, Where
from tests.servers.cutting import BROKEN, close, pass_on
from tests.servers.program import HOST

STREAM = re.compile(rb"content-type:\s*text/event-stream", re.IGNORECASE)
TERMINAL = re.compile(rb'data:.*"type":\s?"response\.(?:completed|failed|incomplete|cancelled)"')
INTO_THE_FRAME = 60  # bytes: a chunk's head, and the beginning of the event


@define
class Seen:
    """One stream that passed. frames: How many were whole. has_end: Whether the terminal event was among them."""

    frames: int = 0
    has_end: bool = False


class Watch:
    """Reads the answers of one connection.

    Args:
        seen: Where the streams of all connections are recorded.
        drop: Where a stream is cut, and how many streams are.
    """

    def __init__(self, seen: list[Seen], drop: Drop | None = None) -> None:
        self._seen = seen
        self._drop = drop
        self._stream: Seen | None = None
        self._is_last = False  # the frame that is passing has the terminal event
        self._line = b""
        self._left: int | None = None  # bytes that pass before the cut

    def feed(self, chunk: bytes) -> tuple[bytes, bool]:
        """What to pass on of a chunk, and whether to cut after it."""
        if self._left is None:
            self._left = self._find_cut(chunk)
        if self._left is None:
            return chunk, False
        passed = chunk[: self._left]
        self._left -= len(passed)
        return passed, not self._left

    def _find_cut(self, chunk: bytes) -> int | None:
        """Where the cut is, counted from the beginning of the chunk; maybe after its end."""
        begin = 0
        while at := chunk.find(b"\n", begin) + 1:
            is_frame = self._end_line(self._line + chunk[begin:at])
            self._line, begin = b"", at
            if is_frame and self._is_due():
                return at + (INTO_THE_FRAME if self._drop and self._drop.where is Where.FRAME else 0)
        self._line += chunk[begin:]
        return None

    def _end_line(self, line: bytes) -> bool:
        """Read one line. Returns: whether a frame ends with it."""
        if STREAM.match(line):
            self._stream, self._is_last = Seen(), False
            self._seen.append(self._stream)
        elif self._stream is None:
            return False
        elif TERMINAL.match(line):
            self._is_last = True
        elif line == b"\n":
            self._stream.frames += 1
            self._stream.has_end |= self._is_last
            return True
        return False

    def _is_due(self) -> bool:
        drop = self._drop
        if drop is None or self._stream is None or self._stream.frames != drop.after_events:
            return False
        return drop.times is None or len(self._seen) <= drop.times


class Link:
    """A proxy in front of a port.

    Attributes:
        url: Where it listens, without a path.
        seen: The streams that passed, in their order. Clear it, and `times` of the cut counts again.
        drop: The cut that it makes, in connections that begin from now on; None for none.
    """

    def __init__(self, target: int, drop: Drop | None = None) -> None:
        self.url: str = ""
        self.seen: list[Seen] = []
        self.drop: Drop | None = drop
        self._target = target

    async def serve(self, client: SocketStream) -> None:
        """Pass one connection on, until it ends or is cut."""
        async with client:
            with suppress(OSError):  # nothing listens there
                async with await anyio.connect_tcp(HOST, self._target) as server, anyio.create_task_group() as group:
                    group.start_soon(_ask, client, server)
                    await self._answer(server, client)
                    group.cancel_scope.cancel()

    async def _answer(self, server: SocketStream, client: SocketStream) -> None:
        watch = Watch(self.seen, self.drop)
        try:
            async for chunk in server:
                passed, is_cut = watch.feed(chunk)
                await client.send(passed)
                if is_cut and self.drop:
                    close(client, self.drop.how)
                    return
        except BROKEN:  # as it broke there, it breaks here
            with suppress(*BROKEN):
                close(client, How.RST)


async def _ask(client: SocketStream, server: SocketStream) -> None:
    await pass_on(client, server)
    with suppress(*BROKEN):
        await server.send_eof()  # the client has left


@asynccontextmanager
async def link(target: int, drop: Drop | None = None) -> AsyncIterator[Link]:
    """A proxy in front of a port of the loopback, as long as the block lasts."""
    proxy = Link(target, drop)
    async with await anyio.create_tcp_listener(local_host=HOST) as listener, anyio.create_task_group() as group:
        proxy.url = f"http://{HOST}:{listener.extra(SocketAttribute.local_port)}"
        group.start_soon(listener.serve, proxy.serve)
        yield proxy
        group.cancel_scope.cancel()
