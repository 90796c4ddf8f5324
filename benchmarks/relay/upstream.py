"""The upstream of the latency rows, in a process of its own: `python -m benchmarks.relay.upstream 600 0.005`.

Each POST gets a stream of that many deltas, one in so many seconds, each its own write; the text of a delta is the time at
which it was written, on a clock that all processes of the machine share.
"""

import asyncio
import re
import sys
from itertools import count
from time import monotonic

from benchmarks.stream.workload import Shape, make_stream

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
RESPONSE_ID = re.compile(rb"resp_[0-9a-f]+")
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
BEGINNING = 4
SHORT = make_stream(Shape(deltas=1, reasoning=False, tools=False, annotations=False))
DELTA = re.sub(
    rb'("sequence_number":)\d+(.*"delta":)"[^"]*"',
    lambda found: found[1] + b"%d" + found[2] + b'"%.6f"',
    SHORT[BEGINNING].replace(b"%", b"%%"),
)
NUMBERS = count(1)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deltas: int, seconds: float) -> None:
    """One connection, for one request."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        if length := LENGTH.search(head):
            await reader.readexactly(int(length[1]))
        id = b"resp_%032x" % next(NUMBERS)
        writer.write(HEAD + chunk(RESPONSE_ID.sub(id, b"".join(SHORT[:BEGINNING]))))
        loop, due = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        for number in range(deltas):
            due += seconds
            await asyncio.sleep(due - loop.time())
            writer.write(chunk(DELTA % (BEGINNING + number, monotonic())))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError):
        pass  # the reader left
    finally:
        writer.close()


async def main(deltas: int, seconds: float) -> None:
    """Print the URL and serve until stdin ends."""
    server = await asyncio.start_server(lambda r, w: serve(r, w, deltas, seconds), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
