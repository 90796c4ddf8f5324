"""How late the events of a paced stream reach a reader, straight or over a relay."""

import re
import socket
from time import monotonic

from benchmarks.relay.readers import Server
from benchmarks.stream.reading import DifferentWork

__all__ = ["lateness"]

STAMP = re.compile(rb'"delta":"(\d+\.\d+)"')
BODY = b'{"model":"paced","input":"x","stream":true}'
HEAD = b"POST /v1/responses HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
SETTLE = 20  # the first events pay for imports and caches


def lateness(server: Server, events: int) -> tuple[float, float]:
    """The seconds from the write of an event to its arrival: the median, and the 99th percentile.

    Raises:
        DifferentWork: Another number of events came.
    """
    late: list[float] = []
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.settimeout(60)
        sock.sendall(HEAD % len(BODY) + BODY)
        rest = b""
        while len(late) < events and (data := sock.recv(65536)):
            now = monotonic()
            rest += data
            end = 0
            for found in STAMP.finditer(rest):
                late.append(now - float(found[1]))
                end = found.end()
            rest = rest[end:]
    if len(late) != events:
        raise DifferentWork(f"{len(late):,} of {events:,} events came: {rest[:300]!r}")
    settled = sorted(late[SETTLE:] if len(late) > 2 * SETTLE else late)
    return settled[len(settled) // 2], settled[len(settled) * 99 // 100]
