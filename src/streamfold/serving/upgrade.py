"""A connection that stops speaking HTTP: what the server hands over, and what it asks of the one that takes it."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

from attrs import field, frozen

__all__ = ["OpenConnection", "Upgrade", "UpgradeRequest"]


class OpenConnection(Protocol):
    """A connection that the server counts, watches and ends, whatever is spoken on it."""

    @property
    def transport(self) -> asyncio.Transport:
        """The client's side."""
        ...

    def look(self, now: float) -> None:
        """End the connection if its client has used up its time. now: seconds of `time.monotonic`."""
        ...

    def shutdown(self) -> None:
        """The server is about to end: finish what is being done, then close."""
        ...


@frozen(kw_only=True)
class UpgradeRequest:
    """A request to upgrade, and the connection that it came on.

    Attributes:
        method: Of the request line, as the target is.
        target: Path and query, as they were sent.
        headers: In their order, names in lower case.
        rest: What came after the head.
        transport: The client's side. Give it a protocol.
        connections: Every open connection of the server. Add yours, and take it out when it is lost.
    """

    method: bytes
    target: bytes = field(repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    rest: bytes = field(repr=False)
    transport: asyncio.Transport
    connections: set[OpenConnection] = field(repr=False)


Upgrade: TypeAlias = Callable[[UpgradeRequest], None]
"""Takes over a connection whose client asked for a WebSocket."""
