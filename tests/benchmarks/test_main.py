"""`python -m benchmarks`: the peers do the same work as we do, and a tiny run goes from end to end."""

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks.stream import peers
from benchmarks.stream.reading import STATES, Peer, read_states
from benchmarks.stream.recordings import measure_recordings
from benchmarks.stream.suite import Scale
from benchmarks.stream.workload import Shape, cut, make_stream

TINY = Scale(
    sizes=(40,),
    growth=(20, 40),
    text_deltas=20,
    memory_deltas=40,
    rounds=2,
    slow_rounds=1,
    import_rounds=1,
    sample_seconds=0.0,
)
FRAMES = make_stream(Shape(deltas=600))
BODY = b"".join(FRAMES)


@pytest.mark.thorough
@pytest.mark.parametrize("size", [100, 16_384, len(BODY)])
@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_every_peer_reads_the_text_that_we_read(peer: Peer, size: int) -> None:
    chunks = cut(BODY, size)
    assert peer.text(chunks) == read_states(chunks).output_text != ""


@pytest.mark.thorough
@pytest.mark.parametrize(
    "read",
    [peers.httpx_sse_json, peers.httpx_sse_msgspec, peers.openai_events, peers.openai_states],
    ids=lambda read: read.__name__,
)
def test_every_peer_gives_as_many_events_as_there_are_frames(read: object) -> None:
    assert callable(read)
    assert len(list(read(cut(BODY, 16_384)))) == len(FRAMES)


@pytest.mark.thorough
def test_the_state_of_openai_ends_as_ours_does() -> None:
    chunks = cut(BODY, 16_384)
    response = peers.openai_states(chunks).get_final_response()
    assert response.output_text == read_states(chunks).output_text
    assert [item.type for item in response.output] == ["reasoning", "function_call", "message"]


def test_exhausting_reads_to_the_end() -> None:
    left = iter(range(5))
    peers.exhaust(left)
    assert list(left) == []


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A run small enough for a test, without a corpus: what to call the program with."""
    monkeypatch.setattr(program, "QUICK", TINY)
    monkeypatch.setattr(program, "APART", {})  # each of these has a test file of its own
    monkeypatch.setenv("STREAMFOLD_CORPUS", str(tmp_path / "none"))
    return ["--quick", "--json", str(tmp_path / "out" / "figures.json"), "--chart", str(tmp_path / "out" / "chart.svg")]


@pytest.mark.thorough
def test_a_whole_run_prints_the_table_and_writes_figures_and_picture(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(tiny) == 0
    printed = capsys.readouterr().out
    assert "goals met" in printed
    assert "no recordings: put the corpus" in printed
    document = json.loads((tmp_path / "out" / "figures.json").read_bytes())
    assert {row["benchmark"] for row in document["rows"]} == {"stream-40", "text", "growth", "memory", "import"}
    assert {peer.name for peer in peers.PEERS} <= {row["reference"] for row in document["rows"]}
    assert (tmp_path / "out" / "chart.svg").stat().st_size > 1000


def test_one_benchmark_alone_draws_no_picture(tiny: list[str], tmp_path: Path) -> None:
    assert program.main([*tiny, "--only", "memory"]) == 0
    assert not (tmp_path / "out" / "chart.svg").exists()


@pytest.mark.thorough
def test_a_missed_goal_fails_the_run_only_where_strict(tiny: list[str]) -> None:
    """A stream of 40 deltas is nearly all first events, each with a payload and a document of its own to keep."""
    assert program.main([*tiny, "--only", "memory"]) == 0
    assert program.main([*tiny, "--only", "memory", "--strict"]) == 1


def test_an_unknown_benchmark_is_a_usage_error(tiny: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        program.main([*tiny, "--only", "nothing"])


@pytest.mark.thorough
def test_recordings_are_timed_one_by_one_and_together(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "whole.sse").write_bytes(BODY)
    (tmp_path / "headless.sse").write_bytes(b"".join(FRAMES[2:]))
    (tmp_path / "gap.sse").write_bytes(b"".join(FRAMES[:40] + FRAMES[41:]))
    (tmp_path / "unknown.sse").write_bytes(b"".join(FRAMES) + b'data: {"type":"response.of.tomorrow"}\n\n')
    found = measure_recordings(tmp_path, peers.OPENAI_STATE, rounds=2, sample_seconds=0.0)
    assert {row.name for row in found.details} == {"some/whole.sse", "headless.sse", "gap.sse", "unknown.sse"}
    assert [row.name for row in found.rows][:1] == ["all 4 recordings together, bytes → events"]
    assert any("Expected to have received `response.created`" in note for note in found.notes)
    assert found.notes[-1].startswith("1 recordings leave numbers out")


def test_recordings_that_no_peer_can_read_still_have_their_rows(tmp_path: Path) -> None:
    (tmp_path / "headless.sse").write_bytes(b"".join(FRAMES[2:]))
    found = measure_recordings(tmp_path, peers.OPENAI_STATE, rounds=1, sample_seconds=0.0)
    assert {row.reference for row in found.rows} == {"msgspec, one by one"}
    assert STATES in {row.subject for row in found.rows}
