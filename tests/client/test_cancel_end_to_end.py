"""A cancel against every dialect of cancels that servers were seen to speak: it says what really happened, and proves it."""

from collections.abc import Callable

import anyio
import pytest

from streamfold.client import Gateway, Transport
from streamfold.client.transport.direct import DirectTransport
from streamfold.client.transport.httpx import HttpxTransport
from streamfold.emulator import Emulator, Options, emulate
from streamfold.schema import MKA1, OPENAI, Dialect
from streamfold.session import Backoff, CancelResult, Outcome, OutcomeStatus, Patience, Proof

pytestmark = pytest.mark.anyio

TRANSPORTS: dict[str, Callable[[], Transport]] = {"httpx": HttpxTransport, "direct": DirectTransport}
QUICK = Patience(backoff=Backoff(first_seconds=0.001), gap_seconds=0.01, poll_seconds=0.01, cancel_check_seconds=0.05)
LONG = "5000 words"
WON = CancelResult.CANCEL_WON

# The dialect of cancels, and what is proven of a response that ran when it was cancelled.
RUNNING: dict[str, tuple[OutcomeStatus, CancelResult]] = {
    "mka1": (OutcomeStatus.CANCELLED, WON),
    "openai": (OutcomeStatus.CANCELLED, WON),
    "conflict409": (OutcomeStatus.CANCELLED, WON),
    "ends-silently": (OutcomeStatus.CANCELLED, WON),
    "failed-holding-cancelled": (OutcomeStatus.CANCELLED, WON),
    "completes-anyway": (OutcomeStatus.COMPLETED, CancelResult.COMPLETION_WON),
    "finished200": (OutcomeStatus.CANCELLED, WON),
}


async def cancelled(emulator: Emulator, dialect: Dialect, name: str, *, after_events: int = 5) -> Outcome:
    """The outcome of a response that is cancelled after so many events; of one that is over, if that is more."""
    async with emulate(emulator) as url:
        transport = TRANSPORTS[name]()
        async with (
            Gateway(url, api_key="key", dialect=dialect, http=transport, patience=QUICK) as here,
            here.stream(model="toy", input=LONG, background=True) as response,
        ):
            for _ in range(after_events):
                await anext(response)
            with anyio.fail_after(20):
                result = await response.cancel()
                outcome = await response.outcome()
        await transport.aclose()
    assert result is outcome.cancel
    return outcome


@pytest.mark.parametrize("name", ["direct", pytest.param("httpx", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("dialect", [MKA1, OPENAI], ids=["mka1", "openai"])
@pytest.mark.parametrize("rule", RUNNING)
async def test_what_a_cancel_came_to_is_proven(rule: str, dialect: Dialect, name: str) -> None:
    # Fast enough to end by itself where the cancel does nothing, slow enough to be running still.
    emulator = Emulator(Options(cancel=rule, tokens_per_second=20_000))
    outcome = await cancelled(emulator, dialect, name)
    assert (outcome.status, outcome.cancel) == RUNNING[rule]
    assert outcome.proof in {Proof.TERMINAL_EVENT, Proof.RETRIEVED, Proof.CANCEL_ANSWER}
    assert emulator.journal.counters["cancels"] == 1


@pytest.mark.parametrize("dialect", [MKA1, OPENAI], ids=["mka1", "openai"])
async def test_a_response_that_stands_still_is_cancelled(dialect: Dialect) -> None:
    emulator = Emulator(Options(hold_after_events=8, tokens_per_second=None))
    outcome = await cancelled(emulator, dialect, "direct", after_events=8)
    assert (outcome.status, outcome.cancel) == (OutcomeStatus.CANCELLED, WON)


@pytest.mark.parametrize("rule", RUNNING)
async def test_what_had_ended_before_says_so(rule: str) -> None:
    emulator = Emulator(Options(cancel=rule, tokens_per_second=None))
    async with emulate(emulator) as url, Gateway(url, api_key="key", dialect=OPENAI, patience=QUICK) as here:
        made = await here.create(model="toy", input="3 words", background=True)
        async with here.follow(str(made.id)) as response:
            assert await response.cancel() in {CancelResult.ALREADY_TERMINAL, CancelResult.COMPLETION_WON}
            assert (await response.outcome()).status is OutcomeStatus.COMPLETED


@pytest.mark.parametrize(
    ("cancels", "status", "result"),
    [
        (True, OutcomeStatus.CANCELLED, WON),
        (False, OutcomeStatus.ABANDONED, CancelResult.LEFT),
    ],
    ids=["the gateway stops it", "it runs on"],
)
async def test_a_foreground_response_is_left(cancels: bool, status: OutcomeStatus, result: CancelResult) -> None:
    emulator = Emulator(Options(tokens_per_second=1000, cancels_on_disconnect=cancels))
    async with (
        emulate(emulator) as url,
        Gateway(url, api_key="key", patience=QUICK) as here,
        here.stream(model="toy", input=LONG) as response,
    ):
        await anext(response)
        assert await response.cancel() is result
        outcome = await response.outcome()
    assert (outcome.status, outcome.cancel) == (status, result)
    assert emulator.journal.counters["cancels"] == 1


async def test_a_batch_is_cancelling_and_then_cancelled() -> None:
    emulator = Emulator(Options(batch_stage_seconds=60.0, batch_cancel_seconds=0.05))
    async with emulate(emulator) as url, Gateway(url, api_key="key", patience=QUICK) as here:
        made = await here.batches.create(input_file_id="file_1", endpoint="/v1/responses", max_concurrency=1)
        async with here.batches.follow(str(made.id)) as batch:
            assert await batch.cancel() is CancelResult.CANCEL_WON
            assert (await batch.outcome()).status is OutcomeStatus.CANCELLED
