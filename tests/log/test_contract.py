"""Every engine keeps the promise of EventLog: the contract's checks, each once for each engine."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from streamfold.errors import LogError
from streamfold.log import EventLog, MemoryLog, SqliteLog
from streamfold.log.contract import CHECKS, check
from streamfold.log.valkey import ValkeyLog
from tests.log.broken import BROKEN
from tests.log.valkeys import Valkey

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds since 1970, as far as a log can tell; it goes on when it is told."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


ENGINES: dict[str, Callable[[Path, Clock], EventLog]] = {
    "memory": lambda _, clock: MemoryLog(clock=clock),
    "sqlite": lambda folder, clock: SqliteLog(folder / "log.db", clock=clock),
}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", CHECKS)
async def test_valkey_keeps_its_promise(name: str, valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        await check(log, name)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", CHECKS)
async def test_redis_keeps_its_promise(name: str, redis: Valkey) -> None:
    async with ValkeyLog(redis.url) as log:
        assert (await log.diagnose()).engine.startswith("Redis ")
        await check(log, name)


@asynccontextmanager
async def opened(engine: str, folder: Path, clock: Clock) -> AsyncIterator[EventLog]:
    async with ENGINES[engine](folder, clock) as log:
        yield log


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("engine", ENGINES)
async def test_an_engine_keeps_its_promise(engine: str, name: str, tmp_path: Path) -> None:
    clock = Clock()
    async with opened(engine, tmp_path, clock) as log:
        await check(log, name, sleep=clock.sleep)


def test_every_check_is_shown_an_engine_that_it_finds_out() -> None:
    assert list(BROKEN) == list(CHECKS)


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_promise_is_found_out(name: str) -> None:
    log = BROKEN[name]()
    with pytest.raises((AssertionError, TimeoutError, LogError)):
        with anyio.move_on_after(1) as scope:
            await check(log, name, sleep=Clock().sleep)
        assert not scope.cancelled_caught, "it waits for ever"
