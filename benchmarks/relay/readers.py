"""Readers of the streams of a server: many sockets in one process, which count events and do nothing else."""

import re
import selectors
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from time import monotonic
from urllib.parse import urlsplit

from msgspec.json import encode

from benchmarks.stream.reading import DifferentWork

__all__ = ["Crowd", "Server", "running"]

WAIT_SECONDS = 120.0
RECEIVE_BYTES = 256 * 1024
DATA = b"data: "
RESPONSE_ID = re.compile(rb'"id":"(resp_[0-9a-f]+)"')


class Server:
    """A server in another process. port: where it listens."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._commands, self._answers = process.stdin, process.stdout
        self.url = self._answers.readline().strip()
        self.port = urlsplit(self.url).port or 0

    def _say(self, command: str) -> None:
        self._commands.write(command + "\n")
        self._commands.flush()

    def go(self) -> None:
        """Let the streams that wait produce the rest of their events."""
        self._say("go")
        self._answers.readline()  # or a stream that is created next might go too

    def figures(self) -> tuple[float, float]:
        """The CPU seconds that it has taken so far, and its resident memory in KiB."""
        self._say("figures")
        cpu, kib = self._answers.readline().split()
        return float(cpu), float(kib)


@contextmanager
def running(kind: str, *arguments: str, module: str = "benchmarks.relay.served") -> Generator[Server]:
    """A server of this kind, while the context is open."""
    command = [sys.executable, "-m", module, kind, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


class Reader:
    """One reader. events: how many it has. begin: its first bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.events = 0
        self.begin = b""
        self.is_over = False
        self._tail = b""

    def receive(self) -> None:
        """Take what has come."""
        data = self.sock.recv(RECEIVE_BYTES)
        if not data:
            self.is_over = True
            return
        if len(self.begin) < 4096:
            self.begin += data
        joined = self._tail + data
        self.events += joined.count(DATA)
        self._tail = joined[1 - len(DATA) :]


class Crowd:
    """Readers of one stream."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._selector = selectors.DefaultSelector()
        self._readers: list[Reader] = []
        self._stalled: list[socket.socket] = []

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._readers:
            each.sock.close()
        for sock in self._stalled:
            sock.close()
        self._selector.close()

    def create(self, model: str) -> str:
        """Create a stream, with a reader, and return its id."""
        body = encode({"model": model, "input": "x", "stream": True})
        head = f"POST /v1/responses HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._add(head.encode() + body)
        self.read(1)
        found = RESPONSE_ID.search(self._readers[-1].begin)
        if found is None:
            raise DifferentWork(f"no stream: {self._readers[-1].begin[:500]!r}")
        return found[1].decode()

    def join(self, id: str, count: int, *, events: int = 1) -> None:
        """Add readers of a stream, a few hundred at a time, and wait until each has this number of events."""
        for start in range(0, count, 500):
            for _ in range(min(500, count - start)):
                self._add(f"GET /v1/responses/{id}?stream=true HTTP/1.1\r\nhost: here\r\n\r\n".encode())
            self.read(events)

    def stall(self, id: str) -> None:
        """Add a reader that never reads."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", self._server.port))
        sock.sendall(f"GET /v1/responses/{id}?stream=true HTTP/1.1\r\nhost: here\r\n\r\n".encode())
        self._stalled.append(sock)

    def leave(self) -> None:
        """Close the connections of all readers."""
        for each in self._readers:
            each.sock.close()

    def _add(self, request: bytes) -> None:
        sock = socket.create_connection(("127.0.0.1", self._server.port))
        sock.sendall(request)
        reader = Reader(sock)
        self._selector.register(sock, selectors.EVENT_READ, reader)
        self._readers.append(reader)

    def read(self, events: int) -> None:
        """Read until every reader has this number of events.

        Raises:
            DifferentWork: A reader does not get them.
        """
        missing = sum(each.events < events for each in self._readers)
        end = monotonic() + WAIT_SECONDS
        while missing:
            for key, _ in self._selector.select(1.0):
                reader: Reader = key.data
                had = reader.events
                reader.receive()
                missing -= had < events <= reader.events
                if reader.is_over:
                    self._selector.unregister(reader.sock)
                    if reader.events < events:
                        raise DifferentWork(f"a reader got {reader.events:,} events of {events:,}")
            if monotonic() > end:
                raise DifferentWork(f"{missing} readers have fewer than {events:,} events after {WAIT_SECONDS:g} s")

    @property
    def events(self) -> Sequence[int]:
        """How many events each reader has."""
        return [each.events for each in self._readers]
