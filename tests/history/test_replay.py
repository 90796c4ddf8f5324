"""replay: the state at any number, from the nearest checkpoint, and refused where there is none."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold import SequencePolicy, State, checkpoint, fold
from streamfold.errors import LogUnusable, NumberNotReached, UnknownStream
from streamfold.fold import with_response
from streamfold.history import filler, replay
from streamfold.log import EventLog, MemoryLog, Record, SavedCheckpoint, SqliteLog, StreamKey
from tests.fold.streams import Story, stories
from tests.history.made import KEY, begin, events_of, facts, records_of, said, save

pytestmark = pytest.mark.anyio

DATA = said("a", "b", "c", "d")
LAST = len(DATA) - 1


def with_numbers(story: Story) -> st.SearchStrategy[tuple[Story, set[int], int]]:
    """A story, where it is saved, and a number. All drawn before the test begins, for what ends a drawing ends a task."""
    numbers = st.integers(0, len(story.data) - 1)
    return st.tuples(st.just(story), st.sets(numbers, max_size=4), numbers)


@given(stories().flatmap(with_numbers))
async def test_replaying_is_folding_the_records_up_to_there(drawn: tuple[Story, set[int], int]) -> None:
    story, saved, at = drawn
    log = MemoryLog()
    lease = await begin(log, records_of(story.data))
    for each in saved:
        await save(log, lease, story.data, at=each)
    assert facts(await replay(log, KEY, at=at)) == facts(fold(story.events[: at + 1]))
    assert facts(await replay(log, KEY)) == facts(fold(story.events))


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> EventLog:
    return MemoryLog() if request.param == "memory" else SqliteLog(tmp_path / "log.db")


async def test_every_number_of_a_stream_that_begins_anywhere(log: EventLog) -> None:
    data = said("a", "b", first=7)
    async with log:
        await begin(log, records_of(data, first=7))
        for at in range(7, 7 + len(data)):
            assert facts(await replay(log, KEY, at=at)) == facts(fold(events_of(data[: at - 6])))


async def test_it_begins_with_the_nearest_checkpoint(log: EventLog) -> None:
    """Shown by checkpoints that hold another text than the records do."""
    other = said("A", "B", "C", "D")
    async with log:
        lease = await begin(log, records_of(DATA))
        await save(log, lease, other, at=2)
        await save(log, lease, other, at=4)
        assert [(await replay(log, KEY, at=at)).output_text for at in range(1, 6)] == ["", "A", "Ab", "ABC", "ABCd"]


async def test_a_checkpoint_that_is_damaged_is_not_needed_for_a_number(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        await save(log, await begin(log, records_of(DATA)), DATA, at=3)
    with closing(sqlite3.connect(path)) as damaged:
        damaged.execute("UPDATE checkpoint SET data = x'7b7d'")
        damaged.commit()
    async with SqliteLog(path) as log:
        assert facts(await replay(log, KEY, at=4)) == facts(fold(events_of(DATA[:5])))
        with pytest.raises(LogUnusable, match="checkpoint 3 is damaged"):  # it may be the last word
            await replay(log, KEY)


async def test_without_a_number_the_last_word_counts_and_with_one_the_events_do(log: EventLog) -> None:
    async with log:
        data = said("a", is_over=False)
        lease = await begin(log, records_of(data))
        fetched = with_response(fold(events_of(data)), b'{"status":"completed","output":[]}')
        await log.save_checkpoint(lease, SavedCheckpoint(2, checkpoint(fetched)))
        await log.append(lease, [], status="completed")
        assert (await replay(log, KEY)).status == "completed"
        assert (await replay(log, KEY, at=2)).status == "in_progress"


async def test_a_checkpoint_counts_where_the_log_has_it(log: EventLog) -> None:
    """A stream stored with other numbers than its events': the state has theirs, as its client had."""
    events = said("a", "b", "c", is_over=False)
    async with log:
        lease = await begin(log, [Record(number, "", each) for number, each in enumerate(events, 10)])
        await log.save_checkpoint(lease, SavedCheckpoint(13, checkpoint(fold(events_of(events[:4])))))
        state = await replay(log, KEY, at=14)
        assert (state.cursor, state.output_text, state.is_numbered) == (4, "abc", True)
        assert (await replay(log, KEY, at=13)).output_text == "ab"


async def test_a_checkpoint_that_cannot_be_read_is_passed_over(log: EventLog) -> None:
    async with log:
        lease = await begin(log, records_of(DATA))
        await save(log, lease, said("A", "B", "C", "D"), at=2)
        await log.save_checkpoint(lease, SavedCheckpoint(3, b'{"type":"streamfold.checkpoint","version":99}'))
        assert (await replay(log, KEY, at=4)).output_text == "Abc"


@pytest.mark.parametrize(
    ("at", "words"),
    [
        pytest.param(-1, "no state at -1: the events skip it and continue at 0", id="before the first"),
        pytest.param(LAST + 1, f"no state at {LAST + 1}: the events end at {LAST}", id="behind the last"),
    ],
)
async def test_a_number_that_is_not_there(at: int, words: str) -> None:
    log = MemoryLog()
    await begin(log, records_of(DATA))
    with pytest.raises(NumberNotReached, match=words):
        await replay(log, KEY, at=at)


@pytest.mark.parametrize(
    ("at", "words"), [(3, "skip it and continue at 5"), (4, "skip it and continue at 5"), (6, "end at 5")]
)
async def test_a_number_that_the_server_never_used_has_no_state(at: int, words: str) -> None:
    log = MemoryLog()
    head, tail = records_of(said("a", is_over=False)), records_of(said("b", first=2)[3:4], first=5)
    await begin(log, [*head, filler(3), filler(4), *tail, filler(6)])
    with pytest.raises(NumberNotReached, match=words):
        await replay(log, KEY, at=at)
    events = events_of([record.data for record in [*head, *tail]])
    assert facts(await replay(log, KEY)) == facts(fold(events, State.under(SequencePolicy.RENUMBER)))


async def test_a_stream_without_events() -> None:
    log = MemoryLog()
    await log.acquire(KEY, owner="test", seconds=1)
    assert await replay(log, KEY) == State()
    with pytest.raises(NumberNotReached, match="no state at 0: there are no events"):
        await replay(log, KEY, at=0)


async def test_a_stream_that_is_not_there() -> None:
    with pytest.raises(UnknownStream, match="the log has no stream of resp_1"):
        await replay(MemoryLog(), KEY)


class Forgetful(MemoryLog):
    """A log that has lost a record, and does not say so."""

    def __init__(self, *lost: int) -> None:
        super().__init__()
        self._lost = lost

    async def read(
        self, key: StreamKey, *, after: int | None = None, limit: int = 500, max_bytes: int | None = None
    ) -> list[Record]:
        found = await super().read(key, after=after, limit=limit, max_bytes=max_bytes)
        return [record for record in found if record.sequence_number not in self._lost]


@pytest.mark.parametrize("lost", [(3,), (LAST,), tuple(range(LAST + 1))], ids=["one", "the last", "all"])
async def test_a_record_that_is_missing_is_told_and_never_passed_over(lost: tuple[int, ...]) -> None:
    log = Forgetful(*lost)
    await begin(log, records_of(DATA))
    with pytest.raises(LogUnusable, match=f"resp_1: record {lost[0]} is missing; restore the log from a copy"):
        await replay(log, KEY)


class Emptied(MemoryLog):
    """A log whose stream is dropped as soon as it is looked at."""

    async def checkpoint(self, key: StreamKey, *, at: int | None = None) -> SavedCheckpoint | None:
        await self.drop(key)
        return None


async def test_a_stream_that_is_dropped_meanwhile_is_unknown() -> None:
    log = Emptied()
    await begin(log, records_of(DATA))
    with pytest.raises(UnknownStream):
        await replay(log, KEY)
