"""What tests of engines share: one Valkey server for all of them, and one Redis server."""

from collections.abc import Iterator

import pytest

from tests.log.valkeys import Valkey, find_redis, find_redis_8, running


@pytest.fixture(scope="session", params=["valkey", pytest.param("redis", marks=pytest.mark.thorough)])
def one_valkey(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey server; in `make test-all` Redis too."""
    program = find_redis() if request.param == "redis" else None
    with running(tmp_path_factory.mktemp(request.param), program=program) as server:
        yield server


@pytest.fixture
def valkey(one_valkey: Valkey) -> Valkey:
    """A server with nothing on it."""
    one_valkey.ask("FLUSHALL")
    return one_valkey


@pytest.fixture(scope="session", params=["7", pytest.param("8", marks=pytest.mark.thorough)])
def one_redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Redis server of the version that the machine has; in `make test-all` Redis 8 too, where it is installed."""
    program = find_redis() if request.param == "7" else find_redis_8()
    with running(tmp_path_factory.mktemp("redis"), program=program) as server:
        yield server


@pytest.fixture
def redis(one_redis: Valkey) -> Valkey:
    """A Redis server with nothing on it."""
    one_redis.ask("FLUSHALL")
    return one_redis
