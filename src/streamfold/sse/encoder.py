"""Frames and heartbeat comments as bytes that any decoder reads (WHATWG HTML, 9.2.5)."""

from streamfold.errors import UsageError
from streamfold.sse.frame import MAX_RETRY_DIGITS, Frame


def encode_frame(frame: Frame) -> bytes:
    """Return the frame as one block, which decodes to an equal frame.

    An empty id is not written: after a frame with an id, a decoder keeps that one.

    Raises:
        UsageError: A field holds a byte that SSE cannot carry there, such as a line end in the event's name.
    """
    lines: list[bytes] = []
    if frame.event:
        lines.append(b"event: " + refuse(b"\r\n", "event", frame.event))
    if frame.id:
        lines.append(b"id: " + refuse(b"\r\n\0", "id", frame.id))
    if frame.retry is not None:
        lines.append(b"retry: " + encode_milliseconds(frame.retry))
    lines += [b"data: " + line for line in refuse(b"\r", "data", frame.data).split(b"\n")]
    return b"\n".join(lines) + b"\n\n"


def encode_comment(text: bytes = b"") -> bytes:
    """Return a comment and a blank line: a heartbeat that decoders skip.

    Send it between frames only. Inside a block, the blank line would end it.

    Raises:
        UsageError: The text holds CR or LF.
    """
    return (b": " + refuse(b"\r\n", "comment", text) if text else b":") + b"\n\n"


def refuse(unfit: bytes, field: str, value: bytes) -> bytes:
    """The value itself, if it holds none of the unfit bytes."""
    found = next((byte for byte in unfit if byte in value), None)
    if found is not None:
        raise UsageError(f"{field} holds byte {found:#04x}, which Server-Sent Events cannot carry there; remove it")
    return value


def encode_milliseconds(retry: int) -> bytes:
    if not 0 <= retry < 10**MAX_RETRY_DIGITS:
        raise UsageError(f"retry is out of range; it must be from 0 to {10**MAX_RETRY_DIGITS - 1:,} milliseconds")
    return b"%d" % retry
