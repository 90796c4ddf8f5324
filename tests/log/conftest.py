"""What tests of engines share: one Valkey server for all of them."""

from collections.abc import Iterator

import pytest

from tests.log.valkeys import Valkey, running


@pytest.fixture(scope="session")
def one_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(one_valkey: Valkey) -> Valkey:
    """A server with nothing on it."""
    one_valkey.ask("FLUSHALL")
    return one_valkey
