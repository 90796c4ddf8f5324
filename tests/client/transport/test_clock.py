"""The clock is that of the loop that runs, asyncio's, trio's, or one that a test moves."""

import anyio
import pytest
import trio
import trio.testing

from streamfold.client.transport.clock import current_clock

pytestmark = pytest.mark.anyio


async def test_it_is_the_clock_of_the_running_loop() -> None:
    clock = current_clock()
    before = anyio.current_time()
    assert before <= clock() <= anyio.current_time()


def test_trios_mock_clock_counts() -> None:
    async def main() -> float:
        clock = current_clock()
        before = clock()
        await trio.sleep(1000)
        return clock() - before

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == 1000
