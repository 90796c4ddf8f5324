"""What must arrive: rules 1 and 2 of `Transport`, and everything HTTP allows around and in a body (RFC 9110, RFC 9112)."""

import gzip
import zlib

import anyio

from streamfold.check import Check, Suite
from streamfold.client.conformance.site import (
    BODY,
    CHUNKS,
    EVENTS,
    LAST_CHUNK,
    MAX_SECONDS,
    SHORT_SECONDS,
    Setup,
    Story,
    Wire,
    chunk,
    error_of,
    gone,
    head,
    must_be_one_of,
    open_and_leave,
    read,
    settle,
)
from streamfold.client.transport.transport import Reply
from streamfold.errors import ConnectFailed, Disconnected, IdleTimeout, ProtocolViolation, TransportError

DELIVERY: Suite[Setup] = Suite(max_seconds=MAX_SECONDS)


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


def delivery_check(ending: Story, allowed: tuple[type[TransportError], ...], *, is_slow: bool) -> Check[Setup]:
    """300 events, a write each, then the ending. A slow reader looks away while all of it arrives."""

    async def run(setup: Setup) -> None:
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

        async with setup.serve(story) as server, setup.open(server, idle=SHORT_SECONDS) as reply:
            error = await error_of(read_slowly(reply))
        assert bytes(got) == BODY, f"{got.count(b'event:')} of {len(EVENTS)} events came before the failure"
        must_be_one_of(error, *allowed)

    return run


for _ending, (_story, _allowed) in ENDINGS.items():
    for _is_slow in (False, True):
        _reader = "a slow reader" if _is_slow else "a reader"
        DELIVERY.enter(f"1: {_reader} gets everything before {_ending}")(
            delivery_check(_story, _allowed, is_slow=_is_slow)
        )


@DELIVERY.enter("1: a body shorter than its content-length is an error")
async def short_length(setup: Setup) -> None:
    async def story(wire: Wire) -> None:
        await wire.send(head(transfer_encoding="", content_length="1000") + EVENTS[0])

    got = bytearray()
    async with setup.serve(story) as server, setup.open(server) as reply:
        error = await error_of(read(reply, got))
    assert bytes(got) == EVENTS[0], "what came before the end must be handed over"
    must_be_one_of(error, Disconnected)


@DELIVERY.enter("2: a refused connection is ConnectFailed")
async def refused(setup: Setup) -> None:
    async with setup.serve(silence) as server:
        pass
    must_be_one_of(await error_of(open_and_leave(setup, server)), ConnectFailed)


def no_head_check(story: Story, *allowed: type[TransportError]) -> Check[Setup]:
    """Nothing that is a head comes: a typed failure, and one request, whatever the method."""

    async def run(setup: Setup) -> None:
        for method, body in (("GET", None), ("POST", b"{}")):
            async with setup.serve(story) as server:
                error = await error_of(open_and_leave(setup, server, idle=SHORT_SECONDS, method=method, body=body))
            must_be_one_of(error, *allowed)
            assert len(server.wires) == 1, f"a {method} was sent {len(server.wires)} times"

    return run


async def garbage(wire: Wire) -> None:
    await wire.send(b"good morning\r\n\r\n")
    await wire.gone()


DELIVERY.enter("2: a FIN before the head is Disconnected, and nothing is sent again")(no_head_check(fin, Disconnected))
DELIVERY.enter("2: an RST before the head is Disconnected, and nothing is sent again")(no_head_check(rst, Disconnected))
DELIVERY.enter("2: bytes that are not HTTP are a ProtocolViolation")(
    no_head_check(garbage, ProtocolViolation, Disconnected)
)
DELIVERY.enter("2: a head that never comes is IdleTimeout")(no_head_check(gone, IdleTimeout))


@DELIVERY.enter("2: an error status is a reply with a body")
async def error_status(setup: Setup) -> None:
    async def story(wire: Wire) -> None:
        fields = {"content_type": "application/json", "transfer_encoding": "", "content_length": "2"}
        await wire.send(head("429 Too Many Requests", retry_after="7", **fields) + b"{}")
        await wire.gone()

    got = bytearray()
    async with setup.serve(story) as server, setup.open(server) as reply:
        await read(reply, got)
    assert reply.status == 429, f"the status is 429, not {reply.status}"
    assert reply.headers.get("retry-after") == "7", "headers must be there, by their names in lower case"
    assert bytes(got) == b"{}", "an error's body must be readable"


# Whole replies that every transport must read

COMPRESSED = gzip.compress(BODY)
MANY = 16 * 1024 * 1024  # zeros, of which a thousand are one byte in gzip


def whole_reply_check(reply: list[bytes], body: bytes, *, hangs_up: bool = False) -> Check[Setup]:
    """The server sends these writes; the body must be read to its end, which the server's silence must not delay."""

    async def run(setup: Setup) -> None:
        async def story(wire: Wire) -> None:
            for part in reply:
                await wire.send(part)
            if not hangs_up:
                await wire.gone()

        got = bytearray()
        async with setup.serve(story) as server, setup.open(server) as answer:
            status = answer.status
            await read(answer, got)
        assert status == 200, f"the status is 200, not {status}"
        assert bytes(got) == body, f"{len(got)} bytes came, of {len(body)}"

    return run


def one_byte_a_write(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


LENGTH = head(transfer_encoding="", content_length=str(len(BODY)))
HINTS = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"
SMALL = head() + chunk(EVENTS[0]) + chunk(EVENTS[1]) + LAST_CHUNK

WHOLE: dict[str, Check[Setup]] = {
    "a chunked body, many chunks a write": whole_reply_check([head() + CHUNKS + LAST_CHUNK], BODY),
    "a chunked body, one chunk a write": whole_reply_check([head(), *map(chunk, EVENTS), LAST_CHUNK], BODY),
    "a chunked body, one byte a write": whole_reply_check(one_byte_a_write(SMALL), EVENTS[0] + EVENTS[1]),
    "a body with its length": whole_reply_check([LENGTH, BODY], BODY),
    "a body with its length, in one write with its head": whole_reply_check([LENGTH + BODY], BODY),
    "a body that ends with the connection": whole_reply_check([head(transfer_encoding=""), BODY], BODY, hangs_up=True),
    "an empty body": whole_reply_check([head(transfer_encoding="", content_length="0")], b""),
    "early hints are skipped": whole_reply_check([HINTS + SMALL], EVENTS[0] + EVENTS[1]),
    "early hints, a byte a write, are skipped": whole_reply_check(
        one_byte_a_write(HINTS + SMALL), EVENTS[0] + EVENTS[1]
    ),
    "trailers are not part of the body": whole_reply_check(
        [head(trailer="x-sum") + chunk(EVENTS[0]) + b"0\r\nx-sum: 1\r\n\r\n"], EVENTS[0]
    ),
    "a body in gzip": whole_reply_check(
        [head(content_encoding="gzip", transfer_encoding="", content_length=str(len(COMPRESSED))) + COMPRESSED], BODY
    ),
    "a body in gzip that grows a thousand times": whole_reply_check(
        [head(content_encoding="gzip") + chunk(gzip.compress(bytes(MANY))) + LAST_CHUNK], bytes(MANY)
    ),
}

for _name, _check in WHOLE.items():
    DELIVERY.enter(_name)(_check)


# Rule 9. The header says how the body is coded, in names that servers get wrong in every way.


def coded(encoding: str, body: bytes) -> list[bytes]:
    return [head(content_encoding=encoding) + chunk(body) + LAST_CHUNK]


for _named in ("none", "identity", "IDENTITY", " ", "utf-8", "new-coding", "identity, none"):
    DELIVERY.enter(f"9: a body under content-encoding {_named!r} is as it is")(
        whole_reply_check(coded(_named, BODY), BODY)
    )
for _named, _body in {
    "GZIP": COMPRESSED,
    "x-gzip": COMPRESSED,
    "deflate": zlib.compress(BODY),
    "deflate, gzip": gzip.compress(zlib.compress(BODY)),
    "gzip\r\ncontent-encoding: gzip": gzip.compress(COMPRESSED),
    "gzip, identity": COMPRESSED,
}.items():
    DELIVERY.enter(f"9: a body under content-encoding {_named!r} is decoded")(
        whole_reply_check(coded(_named, _body), BODY)
    )
DELIVERY.enter("9: several members of gzip, and padding, are one body")(
    whole_reply_check(coded("gzip", COMPRESSED + COMPRESSED + bytes(99)), BODY + BODY)
)


def not_decoded_check(encoding: str, sent: bytes, body: bytes, *allowed: type[TransportError]) -> Check[Setup]:
    """The body is coded in a way that cannot be undone: an error, after all that could be read."""

    async def run(setup: Setup) -> None:
        async def story(wire: Wire) -> None:
            await wire.send(coded(encoding, sent)[0])
            await wire.gone()

        got = bytearray()
        async with setup.serve(story) as server, setup.open(server) as reply:
            error = await error_of(read(reply, got))
        assert bytes(got) == body, f"{len(got)} bytes came, of {len(body)}"
        must_be_one_of(error, *allowed)

    return run


for _named in ("br", "zstd", "gzip, br", "compress"):
    DELIVERY.enter(f"9: content-encoding {_named!r}, which nobody asked for, is a ProtocolViolation")(
        not_decoded_check(_named, BODY, b"", ProtocolViolation)
    )
DELIVERY.enter("9: a body that ends inside its gzip data is read as far as it goes")(
    whole_reply_check(coded("gzip", COMPRESSED[:-4]), BODY)
)
DELIVERY.enter("9: a body that is not gzip, as it says, is a ProtocolViolation")(
    not_decoded_check("gzip", BODY, b"", ProtocolViolation)
)


async def large_head(wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\n" + b"x-filler: %b\r\n" % (b"y" * 1000) * 300)
    await wire.gone()


DELIVERY.enter("2: a head that is larger than 100 KiB is a ProtocolViolation")(
    no_head_check(large_head, ProtocolViolation, Disconnected)
)
