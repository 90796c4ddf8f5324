"""Made streams are valid streams: they fold clean, and each says the same at its end as on its way."""

import json
from itertools import islice
from typing import Any

import pytest
from attrs import evolve

from benchmarks.stream.workload import Shape, cut, make_stream, payloads
from streamfold.fold import SequencePolicy, State, fold, snapshot_json
from streamfold.reader import EventReader
from streamfold.schema import Event, UnknownEvent, decode_event

SHAPES = [
    pytest.param(Shape(deltas=60), id="as it is by default"),
    pytest.param(Shape(deltas=0), id="no text"),
    pytest.param(Shape(deltas=1), id="one delta"),
    pytest.param(Shape(deltas=1_100), id="several citations"),
    pytest.param(Shape(deltas=60, seed=7), id="another seed"),
    pytest.param(Shape(deltas=60, reasoning=False), id="no reasoning"),
    pytest.param(Shape(deltas=60, tools=False), id="no tools"),
    pytest.param(Shape(deltas=60, annotations=False), id="no annotations"),
    pytest.param(Shape(deltas=60, obfuscation=False), id="no padding"),
    pytest.param(Shape(deltas=60, logprobs=True), id="logprobs"),
    pytest.param(Shape(deltas=60, event_lines=False), id="no event lines"),
    pytest.param(Shape(deltas=60, line_end=b"\r\n"), id="CR LF"),
    pytest.param(Shape(deltas=60, line_end=b"\r"), id="CR"),
    pytest.param(Shape(deltas=60, done_marker=True), id="ends in [DONE]"),
]
each_shape = pytest.mark.parametrize("shape", SHAPES)


def read(shape: Shape) -> list[Event]:
    """The events of the stream, decoded frame by frame; a wrapped CR stream is known to end when it is closed."""
    reader = EventReader()
    return [*(event for frame in make_stream(shape) for event in reader.feed(frame)), *reader.close()]


def deltas_and_ends(events: list[Event]) -> tuple[dict[Any, str], dict[Any, str]]:
    """By kind and place: the deltas joined, and what the done event says."""
    joined: dict[Any, str] = {}
    ends: dict[Any, str] = {}
    for event in events:
        kind, _, last = event.type.rpartition(".")
        part = getattr(event, "summary_index", getattr(event, "content_index", None))
        place = (kind, getattr(event, "output_index", None), part)
        if last == "delta":
            joined[place] = joined.get(place, "") + event.delta
        elif last == "done" and (text := getattr(event, "text", getattr(event, "arguments", None))) is not None:
            ends[place] = text
    return joined, ends


@each_shape
def test_a_made_stream_folds_without_an_anomaly(shape: Shape) -> None:
    state = fold(read(shape))
    assert (state.anomalies, state.status, state.is_terminal) == ((), "completed", True)


@each_shape
def test_numbers_count_from_zero_without_a_hole(shape: Shape) -> None:
    numbers = [event.sequence_number for event in read(shape)]
    assert numbers == list(range(len(make_stream(shape)) - shape.done_marker))


@each_shape
def test_every_event_is_of_a_known_type(shape: Shape) -> None:
    assert not any(isinstance(event, UnknownEvent) for event in read(shape))


@each_shape
def test_the_terminal_response_is_what_folding_gives(shape: Shape) -> None:
    *events, terminal = read(shape)
    ended = json.loads(bytes(terminal.response))
    folded = json.loads(snapshot_json(fold(events)))
    assert folded["output"] == ended["output"] != []
    assert {key for key in ended if folded[key] != ended[key]} == {"status", "usage", "service_tier"}


@each_shape
def test_the_deltas_alone_make_the_same_text(shape: Shape) -> None:
    events = read(shape)
    without_ends = [event for event in events[:-1] if not event.type.endswith(".done")]
    assert fold(without_ends, State.under(SequencePolicy.ARRIVAL)).output_text == fold(events).output_text


@each_shape
def test_every_series_of_deltas_equals_its_done_text(shape: Shape) -> None:
    joined, ends = deltas_and_ends(read(shape))
    assert {place: text for place, text in ends.items() if text} == joined


@each_shape
def test_the_same_shape_gives_the_same_bytes(shape: Shape) -> None:
    assert make_stream(shape) == make_stream(shape)
    assert make_stream(shape) != make_stream(evolve(shape, seed=shape.seed + 1))


@each_shape
def test_payloads_are_the_data_of_each_frame(shape: Shape) -> None:
    assert [decode_event(data) for data in payloads(make_stream(shape))] == read(shape)


@pytest.mark.parametrize("deltas", [0, 1, 60, 1_100])
def test_deltas_counts_the_deltas_of_the_text(deltas: int) -> None:
    kinds = [event.type for event in read(Shape(deltas=deltas))]
    assert kinds.count("response.output_text.delta") == deltas


def test_options_leave_out_what_they_name() -> None:
    bare = Shape(deltas=40, reasoning=False, tools=False, annotations=False, obfuscation=False, event_lines=False)
    stream = b"".join(make_stream(bare))
    for word in (b"reasoning_summary", b"function_call", b"url_citation", b"obfuscation", b"event:"):
        assert word not in stream


def test_a_delta_and_its_padding_fill_whole_blocks() -> None:
    padded = [json.loads(data) for data in payloads(make_stream(Shape(deltas=200))) if b'"obfuscation"' in data]
    assert {(len(event["delta"]) + len(event["obfuscation"])) % 16 for event in padded} == {0}


def test_logprobs_name_the_tokens_of_the_text() -> None:
    stream = make_stream(Shape(deltas=30, logprobs=True))
    part = json.loads(payloads(stream)[-1])["response"]["output"][-1]["content"][0]
    assert "".join(token["token"] for token in part["logprobs"]) == part["text"] != ""


def test_the_text_holds_what_json_escapes_and_what_utf8_spells_in_bytes() -> None:
    text = fold(read(Shape(deltas=2_000))).output_text
    assert set('"\\\n') <= set(text)
    assert {len(character.encode()) for character in text} == {1, 2, 3, 4}


@pytest.mark.parametrize("size", [1, 7, 100, 16_384])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=repr)
def test_a_made_stream_reads_the_same_however_it_is_cut(size: int, line_end: bytes) -> None:
    shape = Shape(deltas=400, line_end=line_end)
    reader = EventReader()
    found = [event for chunk in cut(b"".join(make_stream(shape)), size) for event in reader.feed(chunk)]
    assert [*found, *reader.close()] == read(shape)


def test_cut_gives_chunks_of_one_size_and_the_rest() -> None:
    assert cut(b"abcdefg", 3) == [b"abc", b"def", b"g"]
    assert cut(b"", 3) == []


def test_the_mix_of_events_is_the_same_at_every_size() -> None:
    small, large = (len(make_stream(Shape(deltas=deltas))) / deltas for deltas in (1_000, 20_000))
    assert large == pytest.approx(small, rel=0.05)


def test_the_words_of_a_longer_stream_begin_alike() -> None:
    """So that a demo and a benchmark of one seed show the same story."""
    short, long = (
        [event.delta for event in read(Shape(deltas=deltas, reasoning=False, tools=False)) if hasattr(event, "delta")]
        for deltas in (50, 90)
    )
    assert short[:49] == list(islice(long, 49))
