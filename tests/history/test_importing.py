"""import_stream: each event a record, twice the same, and what came before a break is kept."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold import SequencePolicy, State, checkpoint, fold
from streamfold.errors import (
    FrameTooLarge,
    InvalidArgument,
    LogClosed,
    LogConflict,
    LogGap,
    MalformedBody,
    SequenceGap,
)
from streamfold.fold import with_response
from streamfold.history import Imported, export, import_stream, is_filler, replay
from streamfold.log import EventLog, MemoryLog, Record, SavedCheckpoint, SqliteLog, StreamKey
from tests.fold.streams import Story, stories
from tests.history.made import KEY, TENANT, all_records, begin, body, events_of, facts, imported, records_of, said, save

pytestmark = pytest.mark.anyio

DATA = said("a", "b", "c")
RECORDS = records_of(DATA)


def numbered(*numbers: int | None) -> list[bytes]:
    """A stream whose events have these numbers, or none."""
    events = [json.loads(each) for each in said(*"abcdefgh"[: len(numbers) - 2], is_over=False)]
    for event, number in zip(events, numbers, strict=True):
        event["sequence_number"] = number
        if number is None:
            del event["sequence_number"]
    return [json.dumps(event).encode() for event in events]


async def numbers_of(log: EventLog) -> list[int]:
    return [record.sequence_number for record in await all_records(log)]


@given(stories(), st.integers(1, 200))
async def test_what_is_imported_is_exported_the_same(story: Story, size: int) -> None:
    log = MemoryLog()
    chunks = [story.body[start : start + size] for start in range(0, len(story.body), size)]
    assert await import_stream(log, TENANT, chunks, "resp_1") == Imported("resp_1")
    sent = b"".join([chunk async for chunk in export(log, KEY)])
    assert sent == story.body
    assert facts(await replay(log, KEY)) == facts(fold(story.events))


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
async def test_a_stream_is_stored_under_the_id_that_it_tells(engine: str, tmp_path: Path) -> None:
    async with MemoryLog() if engine == "memory" else SqliteLog(tmp_path / "log.db") as log:
        assert await imported(log, DATA) == KEY
        info = await log.info(KEY)
        assert info is not None
        assert (info.status, info.owner, await all_records(log)) == ("completed", "", RECORDS)


async def test_the_id_that_is_given_comes_first() -> None:
    log = MemoryLog()
    assert await imported(log, DATA, response_id="other") == StreamKey(TENANT, "other")


async def test_what_one_log_exports_another_imports() -> None:
    log, other = MemoryLog(), MemoryLog()
    await imported(log, DATA)
    assert await import_stream(other, TENANT, export(log, KEY)) == Imported("resp_1")
    assert await all_records(other) == RECORDS


async def test_an_id_that_is_told_late() -> None:
    log = MemoryLog()
    data = [b'{"type":"keepalive","sequence_number":%d}' % number for number in range(3)] + said("a", first=3)
    assert await imported(log, data) == KEY
    assert await numbers_of(log) == list(range(7))


@pytest.mark.parametrize("group", [1, 2, 4])
async def test_a_stream_of_many_groups(group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfold.history.transfer.GROUP_RECORDS", group)
    log = MemoryLog()
    await imported(log, DATA)
    assert await all_records(log) == RECORDS


async def test_to_import_once_more_changes_nothing() -> None:
    log = MemoryLog()
    await imported(log, DATA)
    await imported(log, DATA)
    assert await all_records(log) == RECORDS


async def test_what_was_broken_off_is_gone_on_with() -> None:
    log = MemoryLog()
    await imported(log, DATA[:3])
    info = await log.info(KEY)
    assert info is not None
    assert info.status is None
    await imported(log, DATA)
    assert await all_records(log) == RECORDS


@pytest.mark.parametrize("begin_at", [3, 5])
async def test_the_rest_of_a_stream_goes_on_where_it_was_left(begin_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("streamfold.history.replay"), "CHECKPOINT_EVERY", 1)
    log = MemoryLog()
    await imported(log, DATA[:5])
    await imported(log, DATA[begin_at:], response_id="resp_1")
    assert await all_records(log) == RECORDS
    for at in range(len(DATA)):
        assert facts(await replay(log, KEY, at=at)) == facts(fold(events_of(DATA[: at + 1])))


async def test_the_rest_of_a_stream_that_is_not_there_is_a_gap() -> None:
    log = MemoryLog()
    await imported(log, DATA[:2])
    with pytest.raises(LogGap, match="the log needs record 2 next, got 3"):
        await imported(log, DATA[3:])


async def test_another_stream_of_the_same_id_is_refused() -> None:
    log = MemoryLog()
    await imported(log, DATA)
    with pytest.raises(LogConflict, match="the log holds a different record 2"):
        await imported(log, said("X"))
    with pytest.raises(LogClosed):
        await imported(log, [*DATA, b'{"type":"keepalive","sequence_number":6}'])
    assert await all_records(log) == RECORDS


async def test_a_stream_that_begins_in_the_middle() -> None:
    log = MemoryLog()
    await imported(log, said("a", first=40), response_id="resp_1")
    info = await log.info(KEY)
    assert info is not None
    assert (info.first_number, info.next_number) == (40, 44)


@pytest.mark.parametrize(
    ("numbers", "policy", "stored"),
    [
        pytest.param([None] * 4, "strict", [0, 1, 2, 3], id="none has a number"),
        pytest.param([0, 1, 1, 2], "strict", [0, 1, 2], id="one comes twice"),
        pytest.param([0, 1, 0, 1], "strict", [0, 1], id="some come twice"),
        pytest.param([0, 1, 4, 5], "renumber", [0, 1, 2, 3, 4, 5], id="some were left out"),
        pytest.param([0, 0, 0, 7], "arrival", [0, 1, 2, 3], id="they mean nothing"),
    ],
)
async def test_numbers(numbers: list[int | None], policy: str, stored: list[int]) -> None:
    log = MemoryLog()
    data = numbered(*numbers)
    first_of = {number: data[numbers.index(number)] for number in numbers}
    came = [first_of[each] for each in numbers] if policy == "strict" and None not in numbers else data
    await imported(log, came, policy=SequencePolicy(policy))
    records = await all_records(log)
    assert [record.sequence_number for record in records] == stored
    assert [record.data for record in records if not is_filler(record)] == list(dict.fromkeys(came))
    assert facts(await replay(log, KEY)) == facts(fold(events_of(came), State.under(SequencePolicy(policy))))


async def test_another_event_of_the_same_number_is_left_out_as_a_client_leaves_it_out() -> None:
    log = MemoryLog()
    await imported(log, [*DATA[:3], said("X")[2], *DATA[3:]])
    assert await all_records(log) == RECORDS


async def test_events_without_numbers_among_others_are_records_like_any_other() -> None:
    log = MemoryLog()
    data = numbered(0, None, None, 1, None, 2)
    await imported(log, data)
    assert await all_records(log) == records_of(data)
    state = await replay(log, KEY)
    assert facts(state) == facts(fold(events_of(data)))
    assert (state.cursor, state.is_numbered, state.output_text) == (2, True, "abcd")


@pytest.mark.parametrize("first", [-5, 2**53, 2**63 - 2])
async def test_a_stream_whose_numbers_no_log_can_count_is_counted_from_0(first: int) -> None:
    log = MemoryLog()
    data = numbered(first, first + 1)
    await imported(log, data)
    assert await all_records(log) == records_of(data)


async def test_a_gap_is_refused_and_what_came_before_is_kept() -> None:
    log = MemoryLog()
    with pytest.raises(SequenceGap, match="expected event 3, got 4"):
        await imported(log, [*DATA[:3], *DATA[4:]])
    assert await all_records(log) == RECORDS[:3]


async def test_a_hole_without_an_end_has_no_records() -> None:
    log = MemoryLog()
    data = numbered(0, 1, 10**12, 10**12 + 1)
    await imported(log, data, policy=SequencePolicy.RENUMBER)
    assert await all_records(log) == records_of(data)
    assert facts(await replay(log, KEY)) == facts(fold(events_of(data), State.under(SequencePolicy.RENUMBER)))


async def test_an_event_that_was_torn_keeps_its_place() -> None:
    log = MemoryLog()
    torn = b'{"type":"response.output_text.del'
    data = body(DATA[:3]) + b"data: " + torn + b"\n\n" + body(DATA[4:])
    await import_stream(log, TENANT, [data])
    assert await all_records(log) == [*RECORDS[:3], Record(3, "", torn), *RECORDS[4:]]
    assert [anomaly.kind for anomaly in (await replay(log, KEY)).anomalies] == ["malformed", "hole"]


async def test_a_name_that_stands_on_no_line_is_left_out() -> None:
    log = MemoryLog()
    data = [*DATA[:2], b'{"type":"a\\nb","sequence_number":2}']
    await imported_frames(log, data)
    assert (await all_records(log))[2].name == ""


async def imported_frames(log: EventLog, data: Sequence[bytes]) -> Imported:
    return await import_stream(log, TENANT, [b"data: %b\n\n" % each for each in data])


def with_delta(data: bytes, delta: str) -> bytes:
    return json.dumps(json.loads(data) | {"delta": delta}).encode()


async def test_a_repetition_that_differs_is_left_out_and_reported() -> None:
    log = MemoryLog()
    data = [*DATA[:4], DATA[2], with_delta(DATA[3], "x"), *DATA[4:5], with_delta(DATA[4], "y"), *DATA[5:]]
    for _ in range(2):
        assert await imported_frames(log, data) == Imported("resp_1", 2, (3, 4))
        assert [each.data for each in await all_records(log)] == DATA


async def test_so_many_are_left_out_that_only_the_first_are_listed() -> None:
    log = MemoryLog()
    found = await imported_frames(log, [*DATA[:4], *[with_delta(DATA[3], "x")] * 1001, *DATA[4:]])
    assert (found.dropped, found.dropped_numbers) == (1001, (3,) * 1000)


async def test_events_of_another_response_are_left_out_too_and_without_numbers_have_that_of_the_last() -> None:
    log = MemoryLog()
    other = {"type": "response.created", "response": {"id": "resp_2", "status": "in_progress"}}
    found = await imported_frames(log, [*DATA, json.dumps(other).encode(), *numbered(None, None, None)[1:]])
    assert found == Imported("resp_1", 3, (5, 5, 5))


@pytest.mark.parametrize("marker", [b"data: [DONE]\n\n", b": ping\n\n", b"data:\n\n", b"event: ping\n\n"])
async def test_what_is_no_event_is_not_stored(marker: bytes) -> None:
    log = MemoryLog()
    await import_stream(log, TENANT, [body(DATA[:2]), marker, body(DATA[2:]), marker])
    assert await all_records(log) == RECORDS


async def test_a_last_block_without_its_blank_line_counts() -> None:
    log = MemoryLog()
    await import_stream(log, TENANT, [body(DATA)[:-1]])
    assert await all_records(log) == RECORDS


async def test_a_last_block_that_is_torn_is_told_and_what_came_before_is_kept() -> None:
    log = MemoryLog()
    with pytest.raises(MalformedBody, match="not a whole stream: it ends inside an event, after event 4"):
        await import_stream(log, TENANT, [body(DATA)[:-30]])
    assert await all_records(log) == RECORDS[:5]


async def test_a_block_beyond_the_limit_is_told_and_what_came_before_is_kept() -> None:
    log = MemoryLog()
    with pytest.raises(FrameTooLarge):
        await import_stream(log, TENANT, [body(DATA[:3]), b"data: " + b"x" * 900], max_frame_bytes=800)
    assert await all_records(log) == RECORDS[:3]


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        pytest.param(b"", MalformedBody, "not a Responses stream: it is empty", id="nothing"),
        pytest.param(b"<html>", MalformedBody, "it has no event, only 6 bytes of something else", id="a page"),
        pytest.param(body(DATA[2:4]), InvalidArgument, "response_id: no Response in the stream has an id", id="no id"),
        pytest.param(b"data: {\n", MalformedBody, "it ends inside an event, before the first event", id="torn"),
    ],
)
async def test_what_is_no_stream(data: bytes, error: type[Exception], words: str) -> None:
    log = MemoryLog()
    with pytest.raises(error, match=words):
        await import_stream(log, TENANT, [data])
    assert await log.tenants() == []


async def test_checkpoints_are_saved_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfold.history.transfer.GROUP_RECORDS", 1)
    monkeypatch.setattr(import_module("streamfold.history.replay"), "CHECKPOINT_EVERY", 600)
    monkeypatch.setattr(import_module("streamfold.history.replay"), "WORK_PER_BYTE", 0)
    log = MemoryLog()
    await imported(log, DATA)
    found: list[int] = []
    saved = await log.checkpoint(KEY)
    while saved is not None:
        found.append(saved.cursor)
        saved = await log.checkpoint(KEY, at=saved.cursor - 1)
    assert found == [3, 1]
    for at in range(len(DATA)):
        assert facts(await replay(log, KEY, at=at)) == facts(fold(events_of(DATA[: at + 1])))


async def test_a_last_word_that_is_there_already_stays() -> None:
    log = MemoryLog()
    lease = await begin(log, RECORDS, status="completed")
    known = await save(log, lease, DATA, at=5)
    word = SavedCheckpoint(5, checkpoint(with_response(known, b'{"status":"completed","output":[],"usage":{}}')))
    await log.save_checkpoint(lease, word)
    await log.release(lease)
    await imported(log, DATA)
    assert await log.checkpoint(KEY) == word
