"""The server of the benchmark `following`, in a process of its own: `python -m benchmarks.client.load --deltas 10000`.

It prints its port and serves GETs of a Responses stream until stdin ends. The response's id says how it is served:

resp_each       every event its own HTTP chunk and its own send(2), as fast as they are taken
resp_joined     HTTP chunks of 16 KiB
resp_paced      like resp_each, but one event every `PACE_SECONDS`, and fewer of them
resp_slow       ten deltas a second from a random moment on, for ever; a delta is the time at which it was sent
resp_often      the same, fifty a second
resp_idle       its first events, then silence
resp_dropped    two events, then the connection ends; when it is resumed, the head comes after `ROUND_TRIP_SECONDS` and
                then one event, whose delta is the time at which the last connection was cut

Times are of `time.monotonic`, which all processes of a machine share (on Linux, macOS and Windows). TCP_NODELAY is set, so
that what is written leaves at once. Fast streams have a thread each, with a blocking socket; one loop serves all slow
ones, so that a thousand streams need no thousand threads.
"""

import argparse
import heapq
import os
import re
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from random import Random
from time import monotonic, sleep

from benchmarks.stream.workload import Shape, cut, make_stream

__all__ = ["BEGINNING", "PACE_SECONDS", "ROUND_TRIP_SECONDS", "Server", "event_count", "raise_file_limit", "serving"]

PACE_SECONDS = 0.000_5
SLOW_SECONDS = {b"resp_slow": 0.1, b"resp_often": 0.02}  # between two deltas
ROUND_TRIP_SECONDS = 0.03
JOINED_BYTES = 16 * 1024
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
END = b"0\r\n\r\n"
REQUEST = re.compile(rb"GET \S*/(resp_[a-z]+)\?(\S*) HTTP/1")
STARTING_AFTER = re.compile(rb"starting_after=(\d+)")
# A message with one delta: what stands before the delta begins a slow stream, and the delta is the mould of the others.
SHORT = make_stream(Shape(deltas=1, reasoning=False, tools=False, annotations=False))
BEGINNING = 4
DELTA = re.sub(
    rb'("sequence_number":)\d+(.*"delta":)"[^"]*"',
    lambda found: found[1] + b"%d" + found[2] + b'"%.6f"',
    SHORT[BEGINNING].replace(b"%", b"%%"),
)


def event_count(deltas: int) -> int:
    """How many events a stream with this number of deltas has."""
    return len(make_stream(Shape(deltas=deltas)))


def chunk(body: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def stamped(number: int, at: float) -> bytes:
    """A delta of this number whose text is a time, as an HTTP chunk."""
    return chunk(DELTA % (number, at))


@contextmanager
def serving(*, deltas: int, paced_deltas: int) -> Generator[str, None, None]:
    """Run a server in a process of its own, and yield its URL."""
    command = [sys.executable, "-m", "benchmarks.client.load", f"--deltas={deltas}", f"--paced-deltas={paced_deltas}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


def raise_file_limit() -> None:
    """Allow as many open sockets as the system does. Windows has no such limit."""
    with suppress(ImportError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # macOS names a bound that it does not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Asked:
    """One connection: until its request is complete, and then while its slow stream lasts."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.request = b""
        self.number = BEGINNING  # of its next delta
        self.is_open = True

    def send(self, data: bytes) -> None:
        """Send a little, which fits into the socket's buffer. A client that is gone is ignored."""
        with suppress(OSError):
            self.sock.send(data)


class Server:
    """Listen on a free port at once; `run` serves."""

    def __init__(self, *, deltas: int, paced_deltas: int) -> None:
        frames = make_stream(Shape(deltas=deltas))
        self._each = [chunk(frame) for frame in frames]
        self._joined = [chunk(piece) for piece in cut(b"".join(frames), JOINED_BYTES)]
        self._paced = [chunk(frame) for frame in make_stream(Shape(deltas=paced_deltas))]
        self._beginning = b"".join(chunk(frame) for frame in SHORT[:BEGINNING])
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._chance = Random(0).random
        self._cut_at = 0.0

    def run(self) -> None:
        """Serve for ever."""
        while True:
            wait = max(0.0, self._due[0][0] - monotonic()) if self._due else None
            for key, _ in self._selector.select(wait):
                if key.data is None:
                    self._accept()
                else:
                    self._read(key.data)
            while self._due and self._due[0][0] <= monotonic():
                heapq.heappop(self._due)[2]()

    def _at(self, due: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._due, (due, next(self._order), do))

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(sock, selectors.EVENT_READ, Asked(sock))

    def _read(self, asked: Asked) -> None:
        try:
            data = asked.sock.recv(65536)
        except OSError:
            data = b""
        asked.request += data
        if not data:
            self._close(asked)
        elif asked.request.endswith(b"\r\n\r\n"):
            self._answer(asked)

    def _close(self, asked: Asked) -> None:
        asked.is_open = False
        self._selector.unregister(asked.sock)
        asked.sock.close()

    def _answer(self, asked: Asked) -> None:
        found = REQUEST.match(asked.request)
        name, query = (found[1], found[2]) if found else (b"", b"")
        match name:
            case b"resp_each" | b"resp_joined" | b"resp_paced":
                self._selector.unregister(asked.sock)
                threading.Thread(target=self._serve_fast, args=(asked.sock, name), daemon=True).start()
            case b"resp_slow" | b"resp_often":
                seconds = SLOW_SECONDS[name]
                asked.send(HEAD + self._beginning)
                self._at(monotonic() + seconds * self._chance(), lambda: self._go_on(asked, monotonic(), seconds))
            case b"resp_idle":
                asked.send(HEAD + self._beginning)
            case b"resp_dropped":
                resumed = STARTING_AFTER.search(query)
                begin = self._begin_dropped if resumed is None else self._resume_dropped
                asked.number = 0 if resumed is None else int(resumed[1]) + 1
                self._at(monotonic() + ROUND_TRIP_SECONDS, lambda: begin(asked))
            case _:
                asked.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                self._close(asked)

    def _go_on(self, asked: Asked, due: float, seconds: float) -> None:
        """Send a delta now, and the next one `seconds` after this one was due."""
        if asked.is_open:
            asked.send(stamped(asked.number, monotonic()))
            asked.number += 1
            self._at(due + seconds, lambda: self._go_on(asked, due + seconds, seconds))

    def _begin_dropped(self, asked: Asked) -> None:
        asked.send(HEAD + self._beginning)
        self._cut(asked)

    def _resume_dropped(self, asked: Asked) -> None:
        asked.send(HEAD + stamped(asked.number, self._cut_at))
        self._cut(asked)

    def _cut(self, asked: Asked) -> None:
        self._cut_at = monotonic()
        if asked.is_open:
            self._close(asked)

    def _serve_fast(self, sock: socket.socket, name: bytes) -> None:
        with sock, suppress(OSError):
            sock.setblocking(True)
            sock.sendall(HEAD)
            if name == b"resp_paced":
                self._serve_paced(sock)
            else:
                send_each(sock, self._each if name == b"resp_each" else self._joined)
            sock.sendall(END)

    def _serve_paced(self, sock: socket.socket) -> None:
        due = monotonic()
        for piece in self._paced:
            sock.sendall(piece)
            due = max(due + PACE_SECONDS, monotonic())  # what is late is not made up for: two events would come at once
            sleep(due - monotonic() if due > monotonic() else 0)


def send_each(sock: socket.socket, pieces: Sequence[bytes]) -> None:
    send = sock.sendall
    for piece in pieces:
        send(piece)


def main() -> None:
    """Print the port and serve until stdin ends, so that the server does not outlive its parent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deltas", type=int, default=10_000)
    parser.add_argument("--paced-deltas", type=int, default=1_000)
    asked = parser.parse_args()
    raise_file_limit()
    server = Server(deltas=asked.deltas, paced_deltas=asked.paced_deltas)
    threading.Thread(target=server.run, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
