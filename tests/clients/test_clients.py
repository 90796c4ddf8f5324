"""Real clients under faults: what each one shows, and what it says of the end.

`make test-clients` runs them; tests/clients/table.py has what is expected.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.codex import TURNS, Turn, take_turn
from tests.clients.installs import codex
from tests.clients.results import Results
from tests.clients.site import Sites
from tests.clients.table import WAYS, Client, Way
from tests.clients.worker import Worker

# An install may take minutes, so only the case itself is bounded.
pytestmark = [pytest.mark.clients, pytest.mark.timeout(120, func_only=True)]


@pytest.mark.parametrize(
    ("client", "way", "fault"),
    [
        pytest.param(client, way, fault, id=f"{way.name}-{client.name}-{fault}".replace(" ", "-"))
        for way in WAYS
        for client in way.clients
        for fault in way.faults
    ],
)
def test_what_a_reader_has_in_the_end(
    client: Client,
    way: Way,
    fault: str,
    worker: Worker,
    sites: Sites,
    results: Results,
    seen: dict[str, dict[str, dict[str, str]]],
) -> None:
    results.of(way.name, client.name).pop(fault, None)
    outcome = sites.site(way, fault).try_out(worker)
    seen.setdefault(way.name, {}).setdefault(client.name, {})[fault] = str(outcome)
    assert str(outcome) == way.expects(client, fault), outcome.report
    results.of(way.name, client.name)[fault] = str(outcome)


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.name)
def test_codex_takes_a_turn(
    turn: Turn,
    installed: Callable[[str, Callable[[], str]], str],
    sites: Sites,
    results: Results,
    tmp_path: Path,
) -> None:
    results.codex.pop(turn.name, None)
    done = take_turn(installed("codex", codex), sites, turn, tmp_path)
    assert str(done) == turn.expected, done.log
    results.codex[turn.name] = str(done)
