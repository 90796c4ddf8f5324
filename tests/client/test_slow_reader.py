"""A reader that is slower than the gateway gets everything that was received before a failure, on every transport.

And the failure itself is never seen: it is mended, once all that came before was given.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import httpx2
import pytest

from streamfold.chaos import parse_faults
from streamfold.client import Gateway
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.emulator import Emulator, Options, emulate
from streamfold.schema import OPENAI
from streamfold.session import Backoff, OutcomeStatus, Patience

pytestmark = pytest.mark.anyio

QUICK = Patience(backoff=Backoff(first_seconds=0.0))
FAULTS = ["drop:after_events=12,how=fin,on=create", "drop:after_events=12,how=rst,where=frame,on=create"]
MADE: dict[str, Callable[[], Any]] = {
    "httpx": httpx.AsyncClient,
    "httpx2": httpx2.AsyncClient,
    "default": lambda: None,
    "direct": lambda: "direct",
}


@asynccontextmanager
async def gateway(name: str, emulator: Emulator) -> AsyncGenerator[Gateway, None]:
    """A gateway on that transport, and an emulator behind it."""
    if name == "asgi":
        transport = AsgiTransport(emulator)
        async with Gateway("http://emulator", api_key="key", dialect=OPENAI, http=transport, patience=QUICK) as here:
            yield here
        await transport.aclose()
        return
    http = MADE[name]()
    async with emulate(emulator) as url:
        async with Gateway(url, api_key="key", dialect=OPENAI, http=http, patience=QUICK) as here:
            yield here
        if hasattr(http, "aclose"):
            assert not http.is_closed, "a client that was passed in stays its owner's"
            await http.aclose()


@pytest.mark.parametrize("fault", FAULTS, ids=["fin", "rst"])
@pytest.mark.parametrize("name", [*MADE, "asgi"])
async def test_a_slow_reader_loses_nothing(name: str, fault: str) -> None:
    emulator = Emulator(Options(tokens_per_second=None, faults=parse_faults(fault)))
    async with (
        gateway(name, emulator) as here,
        here.stream(model="toy", input="20 words", background=True) as response,
    ):
        numbers: list[int | None] = []
        async for event in response:
            numbers.append(event.sequence_number)
            if len(numbers) == 1:
                await the_connection_is_cut(emulator, name)
            if len(numbers) <= 10:
                assert not response.repairs, "nothing is mended while there is something to read"
        outcome = await response.outcome()
    assert numbers == list(range(len(numbers)))
    assert outcome.status is OutcomeStatus.COMPLETED
    assert [repair.after for repair in outcome.repairs] == [11]


async def the_connection_is_cut(emulator: Emulator, name: str) -> None:
    """Wait until it happened, where the gateway does not wait for its reader, as an ASGI application does."""

    def was_cut() -> bool:
        return emulator.journal.wait_for(lambda seen: seen.counters["cuts"] > 0, timeout_seconds=10)

    assert name == "asgi" or await anyio.to_thread.run_sync(was_cut)
