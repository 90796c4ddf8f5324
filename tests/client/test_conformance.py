"""Each rule catches a transport that breaks it, so that no check passes by checking nothing."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import attrs
import pytest

from streamfold.check import Suite
from streamfold.client.conformance import CHECKS, check
from streamfold.client.conformance.site import Setup
from streamfold.client.transport.direct import DirectTransport
from streamfold.client.transport.transport import Reply, Request
from streamfold.errors import TransportError

pytestmark = pytest.mark.anyio


class Wrapped:
    """A reply that passes everything on; each fault below changes one thing."""

    def __init__(self, reply: Reply) -> None:
        self.reply, self.status, self.headers = reply, reply.status, reply.headers

    def chunks(self) -> AsyncIterator[bytes]:
        return self.reply.chunks()

    async def abort(self) -> None:
        await self.reply.abort()


class Transparent:
    """A transport that passes everything on."""

    reply: type[Wrapped] = Wrapped

    def __init__(self) -> None:
        self.inner = DirectTransport()

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        async with self.inner.open(request) as reply:
            yield self.reply(reply)

    async def aclose(self) -> None: ...


class Loses(Transparent):
    class reply(Wrapped):
        async def chunks(self) -> AsyncGenerator[bytes, None]:
            last = b""
            async for chunk in self.reply.chunks():
                yield last
                last = chunk
            yield last


class SpeaksItsOwnWords(Transparent):
    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        try:
            async with self.inner.open(request) as reply:
                yield reply
        except TransportError as error:
            raise RuntimeError("own words") from error


class Keeps(Transparent):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[AbstractAsyncContextManager[Reply]] = []

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        self.kept.append(self.inner.open(request))
        yield await self.kept[-1].__aenter__()

    async def aclose(self) -> None:
        for each in self.kept:
            await each.__aexit__(None, None, None)


class HoldsBack(Transparent):
    class reply(Wrapped):
        async def chunks(self) -> AsyncGenerator[bytes, None]:
            yield b"".join([chunk async for chunk in self.reply.chunks()])


class SendsAgain(Transparent):
    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        try:
            async with self.inner.open(request) as reply:
                yield reply
        except TransportError:
            async with self.inner.open(request) as reply:
                yield reply


class IsInAHurry(Transparent):
    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        with anyio.fail_after(0.5):
            async with self.inner.open(request) as reply:
                yield reply


class ChangesHeaders(Transparent):
    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        async with self.inner.open(attrs.evolve(request, headers=tuple(dict(request.headers).items()))) as reply:
            yield reply


class ChangesThePath(Transparent):
    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        async with self.inner.open(attrs.evolve(request, url=request.url.replace("%2E", "."))) as reply:
            yield reply


class DecodesNothing(Transparent):
    class reply(Wrapped):
        def chunks(self) -> AsyncIterator[bytes]:
            return self.reply._body.chunks("")  # type: ignore[attr-defined]


class IsDeaf(Transparent):
    class reply(Wrapped):
        async def abort(self) -> None: ...


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        (Loses, "1: a reader gets everything before a FIN between chunks"),
        (Loses, "1: a slow reader gets everything before an RST"),
        (SpeaksItsOwnWords, "2: a refused connection is ConnectFailed"),
        (SpeaksItsOwnWords, "2: a head that never comes is IdleTimeout"),
        (Keeps, "3: leaving after a break closes the socket"),
        (Keeps, "3: leaving without reading closes the socket"),
        (HoldsBack, "4: an event can be read before the next is sent"),
        (SendsAgain, "2: a FIN before the head is Disconnected, and nothing is sent again"),
        (IsInAHurry, "6: a reply may last longer than any silence allowed"),
        (ChangesHeaders, "7: headers are sent as they were given, and stay as they were"),
        (ChangesThePath, "7: a URL is sent as it was encoded"),
        (IsDeaf, "8: abort ends a pending read"),
        (DecodesNothing, "9: a body under content-encoding 'GZIP' is decoded"),
        (DecodesNothing, "9: content-encoding 'br', which nobody asked for, is a ProtocolViolation"),
        (DecodesNothing, "9: a body that ends inside its gzip data is read as far as it goes"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else value[:1],
)
async def test_a_broken_transport_is_caught(
    broken: type[Transparent], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfold.client.conformance.site.PATIENCE_SECONDS", 0.25)
    monkeypatch.setattr(CHECKS, "_max_seconds", 0.5)
    transport = broken()
    with pytest.raises((AssertionError, TimeoutError)):
        await check(transport, name)
    await transport.aclose()


async def test_a_transport_that_passes_everything_on_passes() -> None:
    await check(Transparent(), "8: abort ends a pending read")


async def test_without_a_name_every_check_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[str] = []
    few: Suite[Setup] = Suite(max_seconds=1.0)
    for name in ("one", "two"):

        async def note(site: object, name: str = name) -> None:
            run.append(name)

        few.enter(name)(note)
    monkeypatch.setattr("streamfold.client.conformance.suite.CHECKS", few)
    await check(DirectTransport())
    assert run == ["one", "two"]


def test_every_rule_has_a_check() -> None:
    assert {name[0] for name in CHECKS if name[1] == ":"} == set("123456789")
