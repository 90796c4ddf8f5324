"""The clients that run while the tests do, and what came out, which `tests.clients.page` turns into a page."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.fleet import Fleet
from tests.clients.installs import INSTALLS
from tests.clients.page import aligned
from tests.clients.results import Results
from tests.clients.site import Sites
from tests.clients.table import Client
from tests.clients.worker import Worker
from tests.servers.installs import CannotInstall


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """All programs. They are killed at the end, also when the tests are interrupted or terminated."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    fleet = Fleet(tmp_path_factory.mktemp("clients"))
    try:
        yield fleet
    finally:
        fleet.close()
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    with Sites(tmp_path_factory.mktemp("relays")) as sites:
        yield sites


@pytest.fixture
def installed(pytestconfig: pytest.Config) -> Callable[[str, Callable[[], Any]], Any]:
    """Calls what installs a client, and says so first. Skips the test where it cannot be installed."""

    def call(name: str, get: Callable[[], Any]) -> Any:
        install = INSTALLS.get(name)
        if install and not install.is_installed:
            capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled():
                print(f"\ninstalling {', '.join(install.packages)} ...", flush=True)
        try:
            return get()
        except CannotInstall as error:
            pytest.skip(str(error))

    return call


@pytest.fixture
def worker(fleet: Fleet, client: Client, installed: Callable[[str, Callable[[], Worker]], Worker]) -> Worker:
    """The program of the test's client."""
    return installed(client.install, lambda: fleet.worker(client))


SEEN = pytest.StashKey[dict[str, dict[str, dict[str, str]]]]()


@pytest.fixture(scope="session")
def seen(pytestconfig: pytest.Config) -> dict[str, dict[str, dict[str, str]]]:
    """What came out of every case of this run, expected or not, by way, client and fault."""
    return pytestconfig.stash.setdefault(SEEN, {})


@pytest.fixture(scope="session")
def results() -> Iterator[Results]:
    """The outcomes of the cases that passed. A file keeps them: a run of some cases replaces those of an earlier one."""
    found = Results.read()
    yield found
    found.write()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables of this run."""
    for way, outcomes in config.stash.get(SEEN, {}).items():
        terminalreporter.section(way)
        terminalreporter.write_line("\n".join(aligned(outcomes)))
