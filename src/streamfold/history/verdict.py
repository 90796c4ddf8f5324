"""Is each stream of a log whole? And if not, why.

In      a log
Out     a Verdict for each stream of each tenant, as they are looked at
Units   events; sequence numbers
Errors  none for what is damaged: that is in the verdicts
Source  docs/reference/history.md
"""

from collections import deque

from attrs import frozen

from streamfold.errors import LogError, MalformedCheckpoint, UnknownStream
from streamfold.fold import State, restore, snapshot_json, with_cursor
from streamfold.history.step import Step, states
from streamfold.log import EventLog, StreamInfo, StreamKey
from streamfold.schema import UnknownEvent

__all__ = ["Verdict", "Verdicts", "verify"]


@frozen
class Verdict:
    """What is wrong with one stream, if anything. key: None for the store itself. events: how many could be read.

    status: how the stream ended; None while it is open.
    """

    key: StreamKey | None
    events: int = 0
    status: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class Verdicts:
    """Iterate it for the verdicts: those of the streams, then those of whatever else in the store is damaged.

    streams: how many there are, once the first verdict was given.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._has_begun = False
        self._keys: deque[StreamKey] = deque()
        self._damages: dict[StreamKey | None, list[str]] = {}
        self.streams: int = 0

    def __aiter__(self) -> "Verdicts":
        return self

    async def __anext__(self) -> Verdict:
        if not self._has_begun:
            self._has_begun = True
            await self._begin()
        while self._keys:
            info = await self._info(self._keys.popleft())
            if info is not None:
                return await _Examination(self._log, info).verdict(self._damages.pop(info.key, []))
        for key in list(self._damages):
            return Verdict(key, problems=tuple(self._damages.pop(key)))
        raise StopAsyncIteration

    async def _begin(self) -> None:
        try:
            for damage in await self._log.damages():
                self._damages.setdefault(damage.key, []).append(damage.reason)
        except LogError as error:
            self._note(None, error)
        try:
            await self._list()
        except LogError as error:
            self._note(None, error)
        self.streams = len(self._keys)

    async def _list(self) -> None:
        tenant: str | None = None
        while tenants := await self._log.tenants(after=tenant):
            for tenant in tenants:
                response_id: str | None = None
                while infos := await self._log.list(tenant, after=response_id):
                    self._keys.extend(info.key for info in infos)
                    response_id = infos[-1].key.response_id

    async def _info(self, key: StreamKey) -> StreamInfo | None:
        """Where the stream stands; None where it was dropped meanwhile, or cannot be read."""
        try:
            return await self._log.info(key)
        except LogError as error:
            self._note(key, error)
            return None

    def _note(self, key: StreamKey | None, error: LogError) -> None:
        told = self._damages.setdefault(key, [])
        if str(error) not in told:
            told.append(str(error))


def verify(log: EventLog) -> Verdicts:
    """Iterate it for a Verdict on each stream, of all tenants. It reads the whole log, and changes nothing.

    A stream is whole where no record is missing or damaged, each can be read as an event, each checkpoint is what the
    records before it fold to, and where it is finished its state is terminal. At the end of a finished stream the
    checkpoint may know more: the final Response may have been fetched.
    """
    return Verdicts(log)


class _Examination:
    """One stream, read from its beginning to its end."""

    def __init__(self, log: EventLog, info: StreamInfo) -> None:
        self._log = log
        self._info = info
        self._problems: list[str] = []
        self._checkpoints: deque[int] = deque()  # their cursors, those that were not met yet
        self._state = State()

    async def verdict(self, damages: list[str]) -> Verdict:
        """What is wrong. damages: what the store itself says of the stream."""
        events = 0
        try:
            await self._find_checkpoints()
            async for step in states(self._log, self._info.key):
                events += 1
                self._state = step.after
                self._look_at(step)
                if self._checkpoints and self._checkpoints[0] == step.record.sequence_number:
                    await self._compare(self._checkpoints.popleft())
            self._look_at_end()
        except UnknownStream:  # it was dropped meanwhile
            return Verdict(self._info.key)
        except LogError as error:
            damages = damages or [str(error)]  # what the store says is the same, and may be more
        problems = (*self._problems, *damages)
        return Verdict(self._info.key, events, self._info.status, problems)

    async def _find_checkpoints(self) -> None:
        saved = await self._log.checkpoint(self._info.key)
        while saved is not None:
            self._checkpoints.appendleft(saved.cursor)
            saved = await self._log.checkpoint(self._info.key, at=saved.cursor - 1)

    def _look_at(self, step: Step) -> None:
        event = step.event
        if isinstance(event, UnknownEvent) and event.error and not event.wire_type:
            self._problems.append(f"record {step.record.sequence_number} is no event: {event.error}")

    async def _compare(self, cursor: int) -> None:
        """The checkpoint at the number that was just reached, with the state there."""
        saved = await self._log.checkpoint(self._info.key, at=cursor)
        try:
            restored = State() if saved is None else with_cursor(restore(saved.data), cursor)
        except MalformedCheckpoint as error:
            self._problems.append(f"at {cursor}: {error}")
            return
        if self._info.is_finished and cursor == self._info.next_number - 1:
            self._state = restored  # the last word, which may know more than the events
        elif _facts(restored) != _facts(self._state):
            self._problems.append(f"the checkpoint at {cursor} is not what the records before it fold to")

    def _look_at_end(self) -> None:
        for cursor in self._checkpoints:
            self._problems.append(f"the checkpoint at {cursor} belongs to no event")
        if self._info.is_finished and not self._state.is_terminal:
            self._problems.append(f"it is finished as {self._info.status}, and its state is {self._state.status}")


def _facts(state: State) -> tuple[object, ...]:
    """What a state tells: how its numbers are read is no part of that."""
    return state.cursor, state.status, state.anomalies, state.error, snapshot_json(state)
