"""The servers that run while the tests do, and what came out, which `tests.servers.page` turns into a page."""

import json
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from tests.servers.fleet import Fleet
from tests.servers.installs import INSTALLS, CannotInstall
from tests.servers.page import RESULTS
from tests.servers.program import Program
from tests.servers.table import Server


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """All servers. They are killed at the end, also when the tests are interrupted or terminated."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    fleet = Fleet(tmp_path_factory.mktemp("servers"))
    try:
        yield fleet
    finally:
        fleet.close()
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def running(fleet: Fleet, pytestconfig: pytest.Config) -> Callable[[Server, str], Program]:
    """Starts a server that does not run yet. Skips the test where it cannot be installed."""

    def start(server: Server, program: str) -> Program:
        install = INSTALLS[server.install]
        if not install.is_installed:
            with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
                print(f"\ninstalling {', '.join(install.packages)} ...", flush=True)
        try:
            return fleet.program(program)
        except CannotInstall as error:
            pytest.skip(str(error))

    return start


@pytest.fixture(scope="session")
def results() -> Iterator[dict[str, dict[str, str]]]:
    """The outcome of each case that passed, by server; written to a file at the end."""
    found: dict[str, dict[str, str]] = {}
    yield found
    releases = {name: list(each.packages) for name, each in INSTALLS.items()}
    RESULTS.write_text(
        json.dumps({"date": f"{datetime.now(UTC):%Y-%m-%d}", "releases": releases, "outcomes": found}, indent=2),
        "utf-8",
    )
