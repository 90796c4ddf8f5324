"""GET with stream=true: from a cursor, beyond the end, of what is over, and what cannot be streamed."""

from pathlib import Path

import pytest

from streamfold.chaos import ErrorFlat, KeepaliveFirst
from streamfold.emulator import Emulator, Options
from streamfold.errors import UsageError
from tests.emulator.inprocess import BOTH, MKA1, OPENAI, Answer, HandClock, ask, begin, create, start

pytestmark = pytest.mark.anyio

SLOW = Options(tokens_per_second=10, hold_after_events=12)


async def resume(app: Emulator, id: str, query: str = "", prefix: str = MKA1) -> Answer:
    return await ask(app, "GET", f"{prefix}/responses/{id}?stream=true{query}")


async def whole(app: Emulator, prefix: str) -> Answer:
    return await create(app, prefix, stream=True, background=True)


def finished(**options: object) -> Emulator:
    return Emulator(Options(tokens_per_second=None, **options), clock=HandClock())


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_cursor_is_exclusive_and_the_rest_is_the_same(prefix: str) -> None:
    clock = HandClock()
    app = Emulator(SLOW, clock=clock)
    asked = {"model": "toy", "input": "Hi", "stream": True, "background": True}
    async with begin(app, "POST", f"{prefix}/responses", asked) as first:
        await first.until(3)
        clock.advance(100)
        await first.until(12)
    id = first.answer.events[0]["response"]["id"]
    async with begin(app, "GET", f"{prefix}/responses/{id}?stream=true&starting_after=4") as second:
        await second.until(7)
    assert second.answer.events == first.answer.events[5:]


@pytest.mark.parametrize("query", ["", "&starting_after=-1"])
async def test_without_a_cursor_everything_comes(query: str) -> None:
    app = finished(hold_after_events=6)
    id = await start(app, stream_events=True)
    async with begin(app, "GET", f"{MKA1}/responses/{id}?stream=true{query}") as exchange:
        await exchange.until(6)
    assert exchange.answer.numbers == [0, 1, 2, 3, 4, 5]


async def test_on_openai_what_is_over_is_replayed_in_full() -> None:
    app = finished()
    first = await whole(app, OPENAI)
    id = first.events[0]["response"]["id"]
    assert (await resume(app, id, prefix=OPENAI)).events == first.events
    assert (await resume(app, id, "&starting_after=3", OPENAI)).events == first.events[4:]


async def test_on_mka1_what_is_over_is_its_terminal_event_alone() -> None:
    app = finished()
    first = await whole(app, MKA1)
    id = first.events[0]["response"]["id"]
    for query in ("", "&starting_after=0", "&starting_after=7"):
        assert (await resume(app, id, query)).events == first.events[-1:]


async def test_the_single_event_may_have_the_number_after_the_cursor() -> None:
    app = finished(numbers_finished_next=True)
    id = (await whole(app, MKA1)).events[0]["response"]["id"]
    assert (await resume(app, id, "&starting_after=7")).numbers == [8]
    assert (await resume(app, id)).numbers[0] > 8


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize("beyond", [0, 1, 1000])
async def test_beyond_the_end_is_an_empty_stream(prefix: str, beyond: int) -> None:
    app = finished()
    first = await whole(app, prefix)
    last = first.numbers[-1] + beyond
    answer = await resume(app, first.events[0]["response"]["id"], f"&starting_after={last}", prefix)
    assert (answer.status, answer.body, answer.is_complete) == (200, b"", True)


async def test_a_cursor_ahead_of_a_running_response_waits_for_what_comes_after_it() -> None:
    clock = HandClock(jumps=True)
    app = Emulator(Options(tokens_per_second=10), clock=clock)
    id = await start(app, stream_events=True)
    assert (await resume(app, id, "&starting_after=20")).numbers[0] == 21


# Made without stream


async def test_on_mka1_a_quiet_response_is_streamed_without_its_deltas() -> None:
    app = Emulator(Options(tokens_per_second=10), clock=HandClock(jumps=True))
    id = await start(app)
    answer = await resume(app, id)
    assert not [each for each in answer.types if each.endswith(".delta")]
    assert (answer.types[0], answer.types[-1]) == ("created", "completed")
    assert answer.numbers == list(range(len(answer.numbers)))


async def test_on_mka1_stream_events_brings_the_deltas() -> None:
    app = Emulator(Options(tokens_per_second=10), clock=HandClock(jumps=True))
    id = await start(app, stream_events=True)
    assert "output_text.delta" in (await resume(app, id)).types


# What cannot be streamed


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_foreground_response_cannot_be_resumed(prefix: str) -> None:
    app = finished()
    answer = await resume(app, (await create(app, prefix)).json["id"], prefix=prefix)
    assert answer.status == 400
    assert "was not created with background=true" in answer.error["message"]


async def test_on_openai_a_response_made_without_stream_cannot_be_streamed() -> None:
    app = finished()
    answer = await resume(app, await start(app, OPENAI), prefix=OPENAI)
    assert answer.status == 400
    assert "was not created with stream=true" in answer.error["message"]


async def test_on_openai_the_window_is_five_minutes() -> None:
    clock = HandClock()
    app = Emulator(Options(tokens_per_second=None), clock=clock)
    id = (await whole(app, OPENAI)).events[0]["response"]["id"]
    clock.advance(299)
    assert (await resume(app, id, prefix=OPENAI)).status == 200
    clock.advance(1)
    answer = await resume(app, id, prefix=OPENAI)
    assert answer.status == 400
    assert "can no longer be streamed because it is more than 5 minutes old" in answer.error["message"]
    assert (await ask(app, "GET", f"{OPENAI}/responses/{id}")).json["status"] == "completed"


@pytest.mark.parametrize("prefix", BOTH)
async def test_the_window_can_be_set(prefix: str) -> None:
    app = finished(resume_window_seconds=0)
    assert (await resume(app, (await whole(app, prefix)).events[0]["response"]["id"], prefix=prefix)).status == 400


async def test_on_mka1_there_is_no_window() -> None:
    clock = HandClock()
    app = Emulator(Options(tokens_per_second=None), clock=clock)
    id = await start(app)
    clock.advance(1e6)
    assert (await resume(app, id)).status == 200


# Padding


@pytest.mark.parametrize(
    ("asked", "fields", "has_padding"),
    [
        pytest.param("", {}, False, id="not in the background"),
        pytest.param("&include_obfuscation=true", {}, True, id="asked for"),
        pytest.param("", {"stream_options": {"include_obfuscation": True}}, True, id="asked for when it was made"),
        pytest.param(
            "&include_obfuscation=false",
            {"stream_options": {"include_obfuscation": True}},
            False,
            id="the last word counts",
        ),
    ],
)
async def test_deltas_are_padded_as_asked(asked: str, fields: dict[str, object], has_padding: bool) -> None:
    app = finished()
    id = await start(app, OPENAI, stream=True, **fields)
    deltas = [each for each in (await resume(app, id, asked, OPENAI)).events if each["type"].endswith(".delta")]
    assert deltas
    assert all(("obfuscation" in each) is has_padding for each in deltas)


# Playback

RECORDED = b"".join(
    b'event: %s\ndata: {"type":"%s", "sequence_number":%d%s}\n\n' % (kind, kind, number, rest)
    for kind, number, rest in [
        (b"response.created", 7, b',"response":{"id":"resp_rec","status":"in_progress","output":[]}'),
        (b"response.output_item.added", 9, b',"output_index":0,"item":{"type":"message","content":[]}'),
        (b"response.completed", 10, b',"response":{"id":"resp_rec","status":"completed","output":[]}'),
    ]
)


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_recording_is_played_back_with_its_own_bytes(prefix: str) -> None:
    app = finished(playback=RECORDED)
    assert (await whole(app, prefix)).body == RECORDED
    assert (await ask(app, "GET", f"{prefix}/responses/resp_rec")).json["status"] == "completed"


async def test_a_recording_is_resumed_by_its_own_numbers() -> None:
    app = finished(playback=RECORDED)
    await whole(app, OPENAI)
    assert (await resume(app, "resp_rec", "&starting_after=8", OPENAI)).numbers == [9, 10]
    assert (await resume(app, "resp_rec", "&starting_after=7", OPENAI)).numbers == [9, 10]
    assert (await resume(app, "resp_rec", "", MKA1)).numbers == [10]


async def test_a_recording_stays_as_it_is_whatever_faults_a_response_would_have() -> None:
    app = finished(playback=RECORDED, faults=(KeepaliveFirst(), ErrorFlat()))
    assert (await whole(app, MKA1)).body == RECORDED


async def test_a_recording_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "one.sse"
    path.write_bytes(RECORDED)
    assert (await create(finished(playback=path))).json["id"] == "resp_rec"


async def test_a_recording_that_holds_no_event_is_refused_at_once() -> None:
    with pytest.raises(UsageError):
        finished(playback=b"")
