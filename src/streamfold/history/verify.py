"""Verification: whether each stream of a log is intact, and if not, why."""

from collections import deque

from attrs import frozen

from streamfold.errors import LogError, MalformedCheckpoint, UnknownStream
from streamfold.fold import State, restore, snapshot_json, with_cursor
from streamfold.history.step import Step, states
from streamfold.log import EventLog, StreamInfo, StreamKey
from streamfold.schema import UnknownEvent


@frozen
class StreamReport:
    """What is wrong with one stream.

    Attributes:
        key: The stream; None for the store itself.
        events: How many events could be read.
        status: The final status of the response; None while the stream is open.
        problems: What is wrong; empty if the stream is intact.
    """

    key: StreamKey | None
    events: int = 0
    status: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the stream is intact."""
        return not self.problems


class StreamReports:
    """Iterate it for the reports. `verify` makes one.

    Attributes:
        streams: How many streams there are, once the first report was returned.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._has_begun = False
        self._keys: deque[StreamKey] = deque()
        self._damages: dict[StreamKey | None, list[str]] = {}
        self.streams: int = 0

    def __aiter__(self) -> "StreamReports":
        return self

    async def __anext__(self) -> StreamReport:
        if not self._has_begun:
            self._has_begun = True
            await self._begin()
        while self._keys:
            info = await self._info(self._keys.popleft())
            if info is not None:
                return await _Examination(self._log, info).report(self._damages.pop(info.key, []))
        for key in list(self._damages):
            return StreamReport(key, problems=tuple(self._damages.pop(key)))
        raise StopAsyncIteration

    async def _begin(self) -> None:
        try:
            for damage in await self._log.damages():
                self._damages.setdefault(damage.key, []).append(damage.reason)
        except LogError as error:
            self._note(None, error)
        try:
            async for info in self._log.streams():
                self._keys.append(info.key)
        except LogError as error:
            self._note(None, error)
        self.streams = len(self._keys)

    async def _info(self, key: StreamKey) -> StreamInfo | None:
        """The head of a stream; None if it was dropped meanwhile or cannot be read."""
        try:
            return await self._log.info(key)
        except LogError as error:
            self._note(key, error)
            return None

    def _note(self, key: StreamKey | None, error: LogError) -> None:
        reasons = self._damages.setdefault(key, [])
        if str(error) not in reasons:
            reasons.append(str(error))


def verify(log: EventLog) -> StreamReports:
    """Verify a log: a report per stream of every tenant, then one for anything else in the store that is damaged.

    A stream is intact if no record is missing or damaged, every record decodes as an event, every checkpoint equals the
    fold of the records before it, and a finished stream ends in a terminal state. The checkpoint at the end of a
    finished stream may contain more than its events, because the client may have fetched the final Response.

    This reads the whole log and changes nothing. Damage is reported, not raised.
    """
    return StreamReports(log)


class _Examination:
    """One stream, read from beginning to end."""

    def __init__(self, log: EventLog, info: StreamInfo) -> None:
        self._log = log
        self._info = info
        self._problems: list[str] = []
        self._checkpoints: deque[int] = deque()  # the cursors of those that are still ahead
        self._state = State()

    async def report(self, damages: list[str]) -> StreamReport:
        """The report on the stream. `damages` is what the store itself reports about it."""
        events = 0
        try:
            await self._find_checkpoints()
            async for step in states(self._log, self._info.key):
                events += 1
                self._state = step.after
                self._check_event(step)
                if self._checkpoints and self._checkpoints[0] == step.record.sequence_number:
                    await self._compare(self._checkpoints.popleft())
            self._check_end()
        except UnknownStream:  # dropped meanwhile
            return StreamReport(self._info.key)
        except LogError as error:
            damages = damages or [str(error)]  # the store reports the same, and may report more
        problems = (*self._problems, *damages)
        return StreamReport(self._info.key, events, self._info.status, problems)

    async def _find_checkpoints(self) -> None:
        saved = await self._log.checkpoint(self._info.key)
        while saved is not None:
            self._checkpoints.appendleft(saved.cursor)
            saved = await self._log.checkpoint(self._info.key, at=saved.cursor - 1)

    def _check_event(self, step: Step) -> None:
        event = step.event
        if isinstance(event, UnknownEvent) and event.error and not event.wire_type:
            self._problems.append(f"record {step.record.sequence_number} is not an event: {event.error}")

    async def _compare(self, cursor: int) -> None:
        """Compare the checkpoint at the number that was just reached with the state there."""
        saved = await self._log.checkpoint(self._info.key, at=cursor)
        try:
            restored = State() if saved is None else with_cursor(restore(saved.data), cursor)
        except MalformedCheckpoint as error:
            self._problems.append(f"at {cursor}: {error}")
            return
        if self._info.is_finished and cursor == self._info.next_number - 1:
            self._state = restored  # it may know more than the events
        elif _facts(restored) != _facts(self._state):
            self._problems.append(f"the checkpoint at {cursor} differs from the fold of the records before it")

    def _check_end(self) -> None:
        for cursor in self._checkpoints:
            self._problems.append(f"the checkpoint at {cursor} belongs to no event")
        if self._info.is_finished and not self._state.is_terminal:
            self._problems.append(
                f"the stream is finished as {self._info.status}, but its state is {self._state.status}"
            )


def _facts(state: State) -> tuple[object, ...]:
    """What a state says about the response; how its numbers are read is left out."""
    return state.cursor, state.status, state.anomalies, state.error, snapshot_json(state)
