"""A relay's passthrough on a real socket, in front of a scripted upstream."""

import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio

from streamfold.client.conformance.site import FaultyServer, Story, Wire, serve
from streamfold.relay import Origin, Passthrough
from tests.emulator.rawclient import Raw
from tests.serving.running import serving, talk

LAST = "connection: close"


@asynccontextmanager
async def passing(
    story: Story, *, limits: dict[str, Any] | None = None, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncGenerator[tuple[str, FaultyServer], None]:
    """The URL of a passthrough, and its upstream, each of whose connections lives the same story."""
    async with serve(story, tls=tls) as upstream:
        app = Passthrough(Origin.of(upstream.url), **options)

        @asynccontextmanager
        async def running() -> AsyncGenerator[None, None]:
            try:
                yield
            finally:
                await app.aclose()

        with serving(app, running=running, limits=limits or {}, log="streamfold.relay") as url:
            yield url, upstream


def says(*pieces: bytes) -> Story:
    """Sends these, and hangs up."""

    async def story(wire: Wire) -> None:
        for piece in pieces:
            await wire.send(piece)

    return story


def ask(target: str = "/", *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request, as bytes."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "host: relay", *headers, "", ""]).encode() + body


async def answer(story: Story, *sent: bytes, **options: Any) -> Raw:
    """What a client gets for these bytes."""
    async with passing(story, **options) as (url, _):
        return await talk(url, *sent)


@contextmanager
def deaf(answer: bytes) -> Generator[str]:
    """An upstream that reads a head, answers, and then reads nothing: by a plain socket, whose buffers are small."""
    is_over = threading.Event()

    def serve_one() -> None:
        with listener.accept()[0] as stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += stream.recv(1)
            stream.sendall(answer)
            is_over.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_one)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            is_over.set()
            thread.join()


async def flood(stream: anyio.abc.ByteStream) -> int:
    """Send for a second; how many bytes were taken."""
    sent = 0
    with anyio.move_on_after(1):
        while sent < 1_000_000_000:
            await stream.send(bytes(100_000))
            sent += 100_000
    return sent
