"""What passes from the connections of one response to the reader of one body: bytes in, bytes out.

Pure: bytes and times are arguments.
"""

from collections.abc import Callable, Generator, Sequence
from math import inf

from msgspec import Raw
from msgspec.json import Decoder, decode, encode

from streamfold.client.transport.lookout import BLANK_LINE, CR, STREAMED_ENDS, Framing, Lookout, WatchedSession
from streamfold.fold import AnomalyKind, State, snapshot_json
from streamfold.schema import UNDECODABLE
from streamfold.session import Applied, Call, Step, Wait, drive, has_unseen_text
from streamfold.sse import Frame, FrameDecoder, encode_frame

# Theory of operation. The session sees every byte, and says which events are new. Two kinds of bytes pass:
#
#     as they came    the events of the chunk are the events that were applied, one by one: the chunk passes as it is, up to
#                     its last blank line. What follows that line is the beginning of a frame. It is kept until its end
#                     comes, and forgotten if the connection breaks: the next connection brings the whole frame
#     framed again    anything else: an event was dropped, came late, or was damaged. Each event that was applied becomes a
#                     frame of its own
#
# So the reader gets each event once, in order, and never half of one. After the terminal event everything passes as it
# came, until the connection ends.
#
# Blank lines are searched for in the text as it came, so both sides must agree where one ends. Lines that end in LF or CR
# LF are safe. A CR at the end of a chunk may be half of a CR LF: it waits for the next chunk. A connection that uses a
# lone CR for a line end, as the standard allows and no server does, has all its events framed again.
#
# Folding costs more than anything else here, and a stream without trouble never needs its state. So a steady stream is only
# watched: `Lookout` decodes each event, and as long as each has the next number, the chunks pass and are kept. If anything
# else happens, the session gets the kept chunks first (`_catch_up`), as if it had seen each when it came.
#
# A server whose numbers go back gives one number to two different events. Dropping the second would lose text, so from
# there on everything passes as it came, and a drop ends with its error.
#
# What a reader could not notice must not pass: an end that hides events. A server that forgot the events of a response
# sends its terminal event alone, with any number. After a repair, an end that is all that a connection brings passes only
# if it holds no text that was never delivered. An end that was learned from a GET passes, as an event made here, only if
# the output that was delivered is already the final one. Otherwise the reader gets the error of the drop.

LINE_ENDS = b"\r\n"
_decode_fields = Decoder(dict[str, Raw]).decode
NO_ARRAY = Raw(b"[]")


class Unfinished(Exception):
    """The stream cannot be continued, and the reader lacks its end. The message says why."""


class Passage:
    """One body. Report what happens to it, and pass on what each report returns.

    Args:
        session: The session, new, whose stream is open.
        now: The time of the session's beginning.
        is_folded: Whether each event is folded when it comes, because somebody needs `applied`.

    Attributes:
        session: The session. Facts that bring no bytes are reported to it.
        applied: The events of the last report.
        is_over: Whether the terminal event has passed: what the connection still brings passes as it is.
        take: Takes the next chunk without a look at the session, because nothing is due, and returns what passes. If it
            returns None, report that chunk with `receive_refused`. None where chunks are reported with `receive_chunk`.
        wake_at: When the session's first timer is due.
    """

    def __init__(self, session: WatchedSession, *, now: float, is_folded: bool = False) -> None:
        self.session: WatchedSession = session
        self.take: Callable[[bytes], bytes | None] | None = None
        self._is_folded = is_folded
        self._lookout: Lookout | None = None
        self.applied: Sequence[Applied] = ()
        self.is_over: bool = False
        self.wake_at: float = inf
        self._steps: Generator[Step, None, None] = drive(session)
        self._is_waiting = False  # what was due is done
        self._delivered = session.state
        self._frames = Framing()
        self._half = b""  # a CR that may be half of a CR LF
        self._is_framed_again = False
        self._has_applied = False  # on this connection
        self._is_contradicted = False
        self.next_step(now=now)  # to wait: the driver must see the stream open before it breaks

    # What to do

    @property
    def wants_chunk(self) -> bool:
        """Whether the next thing to do is to read from the connection, until `wake_at`."""
        session = self.session
        if session.is_steady or self.is_over:
            return True
        return self._is_waiting and session.is_reading and session.outcome is None and not session.needs_driver

    @property
    def waits_until(self) -> float:
        """Until when to read; infinite for as long as it takes."""
        return inf if self.session.is_steady or self.is_over else self.wake_at

    @property
    def first_trouble(self) -> str:
        """Why the stream was repaired first."""
        return next((repair.reason for repair in self.session.repairs), "the stream cannot be read")

    def next_step(self, *, now: float) -> Step | None:
        """The next step of the session; None once its outcome is known."""
        step = next(self._steps, None)
        self._is_waiting = isinstance(step, Wait)
        if isinstance(step, Wait):
            self.wake_at = now + step.seconds
        return step

    # Facts

    def begin_connection(self, *, now: float) -> None:
        """Another connection is open."""
        self._frames, self._half = Framing(), b""
        self._is_framed_again = self._has_applied = False
        self.session.receive_connected(now=now)

    def receive_chunk(self, chunk: bytes, *, now: float) -> bytes:
        """The connection brought bytes. Returns what passes; often nothing."""
        passed = None if self.take is None else self.take(chunk)
        return self.receive_refused(chunk, now=now) if passed is None else passed

    def receive_refused(self, chunk: bytes, *, now: float) -> bytes:
        """The connection brought bytes that `take` refused. Returns what passes."""
        if self._lookout is not None and self._lookout.is_over:
            self.is_over, self._lookout, self.take = True, None, bytes
            return self._frames.take_rest() + chunk
        self._catch_up(now=now)
        if self._half or CR in chunk:
            chunk = self._whole_line_ends(chunk)
        passed = self._receive(chunk, now=now)
        self._look_out()
        return passed

    def _receive(self, chunk: bytes, *, now: float) -> bytes:
        applied = self.applied = self.session.receive_chunk(chunk, now=now)
        text = self._frames.take_whole(chunk)
        self._is_contradicted = self._is_contradicted or self._contradicts(applied)
        if self._is_contradicted:
            self.is_over = self.session.state.is_terminal
            return text + self._frames.take_rest() if self.is_over else text
        if not applied:
            return text if self._is_exact(applied) else b""
        before, self._delivered = self._delivered, applied[-1].state
        if self._delivered.is_terminal:
            return self._end(before, text)
        self._has_applied = True
        return text if self._is_exact(applied) else framed(applied)

    def receive_eof(self, *, now: float) -> bytes:
        """The connection ended cleanly, as far as HTTP can say. Returns what passes."""
        self._catch_up(now=now)
        half, self._half = self._half, b""
        passed = b""
        if half and not self.is_over:
            self._is_framed_again = True  # a CR ended the last line after all
            self.applied = self.session.receive_chunk(half, now=now)
            self.is_over = bool(self.applied) and self.applied[-1].state.is_terminal
            passed = framed(self.applied)
        self._give_up_if_contradicted(now=now)
        self.session.receive_eof(now=now)
        return passed + self._last_error()

    def receive_failure(self, call: Call, reason: str, *, now: float) -> bytes:
        """The connection broke, or none came. Returns what passes."""
        self._catch_up(now=now)
        self._give_up_if_contradicted(now=now)
        self.session.receive_failure(call, reason, now=now)
        return self._last_error()

    def _contradicts(self, applied: Sequence[Applied]) -> bool:
        """Whether the first connection gave a number to two different events: what was dropped was then no duplicate."""
        if len(applied) >= len(self.session.payloads) or self.session.repairs:
            return False
        return any(each.kind is AnomalyKind.DUPLICATE_DIFFERS for each in self.session.state.anomalies)

    def _give_up_if_contradicted(self, *, now: float) -> None:
        if self._is_contradicted:
            self.session.receive_leave(now=now, reason="the server gave a sequence number to two different events")

    def _last_error(self) -> bytes:
        """The `error` in which the connection ended, if it was whole but for its blank line: the session has applied it."""
        after = self.session.state
        if self.is_over or after.error is None or after.error is self._delivered.error:
            return b""
        self._delivered = after
        block = self._frames.take_rest() + BLANK_LINE
        return block if all(is_json(each.data) for each in FrameDecoder().feed(block)) else b""

    def finish(self) -> bytes:
        """The outcome is known, and the terminal event has not passed. Returns one that is made of it.

        Raises:
            Unfinished: The outcome is unknown, or events of the response were never seen.
        """
        outcome = self.session.outcome
        assert outcome is not None
        final, status = outcome.state, str(outcome.status)
        if outcome.proof is None or status not in STREAMED_ENDS:
            raise Unfinished(outcome.reason or status)
        if output_of(final) != output_of(self._delivered):
            raise Unfinished(f"the response is {status}, and the server no longer has all of its events")
        self.is_over = True
        return end_event(final, status, self._delivered.cursor)

    # A steady stream

    def _look_out(self) -> None:
        """Only watch the stream from here on, if it is steady."""
        if self.is_over:
            self.take = bytes  # everything, as it comes
        elif self.session.can_be_watched and not (
            self._half or self._is_framed_again or self._is_folded or self._is_contradicted
        ):
            self._lookout = Lookout(self.session, self._frames)
            self.take = self._lookout.take

    def _catch_up(self, *, now: float) -> None:
        """Let the session fold what was only watched."""
        lookout, self._lookout, self.take = self._lookout, None, bytes if self.is_over else None
        if lookout is not None and lookout.kept:
            applied = self.session.receive_chunk(b"".join(lookout.kept), now=now)
            self._delivered = applied[-1].state if applied else self._delivered

    # Bytes

    def _whole_line_ends(self, chunk: bytes) -> bytes:
        chunk = self._half + chunk
        self._half = CR if chunk.endswith(CR) else b""
        chunk = chunk.removesuffix(CR)
        if CR in chunk.replace(LINE_ENDS, b""):
            self._is_framed_again = True
        return chunk

    def _is_exact(self, applied: Sequence[Applied]) -> bool:
        """Whether the chunk may pass as it came: its events are these, and what follows a terminal event."""
        payloads = self.session.payloads
        if self._is_framed_again:
            return False
        if not applied:
            return not payloads and self.session.is_reading
        is_end = applied[-1].state.is_terminal and len(applied) < len(payloads)
        return (is_end or len(applied) == len(payloads)) and all(
            each.data is data for each, data in zip(applied, payloads, strict=False)
        )

    def _end(self, before: State, text: bytes) -> bytes:
        """The terminal event was applied. Returns what passes."""
        applied = self.applied
        is_alone = len(applied) == 1 and not self._has_applied
        if is_alone and self.session.repairs and has_unseen_text(before, self._delivered):
            self._delivered, self.applied = before, ()
            return b""
        self.is_over = True
        if self._is_exact(applied):
            return text + self._frames.take_rest()
        return framed(applied)


def framed(applied: Sequence[Applied]) -> bytes:
    """These events, each as one frame."""
    return b"".join([encode_frame(Frame(_name_of(each), each.data)) for each in applied])


def _name_of(applied: Applied) -> bytes:
    """The event's name, if a line can hold it: it comes from the server's JSON."""
    name = applied.event.wire_type
    return name.encode() if name.isascii() and name.isprintable() else b""


def end_event(state: State, status: str, cursor: int | None) -> bytes:
    """A terminal event with the Response of this state, as one frame. cursor: The number of the event before it."""
    name = f"response.{status}"
    number = {} if cursor is None else {"sequence_number": cursor + 1}
    fields = {"type": name, **number, "response": Raw(snapshot_json(state))}
    return encode_frame(Frame(name.encode(), encode(fields)))


def is_json(data: bytes) -> bool:
    """Whether these bytes are a JSON object."""
    try:
        _decode_fields(data)
    except UNDECODABLE:
        return False
    return True


def output_of(state: State) -> object:
    """The output of the Response, as JSON values."""
    return decode(_decode_fields(snapshot_json(state)).get("output", NO_ARRAY))
