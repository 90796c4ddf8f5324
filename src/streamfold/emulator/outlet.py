"""One answer on its way out: written as it should be, or as its faults want it.

In      a head, events, comments, a body; and the Disturbance of the answer
Out     ASGI messages, one for each write; through a Wire, what ASGI has no message for
Units   seconds
Errors  ConnectionCut once a fault has ended the connection
Source  docs/reference/emulator.md
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol, TypeAlias

from anyio import sleep_forever

from streamfold.chaos import Act, Cut, Disturbance, How, Send, Wait, Where
from streamfold.emulator.clock import Clock
from streamfold.emulator.journal import Journal, Visit
from streamfold.errors import GatewayError
from streamfold.sse import Frame, encode_comment

__all__ = ["ConnectionCut", "Message", "Outlet", "Wire"]

Message: TypeAlias = MutableMapping[str, Any]
KEEP_ALIVE = encode_comment()
PART_OF_A_CHUNK_HEADER = b"1f"


class ConnectionCut(GatewayError):
    """A fault ended the connection. It leaves the application where the server offers no Wire, which ends it too."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how: str = how

    def __str__(self) -> str:
        return f"the connection was cut by a fault ({self.how})"


class Wire(Protocol):
    """The connection itself, which a server may offer in `scope["extensions"]["streamfold.wire"]`."""

    def write(self, data: bytes) -> None:
        """Bytes beneath the framing of HTTP."""
        ...

    def close(self) -> None:
        """A FIN, after what was written."""
        ...

    def reset(self) -> None:
        """A RST."""
        ...


class Outlet:
    """Where one answer is written to."""

    def __init__(
        self,
        send: Callable[[Message], Awaitable[None]],
        disturbance: Disturbance,
        *,
        wire: Wire | None,
        clock: Clock,
        journal: Journal,
        visit: Visit,
    ) -> None:
        self._send = send
        self._disturbance = disturbance
        self._wire = wire
        self._clock = clock
        self._journal = journal
        self._visit = visit
        self.last_write: float = clock.now()

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """The head. A compressed body has no length that could be told."""
        told = dict(headers)
        if encoding := self._disturbance.encoding:
            told = {name: value for name, value in told.items() if name != "content-length"}
            told["content-encoding"] = encoding
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
        self._visit.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        await self._carry_out(self._disturbance.open())

    async def event(self, name: str, data: bytes) -> None:
        """One event, in one write."""
        self._visit.events += 1
        await self._carry_out(self._disturbance.frame(Frame(event=name.encode(), data=data)))

    async def keep_alive(self) -> None:
        """A comment, for a client that would take silence for death."""
        await self._carry_out(self._disturbance.data(KEEP_ALIVE))

    async def body(self, data: bytes) -> None:
        """A body that is no stream."""
        await self._carry_out(self._disturbance.data(data))

    async def finish(self) -> None:
        """The end, in order."""
        await self._carry_out(self._disturbance.close())
        self._journal.end(self._visit, "complete")  # before the last write: a server may then say that the client left
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def cut(self, how: How, where: Where) -> None:
        """End the connection. Where there is a Wire, never returns: whoever watches for the client's leaving ends it.

        Raises: ConnectionCut, where there is none.
        """
        self._journal.end(self._visit, "cut")
        if self._wire is not None:
            if where == Where.CHUNK:
                self._wire.write(PART_OF_A_CHUNK_HEADER)
            if how == How.RST:
                self._wire.reset()
            else:
                self._wire.close()
            await sleep_forever()
        raise ConnectionCut(how)

    async def _carry_out(self, acts: Iterable[Act]) -> None:
        for act in acts:
            match act:
                case Send(data):
                    self.last_write = self._clock.now()
                    await self._send({"type": "http.response.body", "body": data, "more_body": True})
                case Wait(seconds):
                    await self._clock.wait(seconds)
                case Cut(how, where):
                    await self.cut(how, where)
