"""What to write to one client next: the head of an answer, then events as they come, comments in silence, the end.

Nothing is written here. `asgi.py` asks and carries out; a simulation can ask in virtual time.
"""

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from streamfold.serving.reply import BodyReply, Headers, ReadyEvents, StreamReply
from streamfold.sse import Frame, encode_frame

# A comment line without the blank line that ends a block: openai's SDK takes each blank line after an `id:` for an event.
HEARTBEAT = b":\n"
# Without these, some proxies hold events back.
STREAM_HEADERS: Headers = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))


class Turn(Enum):
    """What to do when there is nothing to write and nothing to wait for."""

    BEAT = "beat"  # write a HEARTBEAT
    END = "end"


Next: TypeAlias = Sequence[Frame | bytes] | float | Turn


class StreamWriter:
    """Decides what a stream's reader gets next. heartbeat_seconds: the longest silence."""

    def __init__(self, reply: StreamReply, *, heartbeat_seconds: float) -> None:
        self._events = reply.events
        self._place = reply.place
        self._heartbeat_seconds = heartbeat_seconds

    def next(self, now: float, *, last_write: float) -> Next:
        """The events to write now; or the seconds to wait, at most, before asking again; or another turn.

        Args:
            now: The time, on the clock of `last_write`.
            last_write: When this client was last sent anything.
        """
        ready = self._events.next_after(self._place, now)
        if isinstance(ready, ReadyEvents):
            self._place = ready.place
            return ready.frames
        if ready is None:
            return Turn.END
        silence = now - last_write
        return Turn.BEAT if silence >= self._heartbeat_seconds else min(ready, self._heartbeat_seconds - silence)


def encode_frames(frames: Sequence[Frame | bytes]) -> bytes:
    """The frames as the bytes of one write."""
    if len(frames) == 1:  # live, nearly every write
        frame = frames[0]
        return frame if isinstance(frame, bytes) else encode_frame(frame)
    return b"".join([frame if isinstance(frame, bytes) else encode_frame(frame) for frame in frames])


def head_of(reply: BodyReply | StreamReply, *more: tuple[str, str]) -> tuple[int, Headers]:
    """The status and the headers of an answer. more: headers that every answer has."""
    if isinstance(reply, StreamReply):
        return 200, (("content-type", reply.content_type), *STREAM_HEADERS, *reply.headers, *more)
    if reply.status == 204:  # neither of the two may be there
        return reply.status, (*reply.headers, *more)
    known = (("content-type", reply.content_type), ("content-length", str(len(reply.body))))
    return reply.status, (*known, *reply.headers, *more)
