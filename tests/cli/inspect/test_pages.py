"""Entries a page at a time: their states are those of a fold; what cannot be read is told in its place."""

from pathlib import Path

import pytest

from streamfold import State, fold
from streamfold.cli.inspect.pages import MAX_PAGES, NO_EVENT, NO_STATE, PAGE, Damaged, Entry, Pages, read_what_can_be
from streamfold.errors import LogUnusable
from streamfold.history import filler
from streamfold.log import EventLog, MemoryLog, Record, SqliteLog
from tests.cli.inspect.made import RECORDS, damage, put, remove
from tests.history.made import KEY, events_of, facts, records_of, said

pytestmark = pytest.mark.anyio

LONG = [f"{number} " for number in range(3 * PAGE)]


async def loaded(log: EventLog, number: int, *, first: int = 0, beyond: int) -> Entry:
    pages = Pages(log, KEY, first=first)
    await pages.load(number, beyond=beyond)
    entry = pages.entry(number)
    assert entry is not None
    return entry


@pytest.mark.parametrize("at", [0, 1, PAGE - 1, PAGE, 2 * PAGE + 7, 3 * PAGE + 2])
async def test_an_entry_has_the_states_around_it(at: int) -> None:
    data = said(*LONG)
    log = MemoryLog()
    await put(log, records_of(data))
    entry = await loaded(log, at, beyond=len(data))
    assert entry.before is not None
    assert entry.after is not None
    assert facts(entry.after) == facts(fold(events_of(data[: at + 1])))
    assert facts(entry.before) == facts(fold(events_of(data[:at])))
    assert entry.record == records_of(data)[at]


async def test_a_page_that_follows_one_at_hand_goes_on_from_its_state() -> None:
    log = MemoryLog()
    await put(log, records_of(said(*LONG)))
    pages = Pages(log, KEY, first=0)
    await pages.load(0, beyond=PAGE * 2)
    await pages.load(PAGE, beyond=PAGE * 2)
    last, first = pages.entry(PAGE - 1), pages.entry(PAGE)
    assert last is not None
    assert first is not None
    assert first.before is last.after


async def test_a_page_of_a_growing_stream_is_gone_on_with() -> None:
    log = MemoryLog()
    lease = await put(log, RECORDS[:3])
    pages = Pages(log, KEY, first=0)
    await pages.load(0, beyond=3)
    assert pages.entry(3) is None
    await log.append(lease, RECORDS[3:])
    kept = pages.entry(2)
    await pages.load(3, beyond=len(RECORDS))
    assert pages.entry(2) is kept
    last = pages.entry(6)
    assert last is not None
    assert last.after is not None
    assert last.after.output_text == "Hello world"


async def test_the_pages_that_were_asked_for_long_ago_are_let_go() -> None:
    log = MemoryLog()
    data = said(*["x"] * (PAGE * (MAX_PAGES + 1)))
    await put(log, records_of(data))
    pages = Pages(log, KEY, first=0)
    for page in range(MAX_PAGES):
        await pages.load(page * PAGE, beyond=len(data))
    await pages.load(0, beyond=len(data))  # asked for again
    await pages.load(MAX_PAGES * PAGE, beyond=len(data))
    assert [pages.entry(page * PAGE) is not None for page in (0, 1, 2)] == [True, False, True]


def with_gap(length: int) -> list[Record]:
    """Two events, numbers that were never used, and one more event."""
    data = said("a", first=0)
    later = said("b", first=length)[2:3]
    number = length + 2
    return [*records_of(data[:2]), *map(filler, range(2, number)), *records_of(later, first=number)]


@pytest.mark.parametrize("length", [3, PAGE + 5, 3 * PAGE])
async def test_a_number_that_was_never_used_has_the_state_before_it(length: int) -> None:
    log = MemoryLog()
    records = with_gap(length)
    await put(log, records)
    entry = await loaded(log, len(records) - 2, beyond=len(records))
    assert (entry.words, entry.after) == (NO_EVENT, entry.before)
    assert isinstance(entry.after, State)
    assert entry.after.cursor == 1
    last = await loaded(log, len(records) - 1, beyond=len(records))
    assert last.after is not None
    assert last.after.output_text == "b"


async def test_a_stream_that_begins_with_numbers_never_used() -> None:
    log = MemoryLog()
    records = [*map(filler, range(PAGE)), *records_of(said("a", first=PAGE), first=PAGE)]
    await put(log, records)
    entry = await loaded(log, PAGE, beyond=len(records))
    assert entry.before == State()


@pytest.mark.parametrize("spoil", [damage, remove], ids=["damaged", "missing"])
async def test_a_record_that_cannot_be_read_is_told_in_its_place(tmp_path: Path, spoil: object) -> None:
    assert callable(spoil)
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        await put(log)
    spoil(path, 4)
    async with SqliteLog(path) as log:
        pages = Pages(log, KEY, first=0)
        await pages.load(0, beyond=7)
    entries = [pages.entry(number) for number in range(7)]
    assert [each is not None and each.after is not None for each in entries] == [True] * 4 + [False] * 3
    assert entries[4] is not None
    assert entries[4].record is None
    assert entries[4].words.startswith("record 4 is ")
    assert entries[5] is not None
    assert (entries[5].record, entries[5].words) == (RECORDS[5], NO_STATE)


async def test_behind_a_damaged_page_states_cannot_be_known(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    records = records_of(said(*LONG))
    async with SqliteLog(path) as log:
        await put(log, records)
    damage(path, 4)
    async with SqliteLog(path) as log:
        entry = await loaded(log, 2 * PAGE, beyond=len(records))
    assert (entry.record, entry.after, entry.words) == (records[2 * PAGE], None, NO_STATE)


async def test_records_that_are_missing_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        await put(log)
    remove(path, 6)
    async with SqliteLog(path) as log:
        found = await read_what_can_be(log, KEY, first=5, count=2)
    assert found == [RECORDS[5], Damaged(6, "record 6 is missing; restore the log from a copy")]


async def test_a_log_that_cannot_be_read_at_all_is_no_damaged_record() -> None:
    log = MemoryLog()
    await put(log)
    await log.aclose()
    with pytest.raises(LogUnusable):
        await read_what_can_be(log, KEY, first=0, count=7)
