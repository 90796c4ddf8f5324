"""Rules 1 and 2: all that was received is handed over, and then one of four errors.

In      a Site
Out     DELIVERY: the checks by name
Errors  AssertionError
Source  streamfold.client.transport.transport
"""

import anyio

from streamfold.client.conformance.faults import Story, Wire, chunk, head
from streamfold.client.conformance.site import (
    BODY,
    CHUNKS,
    EVENTS,
    SHORT_SECONDS,
    Check,
    Site,
    enter,
    failure_of,
    gone,
    must_be,
    open_and_leave,
    read,
    settle,
)
from streamfold.client.transport.transport import Reply
from streamfold.errors import ConnectFailed, Disconnected, IdleTimeout, ProtocolViolation, TransportError

__all__ = ["DELIVERY"]

DELIVERY: dict[str, Check] = {}


async def fin(wire: Wire) -> None:
    await wire.hang_up()


async def fin_inside_a_chunk(wire: Wire) -> None:
    await wire.send(b"ff\r\n")
    await wire.hang_up()


async def rst(wire: Wire) -> None:
    await wire.reset()


async def bad_chunk(wire: Wire) -> None:
    await wire.send(b"no number\r\n")


async def silence(wire: Wire) -> None:
    return


ENDINGS: dict[str, tuple[Story, tuple[type[TransportError], ...]]] = {
    "a FIN between chunks": (fin, (Disconnected,)),
    "a FIN inside a chunk": (fin_inside_a_chunk, (Disconnected,)),
    "an RST": (rst, (Disconnected,)),
    "a bad chunk size": (bad_chunk, (ProtocolViolation, Disconnected)),
    "silence": (silence, (IdleTimeout,)),
}


def delivery_check(ending: Story, allowed: tuple[type[TransportError], ...], *, is_slow: bool) -> Check:
    """300 events, a write each, then the ending. A slow reader looks away while all of it arrives."""

    async def run(site: Site) -> None:
        told = anyio.Event()

        async def story(wire: Wire) -> None:
            await wire.send(head())
            # An RST takes along what the kernel has not sent, and it sends ten segments before it waits.
            for part in [CHUNKS] if ending is rst else map(chunk, EVENTS):
                await wire.send(part)
            await ending(wire)
            told.set()
            await wire.gone()

        got = bytearray()

        async def read_slowly(reply: Reply) -> None:
            async for piece in reply.chunks():
                got.extend(piece)
                if is_slow and not told.is_set():
                    await told.wait()
                    await settle()

        async with site.serve(story) as server, site.open(server, idle=SHORT_SECONDS) as reply:
            error = await failure_of(read_slowly(reply))
        assert bytes(got) == BODY, f"{got.count(b'event:')} of {len(EVENTS)} events came before the failure"
        must_be(error, *allowed)

    return run


for _ending, (_story, _allowed) in ENDINGS.items():
    for _is_slow in (False, True):
        _reader = "a slow reader" if _is_slow else "a reader"
        DELIVERY[f"1: {_reader} gets everything before {_ending}"] = delivery_check(_story, _allowed, is_slow=_is_slow)


@enter(DELIVERY, "1: a body shorter than its content-length is told")
async def short_length(site: Site) -> None:
    async def story(wire: Wire) -> None:
        await wire.send(head(transfer_encoding="", content_length="1000") + EVENTS[0])

    got = bytearray()
    async with site.serve(story) as server, site.open(server) as reply:
        error = await failure_of(read(reply, got))
    assert bytes(got) == EVENTS[0], "what came before the end must be handed over"
    must_be(error, Disconnected)


@enter(DELIVERY, "2: a refused connection is ConnectFailed")
async def refused(site: Site) -> None:
    async with site.serve(silence) as server:
        pass
    must_be(await failure_of(open_and_leave(site, server)), ConnectFailed)


def no_head_check(story: Story, *allowed: type[TransportError]) -> Check:
    """Nothing that is a head comes: a typed failure, and one request, whatever the method."""

    async def run(site: Site) -> None:
        for method, body in (("GET", None), ("POST", b"{}")):
            async with site.serve(story) as server:
                error = await failure_of(open_and_leave(site, server, idle=SHORT_SECONDS, method=method, body=body))
            must_be(error, *allowed)
            assert len(server.wires) == 1, f"a {method} was sent {len(server.wires)} times"

    return run


async def garbage(wire: Wire) -> None:
    await wire.send(b"good morning\r\n\r\n")
    await wire.gone()


DELIVERY["2: a FIN before the head is Disconnected, and nothing is sent again"] = no_head_check(fin, Disconnected)
DELIVERY["2: an RST before the head is Disconnected, and nothing is sent again"] = no_head_check(rst, Disconnected)
DELIVERY["2: what is no HTTP is ProtocolViolation"] = no_head_check(garbage, ProtocolViolation, Disconnected)
DELIVERY["2: a head that never comes is IdleTimeout"] = no_head_check(gone, IdleTimeout)


@enter(DELIVERY, "2: an error status is a reply with a body")
async def error_status(site: Site) -> None:
    async def story(wire: Wire) -> None:
        fields = {"content_type": "application/json", "transfer_encoding": "", "content_length": "2"}
        await wire.send(head("429 Too Many Requests", retry_after="7", **fields) + b"{}")
        await wire.gone()

    got = bytearray()
    async with site.serve(story) as server, site.open(server) as reply:
        await read(reply, got)
    assert reply.status == 429, f"the status is 429, not {reply.status}"
    assert reply.headers.get("retry-after") == "7", "headers must be there, by their names in lower case"
    assert bytes(got) == b"{}", "an error's body must be readable"
