"""A server in a thread, and a raw client of it."""

import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio

from streamfold.serving import Application, AsgiServer, ConnectionLimits, listen, url_of
from tests.emulator.rawclient import Raw, read


@asynccontextmanager
async def nothing() -> AsyncGenerator[None]:
    yield


@contextmanager
def serving(app: Application, **how: Any) -> Generator[str]:
    """A server in a thread of its own; what it logs goes to `streamfold.tests`."""
    how = {"running": nothing, "log": "streamfold.tests", **how, "limits": ConnectionLimits(**how.get("limits", {}))}
    with listen("127.0.0.1", 0) as listener:
        server = AsgiServer(app, listener, **how)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield url_of(listener)
        finally:
            server.stop()
            thread.join()


async def talk(url: str, *sent: bytes) -> Raw:
    """Send, and read until the server closes."""
    raw = Raw()
    with anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream:
            for each in sent:
                await stream.send(each)
            while raw.end == "open":
                await read(stream, raw)
    return raw
