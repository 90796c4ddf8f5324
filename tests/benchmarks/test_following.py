"""The benchmarks of the client run, tiny, and give their rows. Run, never judged by speed.

All but one test run them inside this process, for a fresh one has to import openai first.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from benchmarks.chart import draw, is_drawable
from benchmarks.client import clients, crowd, following
from benchmarks.client.following import FollowingScale, measure_following
from benchmarks.client.load import event_count, serving
from benchmarks.process import ProcessEnded, run_apart
from benchmarks.stream.reading import DifferentWork
from streamfold.bench import Row, Timings, Variant, measure

pytestmark = pytest.mark.thorough

TINY = FollowingScale(
    deltas=30,
    paced_deltas=5,
    rounds=1,
    slow_rounds=1,
    streams=3,
    openai_streams=2,
    seconds=0.3,
    few=1,
    many=3,
    opened=3,
    drops=2,
    sample_seconds=0.0,
)
EVENTS = event_count(TINY.deltas)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(deltas=TINY.deltas, paced_deltas=TINY.paced_deltas) as url:
        yield url
    clients.close()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is measured in this process, at once."""

    def measure_here(variants: Sequence[Variant], *, rounds: int, sample_seconds: float) -> Timings:
        return measure(variants, rounds=rounds, sample_seconds=sample_seconds, clock=partial(next, iter(range(10**6))))

    monkeypatch.setattr(following, "measure_apart", measure_here)
    monkeypatch.setattr(following, "run_apart", lambda run: run())
    monkeypatch.setattr(crowd, "SETTLE_SECONDS", 0.05)


# The server, and who reads it


@pytest.mark.parametrize("name", ["resp_each", "resp_joined"])
@pytest.mark.parametrize("kind", clients.FOLLOWERS)
def test_every_client_reads_every_event(url: str, kind: str, name: str) -> None:
    clients.read(clients.FOLLOWERS[kind], url, name, events=EVENTS)


@pytest.mark.parametrize("kind", clients.BARE)
def test_a_bare_transport_sees_the_end_of_every_event(url: str, kind: str) -> None:
    clients.read(clients.BARE[kind], url, "resp_each", events=EVENTS)


def test_a_client_that_reads_less_is_not_timed(url: str) -> None:
    with pytest.raises(DifferentWork, match=f"read {EVENTS:,} events of {2 * EVENTS:,}"):
        clients.read(clients.FOLLOWERS["direct"], url, "resp_each", events=2 * EVENTS)


def test_httpx2_gives_a_chunk_for_each_event(url: str) -> None:
    assert clients.count_chunks("httpx2", url, "resp_each") == EVENTS


def test_paced_events_are_read_one_by_one(url: str) -> None:
    assert clients.count_chunks("httpx2", url, "resp_paced") == event_count(TINY.paced_deltas)


def test_what_is_no_stream_is_not_found(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 404")


# Many streams


@pytest.mark.parametrize("kind", clients.FOLLOWERS)
def test_slow_streams_tell_how_late_their_events_come(url: str, kind: str, here: None) -> None:
    busy = crowd.follow_busily(kind, url, streams=3, seconds=0.5)
    assert busy.events >= 3
    assert 0 < busy.lateness[0] <= busy.lateness[1] <= busy.lateness[2] < 10
    assert busy.cores > 0
    assert busy.seconds_an_event > 0


@pytest.mark.parametrize("kind", clients.BARE)
def test_each_drop_is_repaired_after_its_back_off(url: str, kind: str) -> None:
    found = crowd.drops(kind, url, count=2)
    assert len(found.after) == len(found.bare) == 2
    assert all(0 < seconds < 5 for seconds in (*found.after, *found.bare))


# The rows


def test_every_benchmark_gives_its_rows(here: None, tmp_path: Any) -> None:
    rows = list(measure_following(TINY))
    clients.close()
    names = ["each", "joined", "paced", "busy", "idle", "open", "dropped"]
    if not crowd.has_memory_figures():
        names.remove("idle")
    assert list(dict.fromkeys(row.benchmark for row in rows)) == [f"following-{name}" for name in names]
    goals = {
        (row.benchmark.removeprefix("following-"), row.name.partition(":")[0]): str(row.goal)
        for row in rows
        if row.goal
    }
    assert goals["joined", "direct"] == "≥ 50 × faster"
    assert {str(row.goal) for row in rows if row.benchmark == "following-each" and row.goal} == {
        "≥ 40 × faster",
        "≥ 8 × faster",
        "≤ 1.2 ×",
    }
    assert is_drawable(rows)
    draw(rows, tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").stat().st_size > 1000


def test_nothing_to_draw_is_an_error(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        draw([], tmp_path / "chart.svg")


def rows_of(benchmark: Callable[[FollowingScale, str], Iterator[Row]], url: str) -> list[Row]:
    return list(benchmark(TINY, url))


def test_a_system_that_tells_no_memory_has_no_such_rows(
    url: str, here: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following, "has_memory_figures", lambda: False)
    assert rows_of(following.idle, url) == []
    assert "no resident memory" in capsys.readouterr().err


# A process of its own


def test_a_function_runs_in_a_fresh_process() -> None:
    assert run_apart(partial(divmod, 17, 5)) == (3, 2)


def test_a_function_that_raises_there_is_reported_here(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProcessEnded, match="status 1"):
        run_apart(partial(divmod, 1, 0))
    assert "ZeroDivisionError" in capfd.readouterr().err
