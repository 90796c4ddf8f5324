"""The page of real clients, and the README, show every case of the table, with the outcome that is expected of it."""

import re
from copy import deepcopy
from typing import Any

import pytest
from attrs import evolve

from tests.clients.codex import TURNS
from tests.clients.fleet import PROGRAMS
from tests.clients.installs import INSTALLS
from tests.clients.page import BETWEEN, PAGE, README, aligned, render, render_summary
from tests.clients.results import Results
from tests.clients.table import CLIENTS, FAULTS, WAYS
from tests.servers.page import Incomplete

FOUND = Results(
    date="2001-02-03",
    outcomes={
        way.name: {client.name: {fault: way.expects(client, fault) for fault in way.faults} for client in way.clients}
        for way in WAYS
    },
    codex={turn.name: turn.expected for turn in TURNS},
)


def test_the_page_shows_what_is_expected_of_each_client() -> None:
    found = BETWEEN.search(PAGE.read_text("utf-8"))
    assert found is not None
    date = re.search(r"Run on (\d{4}-\d\d-\d\d)", found[0])
    assert date is not None, "run `make test-clients`, then `python -m tests.clients.page`"
    assert found[0] == render(evolve(FOUND, date=date[1]))


def test_the_readme_shows_what_is_expected_of_all_clients() -> None:
    found = BETWEEN.search(README.read_text("utf-8"))
    assert found is not None
    assert found[0] == render_summary(FOUND)


@pytest.mark.parametrize("render", [render, render_summary])
def test_a_run_that_did_not_pass_every_case_is_refused(render: Any) -> None:
    found = deepcopy(FOUND)
    del found.outcomes["straight"]["curl"]["gap"]
    del found.codex[TURNS[0].name]
    with pytest.raises(Incomplete, match=f"straight-curl-gap, codex-{TURNS[0].name}"):
        render(found)


def test_every_client_has_a_program_and_every_environment_a_client() -> None:
    assert {client.install for client in CLIENTS} - {""} == set(INSTALLS) - {"codex"}
    assert all((PROGRAMS / client.program).is_file() for client in CLIENTS)
    assert len({client.name for client in CLIENTS}) == len(CLIENTS)


def test_every_expected_verdict_is_of_a_client_and_a_fault() -> None:
    names = {client.name for client in CLIENTS}
    for way in WAYS:
        assert set(way.faults) <= set(FAULTS)
        assert set(way.expected) <= set(way.faults)
        assert {name for verdicts in way.expected.values() for name in verdicts} <= names


def test_a_terminal_shows_a_table_of_what_was_run() -> None:
    lines = list(aligned({"curl": {"none": "whole", "gap": "WRONG TEXT"}, "AI SDK": {"gap": "whole"}}))
    assert lines == ["        none   gap", "curl    whole  WRONG TEXT", "AI SDK         whole"]
