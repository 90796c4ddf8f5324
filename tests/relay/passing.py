"""A relay's passthrough on a real socket, in front of a scripted upstream."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from streamfold.client.conformance.site import FaultyServer, Story, Wire, serve
from streamfold.relay import Origin, Passthrough
from tests.emulator.rawclient import Raw
from tests.serving.running import serving, talk

LAST = "connection: close"


@asynccontextmanager
async def passing(
    story: Story, *, limits: dict[str, Any] | None = None, **options: Any
) -> AsyncGenerator[tuple[str, FaultyServer], None]:
    """The URL of a passthrough, and its upstream, each of whose connections lives the same story."""
    async with serve(story) as upstream:
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
