"""All checks, and how to run them. Rules 3 to 8 are here: how a transport closes, waits and treats what it was given."""

import ssl
import zlib
from collections.abc import Callable

import anyio
from attrs import evolve

from streamfold.check import Check, Suite
from streamfold.client.conformance.delivery import DELIVERY
from streamfold.client.conformance.site import (
    EVENTS,
    LAST_CHUNK,
    MAX_SECONDS,
    SHORT_SECONDS,
    FaultyServer,
    Setup,
    Wire,
    chunk,
    error_of,
    head,
    must_be_one_of,
    must_let_go,
    open_and_leave,
    read,
    settle,
)
from streamfold.client.transport.transport import Reply, Request, Transport
from streamfold.errors import Disconnected

CHECKS: Suite[Setup] = Suite(DELIVERY, max_seconds=MAX_SECONDS)
"""The checks by name: the number of the rule, and what must hold."""


async def first_event_then_silence(wire: Wire) -> None:
    await wire.send(head() + chunk(EVENTS[0]))
    await wire.gone()


@CHECKS.enter("3: leaving without reading closes the socket")
async def leave_unread(setup: Setup) -> None:
    async with setup.serve(first_event_then_silence) as server:
        await open_and_leave(setup, server)
        await must_let_go(server)


@CHECKS.enter("3: leaving after a break closes the socket")
async def leave_after_break(setup: Setup) -> None:
    async with setup.serve(first_event_then_silence) as server:
        async with setup.open(server) as reply:
            async for _ in reply.chunks():
                break
        await must_let_go(server)


@CHECKS.enter("3: leaving by an exception closes the socket, and the exception is the reader's own")
async def leave_by_exception(setup: Setup) -> None:
    class Mine(Exception):
        pass

    async def attempt(server: FaultyServer) -> None:
        async with setup.open(server) as reply:
            async for _ in reply.chunks():
                raise Mine

    async with setup.serve(first_event_then_silence) as server:
        error = await error_of(attempt(server))
        assert type(error) is Mine, f"the reader's own exception must come through, not {error!r}"
        await must_let_go(server)


@CHECKS.enter("3: a cancellation while reading closes the socket")
async def cancel_reading(setup: Setup) -> None:
    async with setup.serve(first_event_then_silence) as server:
        with anyio.CancelScope() as scope:
            async with setup.open(server) as reply:
                async for _ in reply.chunks():
                    scope.cancel()
        assert scope.cancelled_caught, "a cancellation must not be swallowed"
        await must_let_go(server)


@CHECKS.enter("3: a cancellation while waiting for the head closes the socket")
async def cancel_waiting(setup: Setup) -> None:
    asked = anyio.Event()

    async def story(wire: Wire) -> None:
        asked.set()
        await wire.gone()

    async with setup.serve(story) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_and_leave, setup, server)
            await asked.wait()
            tasks.cancel_scope.cancel()
        await must_let_go(server)


# -- rule 4, 5 and 6 -----------------------------------------------------------------------------------------------


def no_buffering_check(encoded: Callable[[], Callable[[bytes], bytes]], **fields: str) -> Check[Setup]:
    """Each event is sent only after the one before it was read."""

    async def run(setup: Setup) -> None:
        may_send = [anyio.Event() for _ in range(4)]

        async def story(wire: Wire) -> None:
            encode = encoded()
            await wire.send(head(**fields))
            for event, may in zip(EVENTS, may_send, strict=False):
                await may.wait()
                await wire.send(chunk(encode(event)))
            await wire.send(LAST_CHUNK)
            await wire.gone()

        may_send[0].set()
        got = bytearray()
        async with setup.serve(story) as server, setup.open(server) as reply:
            async for piece in reply.chunks():
                got += piece
                if (done := got.count(b"\n\n")) < len(may_send):
                    may_send[done].set()
        assert bytes(got) == b"".join(EVENTS[:4]), "every event, decoded"

    return run


def flushed(window: int) -> Callable[[], Callable[[bytes], bytes]]:
    def begin() -> Callable[[bytes], bytes]:
        deflate = zlib.compressobj(wbits=window)
        return lambda data: deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)

    return begin


CHECKS.enter("4: an event can be read before the next is sent")(no_buffering_check(lambda: bytes))
CHECKS.enter("4: a flushed event in gzip is decoded at once")(no_buffering_check(flushed(31), content_encoding="gzip"))
CHECKS.enter("4: a flushed event in deflate is decoded at once")(
    no_buffering_check(flushed(15), content_encoding="deflate")
)


@CHECKS.enter("5: a redirect is a reply, and is not followed")
async def redirect(setup: Setup) -> None:
    async def story(wire: Wire) -> None:
        fields = {"location": "/elsewhere", "transfer_encoding": "", "content_length": "0", "connection": "close"}
        await wire.send(head("307 Temporary Redirect", **fields))
        await wire.gone()

    async with setup.serve(story) as server:
        for number, (method, body) in enumerate((("POST", b"{}"), ("GET", None)), 1):
            async with setup.open(server, method=method, body=body) as reply:
                await read(reply, bytearray())
            assert reply.status == 307, f"the status is 307, not {reply.status}"
            assert len(server.wires) == number, "a redirect must not be followed"


@CHECKS.enter("6: a reply may last longer than any silence allowed")
async def long_reply(setup: Setup) -> None:
    async def story(wire: Wire) -> None:
        await wire.send(head())
        for event in EVENTS[:10]:
            await anyio.sleep(SHORT_SECONDS / 3)
            await wire.send(chunk(event))
        await wire.send(LAST_CHUNK)
        await wire.gone()

    got = bytearray()
    async with setup.serve(story) as server, setup.open(server, idle=SHORT_SECONDS) as reply:
        await read(reply, got)
    assert bytes(got) == b"".join(EVENTS[:10]), "a living reply must be read to its end"


# -- rule 7 and 8 --------------------------------------------------------------------------------------------------


@CHECKS.enter("7: headers are sent as they were given, and stay as they were")
async def headers_untouched(setup: Setup) -> None:
    async def story(wire: Wire) -> None:
        await wire.send(head(transfer_encoding="", content_length="0"))
        await wire.gone()

    given = [("accept", "text/event-stream"), ("Authorization", "Bearer key"), ("x-one", "1"), ("x-one", "2")]
    request = Request(method="POST", url="", headers=tuple(given), body=b'{"model":"m"}')
    async with setup.serve(story) as server:
        request = evolve(request, url=server.url)
        async with setup.transport.open(request) as reply:
            await read(reply, bytearray())
    wire = server.wires[0]
    assert list(request.headers) == given, "the caller's headers must not be changed"
    sent = [tuple(line.split(": ", 1)) for line in wire.head.decode().split("\r\n")[1:]]
    values = {
        name: sorted(value for each, value in sent if each.lower() == name) for name in ("authorization", "x-one")
    }
    assert values == {"authorization": ["Bearer key"], "x-one": ["1", "2"]}, f"the headers that came: {sent}"
    assert wire.body == b'{"model":"m"}', f"the body that came: {wire.body!r}"


@CHECKS.enter("7: a URL is sent as it was encoded")
async def url_untouched(setup: Setup) -> None:
    async def story(wire: Wire) -> None:
        await wire.send(head(transfer_encoding="", content_length="0", connection="close"))
        await wire.gone()

    path = "v1/responses/a%2F%2E%2E%3D%3D%25%20%C3%B6%3F%23?x=%2F%26&y=a%20b"
    async with (
        setup.serve(story) as server,
        setup.transport.open(Request(method="GET", url=server.url + path)) as reply,
    ):
        await read(reply, bytearray())
    line = server.wires[0].head.partition(b"\r\n")[0].decode()
    assert line == f"GET /{path} HTTP/1.1", f"an id may hold any character, so the path must stay encoded: {line}"


@CHECKS.enter("8: abort ends a pending read")
async def abort_pending(setup: Setup) -> None:
    is_reading = anyio.Event()
    errors: list[Exception | None] = []

    async def attempt(reply: Reply) -> None:
        async for _ in reply.chunks():
            is_reading.set()

    async def run(reply: Reply) -> None:
        errors.append(await error_of(attempt(reply)))

    async with setup.serve(first_event_then_silence) as server:
        async with setup.open(server) as reply, anyio.create_task_group() as tasks:
            tasks.start_soon(run, reply)
            await is_reading.wait()
            await settle()  # the reader waits for more
            await reply.abort()
            await reply.abort()
        await must_let_go(server)
    if errors[0] is not None:
        must_be_one_of(errors[0], Disconnected)


@CHECKS.enter("8: a read after an abort ends too")
async def abort_before(setup: Setup) -> None:
    async with setup.serve(first_event_then_silence) as server, setup.open(server) as reply:
        await reply.abort()
        error = await error_of(read(reply, bytearray()))
    if error is not None:
        must_be_one_of(error, Disconnected)


async def check(transport: Transport, name: str | None = None, *, tls: ssl.SSLContext | None = None) -> None:
    """Run one check, or all of them, on a transport. It starts servers on 127.0.0.1, and takes some seconds.

    Args:
        transport: The transport to check.
        name: One of CHECKS; None for all.
        tls: A server's context, for a certificate of 127.0.0.1 that the transport trusts: the checks run over https.

    Raises:
        AssertionError: The first rule that is broken.
        KeyError: There is no check of this name.
    """
    for each in CHECKS if name is None else (name,):
        await CHECKS.run(each, Setup(transport, tls))
