"""What a run found is added to what the runs before it found, on the same day and with the same releases."""

from pathlib import Path

from attrs import evolve

from tests.clients.results import Results


def test_a_run_replaces_its_own_cases_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first = Results.read(path)
    first.of("straight", "curl").update(gap="WRONG TEXT", none="whole")
    first.write(path)
    second = Results.read(path)
    second.of("straight", "curl")["gap"] = "whole"
    second.codex["relay-1"] = "whole"
    second.write(path)
    found = Results.read(path)
    assert found.outcomes == {"straight": {"curl": {"gap": "whole", "none": "whole"}}}
    assert found.codex == {"relay-1": "whole"}


def test_results_of_another_day_or_of_other_releases_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    today = Results(codex={"relay-1": "whole"})
    for other in (evolve(today, date="2001-02-03"), evolve(today, releases={"openai": ["openai==1.0"]})):
        other.write(path)
        assert Results.read(path).codex == {}
