"""One reader of one stream: from the window of a stream that this process follows, or from the log."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from streamfold.errors import InvalidArgument, StreamBroken
from streamfold.fold import State
from streamfold.history import fold_records, replay
from streamfold.log import EventLog, StreamKey, pages
from streamfold.relay.bridge import NoBridge
from streamfold.relay.ends import CANCELLED, ENDS, LOST, TOOK_BACK, is_lost, made_end
from streamfold.relay.held import EventRun, Held, Sent, StreamEnd, sent
from streamfold.schema import promotion
from streamfold.serving import (
    HEARTBEAT,
    STREAM_HEADERS,
    LoopClock,
    Message,
    ReadyEvents,
    StreamReply,
    StreamWriter,
    Turn,
    encode_frames,
    headers_of,
)
from streamfold.sse import Frame

# Theory of operation. A place is the number of the next event that the reader wants. Where it comes from:
#
#     in the window          from memory: one encoding serves every reader
#     before the window      from the log, a page at a time; the reader is late, or slow
#     after the window       wait for the stream to change
#     the stream is over     the end of its records, and then a clean end or a broken one
#
# A reader of a stream that nobody follows any more has no window: everything comes from the log, which is finished.
# `next_after` never waits. Where it needs the log, it says "at once", and `wait` fetches the page.

PAGE_BYTES = 256 * 1024
EVENT_STREAM = "text/event-stream; charset=utf-8"


class Reader:
    """One reader, as an EventFeed of `serving`.

    Args:
        log: The log.
        key: The stream.
        held: The stream in this process, if it is followed here.
        leave: Called once, when the reader is done.
        promoted: What was changed in the create.

    Attributes:
        is_whole: Whether it was sent everything, to a clean end.
        is_attached: Whether it reads for a POST that joined an answer, instead of creating one.
    """

    def __init__(
        self,
        log: EventLog,
        key: StreamKey,
        held: Held | None,
        *,
        leave: Callable[[], None],
        promoted: promotion.Promoted | None = None,
    ) -> None:
        self._log = log
        self._promoted = promoted
        self._key = key
        self._held = held
        self._leave = leave
        self._window = None if held is None else held.window
        self._page: EventRun | None = None
        self._wanted = 0
        self._end: StreamEnd | None = None  # of a stream that nobody follows; None until it is known
        self._next_number = 0  # the number after its last record
        self.is_whole: bool = False
        self.is_attached: bool = False
        self._is_told = False
        self._has_left = False

    @property
    def first_place(self) -> int:
        """The place of the first event, for a reader of the whole stream."""
        return 0 if self._window is None or self._held is None or self._held.is_recorded else self._window.first

    # What to send next

    def events_after(self, place: int) -> Sequence[Sent] | float | None:
        """The events from a place on; or how many seconds until there may be more; None at a clean end.

        Raises:
            StreamBroken: The body must be broken off here.
        """
        run = self._run_at(place)
        return self._rest(place) if run is None else run.after(place)

    def next_after(self, place: int, now: float) -> ReadyEvents | float | None:
        """The same as bytes, for a StreamWriter."""
        while True:
            run = self._run_at(place)
            if run is not None:
                ready = run.ready_after(place)
            else:
                rest = self._rest(place)
                if rest is None or isinstance(rest, (float, int)):
                    return rest
                ready = ReadyEvents([each.encoded for each in rest], rest[-1].record.sequence_number + 1)
            if ready.frames[0]:
                return ready
            place = ready.place  # numbers without an event

    def _run_at(self, place: int) -> EventRun | None:
        """The events in memory that have this place."""
        run = self._window
        if run is not None and run.first <= place < run.next:
            return run
        run = self._page
        return run if run is not None and run.first <= place < run.next else None

    def _rest(self, place: int) -> Sequence[Sent] | float | None:
        """What `events_after` answers when no event of this place is in memory."""
        self._page = None
        held, window = self._held, self._window
        if held is not None and window is not None and place >= window.first:
            return inf if held.end is None else self._finish(held.end, place, window.next)
        if held is not None and not held.is_recorded:
            raise StreamBroken("what it missed is not in memory any more, and was not recorded")
        self._wanted = place
        return 0.0 if self._end is None else self._finish(self._end, place, self._next_number)

    def _finish(self, end: StreamEnd, place: int, next_number: int) -> Sequence[Sent] | None:
        if not self._is_told:
            self._is_told = True
            if events := end.after(place, next_number):
                return events
        if end.reason:
            raise StreamBroken(end.reason)
        self.is_whole = True
        return None

    def wait(self, seconds: float) -> Awaitable[None]:
        """Return once there may be more. A stream in this process wakes its readers for heartbeats too."""
        return self._held.wait() if seconds > 0 and self._held is not None else self._fetch()

    async def _fetch(self) -> None:
        """Read a page of the log; at its end, find out what is sent after the last record."""
        records = await self._log.read(self._key, after=self._wanted - 1, max_bytes=PAGE_BYTES)
        if records:
            self._page = EventRun(records[0].sequence_number, promoted=self._promoted)
            self._page.add(records)
            return
        if self._held is not None:  # it is on its way to the log
            await self._held.wait()
        else:
            self._end = (await self._find_end()).shown(self._promoted)

    async def _find_end(self) -> StreamEnd:
        info = await self._log.require(self._key)
        self._next_number = info.next_number
        if not info.is_finished:
            return StreamEnd(reason="nobody follows it any more")
        newest = await self._log.read(self._key, after=info.next_number - 2, limit=1)
        if newest and newest[-1].name in ENDS:
            return StreamEnd(newest=sent(newest[-1]), reason=LOST if is_lost(newest[-1]) else "")
        return await end_outside(self._log, self._key, await replay(self._log, self._key))

    def close(self) -> None:
        """The reader leaves. May be called again."""
        if not self._has_left:
            self._has_left = True
            self._leave()


async def end_outside(log: EventLog, key: StreamKey, final: State) -> StreamEnd:
    """The end of a stream whose response ended outside it.

    What the stream brought is folded from its records alone: a checkpoint may be of the final state already.

    Args:
        log: The log.
        key: The stream, with all its records.
        final: How the response ended.
    """
    info, before = await log.require(key), State()
    async for page in pages(log, info):
        before = fold_records(before, page)
    try:
        made = [sent(each) for each in made_end(before, final, info.next_number)]
    except NoBridge:
        return StreamEnd(reason=TOOK_BACK)
    # Most SDKs know no event for it, so a reader that did not ask for the cancel must not see a clean end.
    return StreamEnd(made=made, reason=CANCELLED if final.status == "cancelled" else "")


class Frames(AsyncIterator[Frame]):
    """The events of one stream, each a Frame with its number as `id`. `Relay.read` makes one.

    Leave it by reading to its end, or by `aclose()`.
    """

    def __init__(self, open: Callable[[], Awaitable[Reader]], *, place: int) -> None:
        self._open = open
        self._place = place
        self._reader: Reader | None = None
        self._ready: list[Sent] = []

    async def __anext__(self) -> Frame:
        """The next event.

        Raises:
            UnknownStream: There is no such stream.
            StreamBroken: The stream ends here, though the response may not have.
        """
        if self._reader is None:
            self._reader = await self._open()
        try:
            while not self._ready:
                await self._take(self._reader)
        except BaseException as error:
            self._reader.close()
            if isinstance(error, StreamBroken) and error.reason == CANCELLED:  # which the last frame said
                raise StopAsyncIteration from error
            raise
        record = self._ready.pop().record
        return Frame(event=record.name.encode(), data=record.data, id=b"%d" % record.sequence_number)

    async def _take(self, reader: Reader) -> None:
        events = reader.events_after(self._place)
        if events is None:
            raise StopAsyncIteration
        if isinstance(events, int | float):
            await reader.wait(events)
            return
        self._place = events[-1].record.sequence_number + 1
        self._ready = [each for each in reversed(events) if each.encoded]

    async def aclose(self) -> None:
        """Leave the stream."""
        self.close()

    def close(self) -> None:
        """Leave the stream, without waiting."""
        if self._reader is not None:
            self._reader.close()

    def __del__(self) -> None:
        self.close()


class StreamBody(AsyncIterator[bytes]):
    """The body of an answer that serves one stream: hand it to your framework's streaming response.

    Iterating it raises StreamBroken where the body must be broken off; let that through to the server.

    Attributes:
        media_type: The content type.
        headers: Headers for the answer, so that no proxy holds events back.
    """

    media_type: str = EVENT_STREAM
    headers: Mapping[str, str] = MappingProxyType(dict(STREAM_HEADERS))

    def __init__(self, reader: Reader, *, place: int, heartbeat_seconds: float) -> None:
        self._reader = reader
        reply = StreamReply(events=reader, content_type=EVENT_STREAM, place=place)
        self._writer = StreamWriter(reply, heartbeat_seconds=heartbeat_seconds)
        self._now = LoopClock().now
        self._last_write = self._now()

    async def __anext__(self) -> bytes:
        try:
            while True:
                now = self._now()
                turn = self._writer.next(now, last_write=self._last_write)
                if turn is Turn.END:
                    raise StopAsyncIteration
                if not isinstance(turn, int | float):
                    self._last_write = now
                    return HEARTBEAT if turn is Turn.BEAT else encode_frames(turn)
                await self._reader.wait(turn)
        except BaseException:
            self._reader.close()
            raise

    async def aclose(self) -> None:
        """Leave the stream."""
        self._reader.close()

    def __del__(self) -> None:
        self._reader.close()


def cursor_of(request: Any) -> int | None:
    """The number after which a request wants to read; None for everything.

    Raises:
        InvalidArgument: It is not a number.
    """
    scope: Message = getattr(request, "scope", request)
    query: bytes = scope.get("query_string", b"")
    header = headers_of(scope).get("last-event-id", "")
    asked = header or parse_qs(query.decode("latin-1")).get("starting_after", [""])[-1]
    if not asked:
        return None
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 16):
        raise InvalidArgument("Last-Event-ID" if header else "starting_after", "must be the number of an event")
    return int(asked)
