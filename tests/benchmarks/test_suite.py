"""The named benchmarks give their rows, and refuse to compare different work. Run, never judged by speed."""

from collections.abc import Sequence

import pytest
from attrs import evolve

from benchmarks.stream.reading import STATES, DifferentWork, Peer, read_states
from benchmarks.stream.suite import BENCHMARKS, Scale, run
from benchmarks.stream.workload import Shape, make_stream
from streamfold.bench import Goal, Row, Timings, Variant

TINY = Scale(
    sizes=(20, 60),
    growth=(20, 60),
    text_deltas=20,
    memory_deltas=60,
    rounds=2,
    slow_rounds=1,
    largest_slow_rounds=1,
    import_rounds=1,
    sample_seconds=0.0,
)
TWIN = Peer(
    "our twin",
    run=read_states,
    text=lambda chunks: read_states(chunks).output_text,
    stands_against=STATES,
    is_slow=True,
    goal=Goal("≥", 0.0, "× faster"),
)


def rows_of(name: str, *peers: Peer) -> list[Row]:
    return list(run(TINY, peers=peers, only=[name]))


@pytest.mark.thorough
def test_each_size_of_stream_is_held_against_the_floors_and_itself() -> None:
    rows = rows_of("streams")
    assert {row.benchmark for row in rows} == {"stream-20", "stream-60"}
    assert len(rows) == 2 * 6
    assert sum(row.name.startswith("noise") for row in rows) == 2
    assert all(row.ratio is not None and row.ratio.count == TINY.rounds for row in rows)


@pytest.mark.thorough
@pytest.mark.parametrize("is_slow", [True, False])
def test_a_peer_gets_a_row_on_each_stream(is_slow: bool) -> None:
    rows = [row for row in rows_of("streams", evolve(TWIN, is_slow=is_slow)) if row.reference == TWIN.name]
    assert [row.benchmark for row in rows] == ["stream-20", "stream-60"]
    assert all(row.is_faster and row.is_met for row in rows)


@pytest.mark.parametrize("name", ["streams", "text"])
def test_a_peer_that_reads_another_text_is_not_timed(name: str) -> None:
    with pytest.raises(DifferentWork, match="our twin read another text"):
        rows_of(name, evolve(TWIN, text=lambda chunks: "something else"))


def test_reading_the_text_is_held_against_states_and_peers_that_keep_one() -> None:
    assert [row.reference for row in rows_of("text", TWIN)] == ["streamfold states", "our twin"]


def test_growth_compares_the_cost_of_an_event_not_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every event costs the same, nothing grew, though the streams are of different lengths."""
    short, long = (len(make_stream(Shape(deltas=deltas))) for deltas in TINY.growth)

    def measure_apart(variants: Sequence[Variant], **_: float) -> Timings:
        return Timings({each.name: (2.0 * (long if "60 deltas" in each.name else short),) for each in variants})

    monkeypatch.setattr("benchmarks.stream.suite.measure_apart", measure_apart)
    states, floor = rows_of("growth")
    assert [row.judged.median for row in (states, floor)] == [1.0, 1.0]
    assert [row.goal for row in (states, floor)] == [Goal("≤", 1.15), None]


def test_memory_counts_what_the_list_of_states_keeps() -> None:
    (row,) = rows_of("memory")
    assert row.unit == "bytes/event"
    assert row.ours.median > 50  # no object of Python's is smaller


def test_import_is_timed_in_processes_of_its_own() -> None:
    timed, loaded = rows_of("import")
    assert timed.reference == "msgspec, attrs"
    assert loaded.is_met, loaded.name


@pytest.mark.thorough
def test_all_benchmarks_run_where_none_is_named() -> None:
    found = {row.benchmark.partition("-")[0] for row in run(TINY)}
    assert found == {"stream", "text", "growth", "memory", "import"}
    assert len(BENCHMARKS) == len(found)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="nothing"):
        list(run(TINY, only=["nothing"]))
