"""Verification: whether each stream of a log is intact, and if not, why."""

from collections import deque
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

from attrs import frozen

from streamfold.errors import LogError, MalformedCheckpoint, UnknownStream
from streamfold.fold import AnomalyKind, State, restore, snapshot_json
from streamfold.history.step import states
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


class StreamReports(AsyncIterator[StreamReport]):
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

    async def __anext__(self) -> StreamReport:
        if not self._has_begun:
            self._has_begun = True
            await self._begin()
        while self._keys:
            key = self._keys.popleft()
            info = None
            with self._reported_of(key):
                info = await self._log.info(key)
            if info is not None:  # else it was dropped meanwhile, or cannot be read
                return await _examine(self._log, info, self._damages.pop(key, []))
        for damaged in list(self._damages):
            return StreamReport(damaged, problems=tuple(self._damages.pop(damaged)))
        raise StopAsyncIteration

    async def _begin(self) -> None:
        with self._reported_of(None):
            for damage in await self._log.damages():
                self._damages.setdefault(damage.key, []).append(damage.reason)
        with self._reported_of(None):
            async for info in self._log.streams():
                self._keys.append(info.key)
        self.streams = len(self._keys)

    @contextmanager
    def _reported_of(self, key: StreamKey | None) -> Generator[None]:
        """What the log cannot read is one more damage."""
        try:
            yield
        except LogError as error:
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


async def _examine(log: EventLog, info: StreamInfo, damages: list[str]) -> StreamReport:
    """The report on one stream. `damages` is what the store itself reports about it."""
    events, state = 0, State()
    problems: list[str] = []
    try:
        checkpoints = await _cursors(log, info.key)
        async for step in states(log, info.key):
            events += 1
            number, state = step.record.sequence_number, step.after
            if isinstance(step.event, UnknownEvent) and step.event.error and not step.event.wire_type:
                problems.append(f"record {number} is not an event: {step.event.error}")
            if checkpoints and checkpoints[0] == number:
                state = await _compare(log, info, checkpoints.popleft(), state, problems)
        if checkpoints and info.is_finished and checkpoints[-1] == info.next_number - 1:
            # The final Response was fetched, and the last record has no event: it may even be the only one.
            state = await _compare(log, info, checkpoints.pop(), state, problems)
        problems += [f"the checkpoint at {cursor} belongs to no event" for cursor in checkpoints]
        if info.is_finished and not state.is_terminal:
            problems.append(f"the stream is finished as {info.status}, but its state is {state.status}")
    except UnknownStream:  # dropped meanwhile
        return StreamReport(info.key)
    except LogError as error:
        damages = damages or [str(error)]  # the store reports the same, and may report more
    return StreamReport(info.key, events, info.status, (*problems, *damages))


async def _cursors(log: EventLog, key: StreamKey) -> deque[int]:
    """The cursors of all checkpoints of a stream, in order."""
    cursors: deque[int] = deque()
    saved = await log.checkpoint(key)
    while saved is not None:
        cursors.appendleft(saved.cursor)
        saved = await log.checkpoint(key, at=saved.cursor - 1)
    return cursors


async def _compare(log: EventLog, info: StreamInfo, cursor: int, state: State, problems: list[str]) -> State:
    """Compare a checkpoint with the state there. Returns the state to continue with."""
    saved = await log.checkpoint(info.key, at=cursor)
    try:
        restored = State() if saved is None else restore(saved.data)
    except MalformedCheckpoint as error:
        problems.append(f"at {cursor}: {error}")
        return state
    if info.is_finished and cursor == info.next_number - 1:
        return restored  # it may know more than the events
    if _facts(restored) != _facts(state):
        problems.append(f"the checkpoint at {cursor} differs from the fold of the records before it")
    return state


_OF_NUMBERS = {AnomalyKind.UNNUMBERED, AnomalyKind.HOLE}


def _facts(state: State) -> tuple[object, ...]:
    """What a state says about the response; how its numbers are read is left out."""
    anomalies = [(each.kind, each.count) for each in state.anomalies if each.kind not in _OF_NUMBERS]
    return state.status, anomalies, state.error, snapshot_json(state)
