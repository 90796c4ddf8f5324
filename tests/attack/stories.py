"""What hostile upstreams are made of: the stories that a connection lives, and the bytes of a good answer to spoil."""

import gzip
import json
import zlib

import anyio

from streamfold.client.conformance.site import Story, Wire, head

KEY = "key-that-must-not-leak"
PIECE = 1 << 16
DRIP_SECONDS = 0.05

# What a well-behaved server would send.

RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "in_progress",
    "background": True,
    "model": "m",
    "output": [],
}


def frame(event: object) -> bytes:
    """One SSE frame of this JSON."""
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def created(**fields: object) -> bytes:
    return frame({"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, **fields}})


def delta(number: object, **fields: object) -> bytes:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    event = {"type": "response.output_text.delta", "sequence_number": number, **place, "delta": "word "}
    return frame({**event, **fields})


def completed(number: object = 1, **fields: object) -> bytes:
    response = {**RESPONSE, "status": "completed", **fields}
    return frame({"type": "response.completed", "sequence_number": number, "response": response})


WHOLE = created() + delta(1) + completed(2)

# Stories


def says(*parts: bytes, then: str = "fin") -> Story:
    """Send these parts, each in a write of its own, then hang up, reset, or be silent."""

    async def story(wire: Wire) -> None:
        key = _sent_key(wire)
        for part in parts:
            await wire.send(part.replace(b"{key}", key))
        if then == "silence":
            await wire.gone()
        elif then == "rst":
            await wire.reset()

    return story


def endless(first: bytes, again: bytes, *, drip: bool = False) -> Story:
    """Send `again` for ever after `first`: as fast as it is read, or in drips."""

    async def story(wire: Wire) -> None:
        await wire.send(first)
        while True:
            await wire.send(again)
            if drip:
                await anyio.sleep(DRIP_SECONDS)

    return story


def by_method(post: Story, get: Story) -> Story:
    """One story for creations and cancels, another for GETs."""

    async def story(wire: Wire) -> None:
        await (post if wire.head.startswith(b"POST") else get)(wire)

    return story


def cancel_answers(answer: Story) -> Story:
    """A stream that stays open, and an answer to its cancel."""
    stream = says(head(transfer_encoding="", connection="close") + created() + delta(1), then="silence")

    async def story(wire: Wire) -> None:
        await (answer if b"/cancel " in wire.head.partition(b"\r\n")[0] else stream)(wire)

    return story


def _sent_key(wire: Wire) -> bytes:
    for line in wire.head.split(b"\r\n"):
        if line.lower().startswith(b"authorization: bearer "):
            return line[len(b"authorization: bearer ") :]
    return KEY.encode()


def plain(status: str = "200 OK", kind: str = "text/event-stream", **fields: str) -> bytes:
    """A head whose body ends with the connection."""
    return head(status, content_type=kind, transfer_encoding="", connection="close", **fields)


def with_length(body: bytes, status: str = "200 OK", kind: str = "application/json", **fields: str) -> bytes:
    return head(status, content_type=kind, transfer_encoding="", content_length=str(len(body)), **fields) + body


def bomb(levels: int, *, megabytes: int = 256) -> bytes:
    """Zeros, compressed so many times: some kilobytes that stand for all of it."""
    inner = zlib.compressobj(9, zlib.DEFLATED, 31)
    made = (
        inner.compress(b"data: ") + b"".join(inner.compress(bytes(1 << 20)) for _ in range(megabytes)) + inner.flush()
    )
    for _ in range(levels - 1):
        made = gzip.compress(made, 9)
    return made


def dripped(data: bytes) -> Story:
    """Send this a byte at a time."""

    async def story(wire: Wire) -> None:
        for each in data:
            await wire.send(bytes([each]))
            await anyio.sleep(DRIP_SECONDS)

    return story
