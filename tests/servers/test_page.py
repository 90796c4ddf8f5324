"""The page of real servers shows every case of the table, with the outcome that is expected of it."""

import re

import pytest

from tests.servers.cases import CASES
from tests.servers.installs import INSTALLS
from tests.servers.page import BETWEEN, PAGE, ROWS, Incomplete, render
from tests.servers.table import SERVERS

FOUND = {"date": "2001-02-03", "outcomes": {server.name: {"supports": "", **server.outcomes} for server in SERVERS}}


def test_the_page_shows_what_is_expected_of_each_server() -> None:
    found = BETWEEN.search(PAGE.read_text("utf-8"))
    assert found is not None
    date = re.search(r"Run on (\d{4}-\d\d-\d\d)", found[0])
    assert date is not None, "run `make test-servers`, then `python -m tests.servers.page`"
    assert found[0] == render({**FOUND, "date": date[1]})


def test_a_run_that_did_not_pass_every_case_is_refused() -> None:
    outcomes = {
        name: {case: words for case, words in cases.items() if case != "cut-3"}
        for name, cases in FOUND["outcomes"].items()
    }
    with pytest.raises(Incomplete, match="azure-cut-3"):
        render({**FOUND, "outcomes": outcomes})


def test_every_case_has_a_row_and_every_server_an_environment() -> None:
    in_rows = {case for cases in ROWS.values() for case in cases}
    assert in_rows == {case for server in SERVERS for case in server.outcomes} & in_rows
    assert {case for server in SERVERS for case in server.outcomes} <= in_rows <= set(CASES)
    assert {server.install for server in SERVERS} == set(INSTALLS)
