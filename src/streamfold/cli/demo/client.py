"""The demo's first act: a stream that breaks again and again, and cancels that race the answer."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from attrs import frozen
from msgspec.json import decode

from streamfold.cli.demo.page import DemoPage, none_or
from streamfold.cli.output.outcome import CANCELS
from streamfold.schema import MKA1, OPENAI
from streamfold.session import Backoff, CancelResult, Outcome, OutcomeStatus, Patience, Repair, RepairKind

if TYPE_CHECKING:
    from streamfold.client import Gateway

FAULTS = (
    ("the connection is reset", "drop:after_events=40,how=rst"),
    ("the gateway is busy (status 503)", "refuse:status=503,retry_after=0.1"),
    ("the connection is cut inside a character", "drop:after_events=45,where=character"),
    ("two events are missing", "gap:after_events=30,count=2"),
    ("the stream goes silent", "stall:after_events=25,seconds=60"),
    (
        "events repeat and swap; the end is missing",
        "duplicate:after_events=10,count=2;reorder:after_events=20;no_terminal",
    ),
)
"""What goes wrong on each connection, in words and for the emulator. The first is that of the POST."""

FAULT_HEADER = "x-streamfold-fault"
FAULT_COLUMNS = max(len(words) for words, _ in FAULTS)
REPAIRS = {
    RepairKind.RESUME: "resumed after event {after}",
    RepairKind.REPLAY: "read again from the start",
    RepairKind.RETRIEVE: "asked for the final response",
}
KEY = "demo"
WORDS, CANCELLED_WORDS = 200, 40
CANCELS_AT = (
    ("in the middle", CANCELLED_WORDS // 2),
    ("at the last word", CANCELLED_WORDS + 5),  # the item and its part begin and end with events of their own
    ("after the end", None),
)
PATIENCE = Patience(
    backoff=Backoff(first_seconds=0.1),
    idle_seconds=0.5,
    gap_seconds=0.2,
    poll_seconds=0.2,
    cancel_grace_seconds=2.0,
    cancel_check_seconds=0.5,
)


@frozen
class Disturbed:
    """A response that was followed through faults. payloads: the data of each event."""

    id: str
    outcome: Outcome
    payloads: list[bytes]


async def show_stream(page: DemoPage, url: str) -> None:
    """Follow an answer through every fault, and compare it with the gateway's."""
    from streamfold.client import Gateway

    page.heading(f"1. A stream fails in {len(FAULTS)} ways and arrives whole")
    faults: list[str] = []

    def say(repair: Repair) -> None:
        fault = faults[-1] if faults else "the connection fails"
        page.line(f"{fault + ':':<{FAULT_COLUMNS + 1}} {REPAIRS[repair.kind].format(after=repair.after)}")

    async with (
        _faulty_client(faults) as client,
        Gateway(url, api_key=KEY, dialect=OPENAI, patience=PATIENCE, http=client) as gateway,
    ):
        disturbed = await follow(gateway, words=WORDS, on_repair=say)
    async with Gateway(url, api_key=KEY, dialect=OPENAI, patience=PATIENCE) as gateway:
        await compare(page, disturbed, gateway)


@asynccontextmanager
async def _faulty_client(faults: list[str]) -> AsyncGenerator[Any]:
    """An HTTP client that asks the emulator for the next fault with each request for a stream, and notes it."""
    import httpx

    async def ask_for_fault(request: httpx.Request) -> None:
        if request.headers.get("accept") == "text/event-stream" and len(faults) < len(FAULTS):
            words, fault = FAULTS[len(faults)]
            faults.append(words)
            request.headers[FAULT_HEADER] = fault

    async with httpx.AsyncClient(event_hooks={"request": [ask_for_fault]}) as client:
        yield client


async def follow(gateway: "Gateway", *, words: int, on_repair: Callable[[Repair], None] | None = None) -> Disturbed:
    """Create an answer of so many words, and follow it to its end."""
    payloads: list[bytes] = []
    async with gateway.stream(
        model="toy",
        input=f"{words} words, and think first",
        background=True,
        stream_options={"include_obfuscation": False},
        on_repair=on_repair,
    ) as response:
        while applied := await response.next_applied():
            payloads += [each.data for each in applied]
        return Disturbed(response.id or "", await response.outcome(), payloads)


async def compare(page: DemoPage, disturbed: Disturbed, gateway: "Gateway") -> None:
    """Check it against the same response as a reader without faults receives it, and against a GET."""
    undisturbed: list[bytes] = []
    async with gateway.follow(disturbed.id, include_obfuscation=False) as again:
        while applied := await again.next_applied():
            undisturbed += [each.data for each in applied]
    truth = await gateway.retrieve(disturbed.id)
    payloads, outcome = disturbed.payloads, disturbed.outcome
    text = outcome.state.output_text
    is_same = text == truth.output_text and len(text) > 0 and not outcome.is_compacted
    lost, twice = len(set(undisturbed) - set(payloads)), len(payloads) - len(set(payloads))
    page.check(
        f"{outcome.status}: {len(payloads)} events, {none_or(lost)} lost, {none_or(twice)} twice,"
        f" the text is {'whole' if is_same else 'not whole'}",
        holds=is_same and _is_in_order(payloads) and payloads == undisturbed and _is_repaired(outcome),
    )


def _is_in_order(payloads: list[bytes]) -> bool:
    return [decode(each)["sequence_number"] for each in payloads] == list(range(len(payloads)))


def _is_repaired(outcome: Outcome) -> bool:
    """Whether it completed, with a repair for each fault, and that is proven."""
    is_proven = outcome.status is OutcomeStatus.COMPLETED and outcome.proof is not None
    return is_proven and len(outcome.repairs) >= len(FAULTS)


# Cancels


async def show_cancels(page: DemoPage, url: str) -> None:
    """Cancel one response in the middle, one as it ends, and one after its end."""
    from streamfold.client import Gateway

    page.heading("2. A cancel reports what really happened")
    async with Gateway(url, api_key=KEY, dialect=MKA1, patience=PATIENCE) as gateway:
        for when, after in CANCELS_AT:
            await _cancel(page, gateway, when, after=after)


async def _cancel(page: DemoPage, gateway: "Gateway", when: str, *, after: int | None) -> None:
    async with gateway.stream(model="toy", input=f"{CANCELLED_WORDS} words", background=True) as response:
        while applied := await response.next_applied():
            if after is not None and (applied[-1].state.cursor or 0) >= after:
                break
        result = await response.cancel()
        outcome = await response.outcome()
        truth = (await gateway.retrieve(response.id or "")).status
    page.check(f"cancelled {when}: {CANCELS[result]}; gateway: {truth}", holds=is_honest(result, outcome, truth))


def is_honest(result: CancelResult, outcome: Outcome, truth: str | None) -> bool:
    """Whether a cancel reported what the gateway's own answer confirms."""
    is_cancelled = truth == OutcomeStatus.CANCELLED
    says_cancelled = result is CancelResult.CANCEL_WON
    is_sure = result in (CancelResult.CANCEL_WON, CancelResult.COMPLETION_WON, CancelResult.ALREADY_TERMINAL)
    return is_sure and is_cancelled == says_cancelled and outcome.status == truth and outcome.proof is not None
