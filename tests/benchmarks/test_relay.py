"""The benchmark of the relay runs, tiny, and gives its rows. Run, never judged by speed."""

from importlib.util import find_spec

import pytest

from benchmarks.client.crowd import has_memory_figures

if find_spec("sse_starlette") is None:
    pytest.skip("sse-starlette comes with the extra `bench`", allow_module_level=True)

from benchmarks.relay import suite
from benchmarks.relay.readers import Crowd, running
from benchmarks.relay.sources import event_count
from benchmarks.relay.suite import RelayScale, measure_relay
from benchmarks.stream.reading import DifferentWork

pytestmark = pytest.mark.thorough

TINY = RelayScale(
    live={1: 10, 2: 10},
    replayed=40,
    replay_readers=(2,),
    rounds=1,
    paced=10,
    paced_rounds=1,
    few=2,
    many=4,
    stalled=20,
    churn_seconds=0.5,
)


@pytest.mark.parametrize("kind", ["relay", "bare", "sse-starlette"])
def test_every_server_gives_every_event_to_every_reader(kind: str) -> None:
    with running(kind) as server, Crowd(server) as crowd:
        crowd.join(crowd.create("live-20"), 2)
        server.go()
        crowd.read(event_count(20))
        assert crowd.events == [event_count(20)] * 3


def test_a_server_that_gives_less_is_not_measured() -> None:
    with running("relay") as server, Crowd(server) as crowd:
        with pytest.raises(DifferentWork, match=r"a reader got . events of 10"):
            crowd.create("idle")
            server.go()
            crowd.read(10)


def test_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "SETTLE_SECONDS", 0.0)
    rows = list(measure_relay(TINY))
    wings = ["live", "replay", "latency", *(("idle", "stalled", "churn") if has_memory_figures() else ())]
    assert list(dict.fromkeys(row.benchmark for row in rows)) == [f"relay-{each}" for each in wings]
    assert {str(row.goal) for row in rows if row.benchmark == "relay-live" and row.goal} == {
        "≥ 0.5 × as many",
        "≥ 3 × as many",
    }


def test_a_system_without_enough_files_has_no_row_of_idle_readers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "file_limit", lambda: 100)
    assert list(suite.idle(TINY)) == []
    assert "4 idle readers need 204 open files, and this system allows 100" in capsys.readouterr().err
