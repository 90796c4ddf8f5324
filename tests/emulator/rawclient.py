"""A client that is nothing but a socket: what came, byte by byte, and how the connection ended."""

import json
import zlib
from dataclasses import dataclass, field
from typing import Any

import anyio

from streamfold.sse import FrameDecoder

MOST_SECONDS = 5


@dataclass
class Raw:
    """All bytes of one connection. end: `fin`, `rst`, or `open` while it lasts."""

    data: bytes = b""
    end: str = "open"
    reads: list[bytes] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1]) if self.data else 0

    @property
    def headers(self) -> dict[str, str]:
        lines = self.data.split(b"\r\n\r\n", 1)[0].decode().split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def payload(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    def chunks(self) -> tuple[list[bytes], bytes]:
        """The whole chunks, the last of no length among them, and what is left behind them."""
        whole: list[bytes] = []
        rest = self.payload
        while True:
            head, found, after = rest.partition(b"\r\n")
            if not found or len(after) < int(head, 16) + 2:
                return whole, rest
            whole.append(after[: int(head, 16)])
            rest = after[int(head, 16) + 2 :]

    @property
    def body(self) -> bytes:
        """What can be read of the body, a chunk that was torn off too."""
        if "content-length" in self.headers:
            return self.payload
        whole, rest = self.chunks()
        return b"".join(whole) + rest.partition(b"\r\n")[2]

    @property
    def is_complete(self) -> bool:
        if "content-length" in self.headers:
            return len(self.payload) == int(self.headers["content-length"])
        return self.chunks()[0][-1:] == [b""]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(frame.data) for frame in FrameDecoder().feed(self.body)]

    @property
    def unpacked(self) -> bytes:
        return zlib.decompressobj(wbits=31).decompress(self.body)


def request(method: str, path: str, body: Any = None, **headers: str) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    told = {"host": "localhost", "authorization": "Bearer key", "connection": "close", **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in told.items())]
    return "\r\n".join([*lines, f"content-length: {len(content)}", "", ""]).encode() + content


async def ask(url: str, method: str, path: str, body: Any = None, **headers: str) -> Raw:
    """One request on a connection of its own, until it ends."""
    raw = Raw()
    host, port = url.removeprefix("http://").split(":")
    with anyio.fail_after(MOST_SECONDS):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(request(method, path, body, **headers))
            while raw.end == "open":
                await read(stream, raw)
    return raw


async def read(stream: anyio.abc.SocketStream, raw: Raw) -> None:
    """What comes next, or how the connection ends."""
    try:
        raw.reads.append(await stream.receive())
        raw.data += raw.reads[-1]
    except anyio.EndOfStream:
        raw.end = "fin"
    except anyio.BrokenResourceError:
        raw.end = "rst"
