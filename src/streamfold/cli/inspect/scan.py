"""A look at a whole stream, and then at what is added to it: what in it deserves a mark.

In      a log, a key
Out     Timelines, each with more in it than the one before
Units   sequence numbers; records
Errors  UnknownStream where the stream is dropped; LogError
Source  docs/reference/cli.md

It begins at the first record, for a gap is seen nowhere else; so the program is open long before it is done.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import anyio.lowlevel
from attrs import evolve

from streamfold.cli.inspect.pages import Damaged, read_what_can_be
from streamfold.cli.inspect.timeline import Timeline, begin, in_order
from streamfold.errors import LogUnusable, UnknownStream
from streamfold.history import is_filler
from streamfold.log import EventLog, Note, Record, StreamInfo, StreamKey, Watch

__all__ = ["Survey", "first_look", "survey"]

READ_AT_ONCE = 1000
SAFETY_SECONDS = 0.5


async def first_look(log: EventLog, key: StreamKey) -> Timeline:
    """Where the stream stands, before its records are read.

    Raises: UnknownStream; LogError.
    """
    info = await _existing(log, key)
    return begin(info, await _notes(log, info))


@asynccontextmanager
async def survey(log: EventLog, key: StreamKey, timeline: Timeline) -> AsyncGenerator["Survey", None]:
    """Iterate what it gives for Timelines: of what is there, and then, until the stream is finished, of what comes."""
    async with log.watch(key) as watch:
        yield Survey(log, key, timeline, watch)


class Survey:
    """See `survey`. timeline: the last one that was given."""

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

    def __aiter__(self) -> "Survey":
        return self

    async def __anext__(self) -> Timeline:
        while not self._is_over:
            before = self.timeline
            # Asked first: what was appended before the end is then read after it was told.
            info = await _existing(self._log, self._key)
            has_read = await self._read(info.next_number)
            await self._look_beside(info, has_read=has_read)
            await anyio.lowlevel.checkpoint()  # a log in memory never waits, and the screen needs its turn
            if self.timeline != before:
                return self.timeline
            if not has_read and not self._is_over:
                await self._watch.wait(seconds=SAFETY_SECONDS)
        raise StopAsyncIteration

    async def _read(self, beyond: int) -> bool:
        """Read the next records. Returns: whether there were any."""
        count = min(READ_AT_ONCE, beyond - self._next)
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
        """Notes, checkpoints and the end, once the records were read as far as they go."""
        if has_read and self._next < info.next_number:
            return
        if info.is_finished or self._next - self._looked_for_checkpoints_at >= READ_AT_ONCE:
            self._looked_for_checkpoints_at = self._next
            await self._look_for_checkpoints(info)
        notes = (*await _notes(self._log, info), *self._damage)
        self.timeline = evolve(self.timeline, notes=in_order(notes), status=info.status)
        # Whoever finishes a stream notes its outcome then, and lets go of it last.
        self._is_over = info.is_finished and not info.owner and not has_read

    async def _look_for_checkpoints(self, info: StreamInfo) -> None:
        """The cursors of all. Those that are known already are not read again; behind a damaged one none is found."""
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
    """The notes; where they are damaged, one that says so."""
    try:
        return tuple(await log.notes(info.key))
    except LogUnusable as error:
        return (_as_note(error, info),)


def _as_note(error: LogUnusable, info: StreamInfo) -> Note:
    """What is damaged beside the records, as a row of its own.

    Raises: the error, where it is not the stream that is damaged, but the log that cannot be read.
    """
    if error.where != info.key.response_id:
        raise error
    return Note("damage", error.reason, None, info.created_at)


async def _existing(log: EventLog, key: StreamKey) -> StreamInfo:
    info = await log.info(key)
    if info is None:
        raise UnknownStream(key.tenant, key.response_id)
    return info
