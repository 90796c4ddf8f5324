"""A frame, or a heartbeat comment, as bytes that any decoder reads.

In      a Frame, or the text of a comment
Out     one whole block, its blank line included; UsageError for what the format cannot carry
Units   bytes; `retry` in milliseconds
Source  WHATWG HTML, "Server-sent events", 9.2.5
"""

from streamfold.errors import UsageError
from streamfold.sse.frame import MAX_RETRY_DIGITS, Frame

__all__ = ["encode_comment", "encode_frame"]


def encode_frame(frame: Frame) -> bytes:
    """The frame as one block, which decodes to an equal frame.

    An empty id is not written, for it would not be a reset but say nothing: after a frame with an id, a decoder
    goes on giving that one.
    Returns: event, id and retry where given, then a data line for each line of data, then a blank line.
    Raises: UsageError naming the field that cannot be carried.
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
    """A comment with a blank line after it: a heartbeat that no decoder has to hold, and none gives to its reader.

    To be sent between frames only: inside a block, the blank line would end it.
    Raises: UsageError for a text with CR or LF.
    """
    return (b": " + refuse(b"\r\n", "comment", text) if text else b":") + b"\n\n"


def refuse(unfit: bytes, field: str, value: bytes) -> bytes:
    """The value itself, once none of the unfit bytes is found in it."""
    found = next((byte for byte in unfit if byte in value), None)
    if found is not None:
        raise UsageError(f"{field} holds byte {found:#04x}, which Server-Sent Events cannot carry there; remove it")
    return value


def encode_milliseconds(retry: int) -> bytes:
    if not 0 <= retry < 10**MAX_RETRY_DIGITS:
        raise UsageError(f"retry is out of range; give milliseconds from 0 to {10**MAX_RETRY_DIGITS - 1:,}")
    return b"%d" % retry
