"""One stream that is open, between the task that holds it and the task that reads it.

In      a Reply that is a stream, and the call that it answers
Out     its chunks; the word that it is let go of
Units   bytes
Errors  what the transport raises
Source  docs/explanation/client.md
"""

from collections.abc import Awaitable, Callable

import anyio

from streamfold.client.transport.transport import Reply
from streamfold.session import Connect

__all__ = ["Connection"]


class Connection:
    """A stream. call: what it answers. next_chunk: waits for the next bytes; StopAsyncIteration at the end."""

    def __init__(self, call: Connect, reply: Reply) -> None:
        self.call = call
        self._reply = reply
        self._chunks = reply.chunks()
        # The reply's own method, bound once: nothing of ours stands between the reader and the socket.
        self.next_chunk: Callable[[], Awaitable[bytes]] = self._chunks.__anext__
        self._is_let_go = anyio.Event()
        self._is_read = False

    def let_go(self, *, is_read: bool) -> None:
        """Have it closed. is_read: whether a task waits for its next chunk just now."""
        self._is_read = is_read
        self._is_let_go.set()

    async def leave(self) -> None:
        """Called by a reader whose read ended after it was let go of: nobody else could close what was being read."""
        close: Callable[[], Awaitable[None]] | None = getattr(self._chunks, "aclose", None)  # a generator's
        if close is not None:
            await close()

    async def wait_until_let_go(self) -> None:
        """Hold it open till then; a read that is pending is ended."""
        await self._is_let_go.wait()
        if self._is_read:
            await self._reply.abort()
