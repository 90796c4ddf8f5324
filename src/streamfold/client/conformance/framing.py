"""What HTTP allows around and inside a body: whole replies that every transport must read.

In      a Site
Out     FRAMING: the checks by name
Errors  AssertionError
Source  RFC 9110, RFC 9112
"""

import gzip

from streamfold.client.conformance.faults import Wire, chunk, head
from streamfold.client.conformance.site import BODY, CHUNKS, EVENTS, LAST_CHUNK, Check, Site, read

__all__ = ["FRAMING"]

COMPRESSED = gzip.compress(BODY)
MANY = 16 * 1024 * 1024  # zeros, of which a thousand are one byte in gzip


def whole_reply_check(reply: list[bytes], body: bytes, *, hangs_up: bool = False) -> Check:
    """The server sends these writes; the body must be read to its end, which the server's silence must not delay."""

    async def run(site: Site) -> None:
        async def story(wire: Wire) -> None:
            for part in reply:
                await wire.send(part)
            if not hangs_up:
                await wire.gone()

        got = bytearray()
        async with site.serve(story) as server, site.open(server) as answer:
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

FRAMING: dict[str, Check] = {
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
    "trailers are no body": whole_reply_check(
        [head(trailer="x-sum") + chunk(EVENTS[0]) + b"0\r\nx-sum: 1\r\n\r\n"], EVENTS[0]
    ),
    "a body in gzip": whole_reply_check(
        [head(content_encoding="gzip", transfer_encoding="", content_length=str(len(COMPRESSED))) + COMPRESSED], BODY
    ),
    "a body in gzip that grows a thousand times": whole_reply_check(
        [head(content_encoding="gzip") + chunk(gzip.compress(bytes(MANY))) + LAST_CHUNK], bytes(MANY)
    ),
}
