"""Reads a whole stream, then what is added to it: for what deserves a mark, and for words.

Reading starts at the first record, because gaps show nowhere else. The program opens long before that is done.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio.lowlevel
from attrs import evolve
from msgspec import Struct
from msgspec.json import Decoder

from streamfold.cli.inspect.pages import Damaged, read_what_can_be
from streamfold.cli.inspect.timeline import Timeline, in_order
from streamfold.errors import LogUnusable, UnknownStream
from streamfold.history import is_filler
from streamfold.log import EventLog, Note, Record, StreamInfo, StreamKey, Watch
from streamfold.schema import UNDECODABLE

PAGE = 1000  # records
SAFETY_SECONDS = 0.5


async def first_look(log: EventLog, key: StreamKey) -> Timeline:
    """Return the stream's extent and notes, before its records are read. Raises UnknownStream if there is none."""
    info = await _existing(log, key)
    notes = in_order(await _notes(log, info))
    return Timeline(first=info.first_number, beyond=info.next_number, notes=notes, status=info.status)


@asynccontextmanager
async def scan(log: EventLog, key: StreamKey, timeline: Timeline) -> AsyncGenerator["Scan", None]:
    """Yield what to iterate for Timelines: first of the stream as it is, then, until it is finished, as it grows."""
    async with log.watch(key) as watch:
        yield Scan(log, key, timeline, watch)


class Scan(AsyncIterator[Timeline]):
    """Iterate it for Timelines, each with more in it than the one before. `timeline` is the last one."""

    def __init__(self, log: EventLog, key: StreamKey, timeline: Timeline, watch: Watch) -> None:
        self._log = log
        self._key = key
        self._watch = watch
        self._next = timeline.first
        self._is_in_gap = False
        self._is_over = False
        self._looked_for_checkpoints_at = timeline.first
        self._damage: tuple[Note, ...] = ()
        self.timeline: Timeline = timeline

    async def __anext__(self) -> Timeline:
        while not self._is_over:
            before = self.timeline
            # Asked first, so that everything appended before the end is read after the end is known.
            info = await _existing(self._log, self._key)
            has_read = await self._read(info.next_number)
            await self._look_beside(info, has_read=has_read)
            await anyio.lowlevel.checkpoint()  # a log in memory never waits, but the screen must draw
            if self.timeline != before:
                return self.timeline
            if not has_read and not self._is_over:
                await self._watch.wait(seconds=SAFETY_SECONDS)
        raise StopAsyncIteration

    async def _read(self, beyond: int) -> bool:
        """Read the next records. Returns whether there were any."""
        count = min(PAGE, beyond - self._next)
        if count <= 0:
            return False
        found = await read_what_can_be(self._log, self._key, first=self._next, count=count)
        self._next += count
        damaged = tuple(each.sequence_number for each in found if isinstance(each, Damaged))
        self.timeline = evolve(
            self.timeline,
            beyond=max(beyond, self.timeline.beyond),
            gaps=(*self.timeline.gaps, *self._gaps(found)),
            damaged=(*self.timeline.damaged, *damaged),
        )
        return True

    def _gaps(self, found: Sequence[Record | Damaged]) -> list[int]:
        begun: list[int] = []
        for each in found:
            is_gap = not isinstance(each, Damaged) and is_filler(each)
            if is_gap and not self._is_in_gap:
                begun.append(each.sequence_number)
            self._is_in_gap = is_gap
        return begun

    async def _look_beside(self, info: StreamInfo, *, has_read: bool) -> None:
        """Look for notes, checkpoints and the end, once all records so far are read."""
        if has_read and self._next < info.next_number:
            return
        if info.is_finished or self._next - self._looked_for_checkpoints_at >= PAGE:
            self._looked_for_checkpoints_at = self._next
            await self._look_for_checkpoints(info)
        notes = (*await _notes(self._log, info), *self._damage)
        self.timeline = evolve(self.timeline, notes=in_order(notes), status=info.status)
        # A recorder first finishes a stream, then notes its outcome, then releases it.
        self._is_over = info.is_finished and not info.owner and not has_read

    async def _look_for_checkpoints(self, info: StreamInfo) -> None:
        """Read the cursors of new checkpoints. Those before a damaged one cannot be found."""
        known = self.timeline.checkpoints
        newer: list[int] = []
        at: int | None = None
        try:
            while (saved := await self._log.checkpoint(self._key, at=at)) and saved.cursor not in known:
                newer.append(saved.cursor)
                at = saved.cursor - 1
        except LogUnusable as error:
            self._damage = (_as_note(error, info),)
        self.timeline = evolve(self.timeline, checkpoints=(*known, *reversed(newer)))


async def _notes(log: EventLog, info: StreamInfo) -> tuple[Note, ...]:
    """The notes; if they are damaged, one note that says so."""
    try:
        return tuple(await log.notes(info.key))
    except LogUnusable as error:
        return (_as_note(error, info),)


def _as_note(error: LogUnusable, info: StreamInfo) -> Note:
    """Show damage outside the records as a row. Raises the error if the log itself cannot be read."""
    if error.where != info.key.response_id:
        raise error
    return Note("damage", error.reason, None, info.created_at)


async def _existing(log: EventLog, key: StreamKey) -> StreamInfo:
    info = await log.info(key)
    if info is None:
        raise UnknownStream(key.tenant, key.response_id)
    return info


# Search


class _Delta(Struct):
    """The text that an event adds. The server may have put anything here."""

    delta: str = ""


_decode_delta = Decoder(_Delta).decode


class Search:
    """Looks for words in records, one after the other: in types, in data, and in text that came in several events."""

    def __init__(self, words: str) -> None:
        self._words = words.casefold()
        self._tail = ""  # the end of the text so far, one character too short to hold the words

    def finds(self, record: Record) -> bool:
        """Whether this event contains or completes the words."""
        text = self._tail + _delta(record)
        self._tail = text[-(len(self._words) - 1) :] if len(self._words) > 1 else ""
        return (
            self._words in record.name.casefold()
            or self._words in text
            or self._words in record.data.decode("utf-8", "replace").casefold()
        )


def _delta(record: Record) -> str:
    try:
        return _decode_delta(record.data).delta.casefold()
    except UNDECODABLE:
        return ""


async def find(log: EventLog, key: StreamKey, timeline: Timeline, words: str, *, after: int | None) -> int | None:
    """Return the number of the next event with these words, or None; after the last, the search starts over."""
    search = Search(words)
    start = timeline.first if after is None else after + 1
    for first, beyond in ((start, timeline.beyond), (timeline.first, start)):
        for at in range(first, beyond, PAGE):
            page = await read_what_can_be(log, key, first=at, count=min(PAGE, beyond - at))
            for record in page:
                if not isinstance(record, Damaged) and search.finds(record):
                    return record.sequence_number
    return None
