"""The demo's story: an answer streamed through faults, answers and a batch cancelled, on a gateway in this process.

In      a Stage to tell it on, and how fast the toy model speaks
Out     Claims, each tried against what the gateway itself says
Units   seconds; sequence numbers; tokens a second
Errors  none of its own: a claim that does not hold says so
Source  docs/reference/cli.md
"""

from contextlib import AsyncExitStack
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve, frozen
from msgspec.json import decode

from streamfold.cli.claim import Claim
from streamfold.cli.output.lines import FollowView
from streamfold.cli.output.outcome import batch_words, outcome_words
from streamfold.cli.response.batch import follow_batch, in_words
from streamfold.cli.response.create import output_text
from streamfold.schema import MKA1, OPENAI
from streamfold.session import Backoff, Outcome, OutcomeStatus, Patience

if TYPE_CHECKING:
    from streamfold.client import FollowedResponse, Gateway

__all__ = ["FAULTS", "Disturbed", "Stage", "compare", "tell"]

FAULTS = (
    "drop:after_events=40,how=rst",
    "refuse:status=503,retry_after=0.1",
    "drop:after_events=45,where=character",
    "gap:after_events=30,count=2",
    "stall:after_events=25,seconds=60",
    "html",
    "duplicate:after_events=10,count=2;reorder:after_events=20;no_terminal",
)
"""What goes wrong on each connection, the first that of the POST. Whatever comes after them goes well."""

FAULT_HEADER = "x-streamfold-fault"
TOKENS = 400
SHORT_TOKENS = 40
KEY = "demo"
PATIENCE = Patience(
    backoff=Backoff(first_seconds=0.1), idle_seconds=0.6, gap_seconds=0.2, poll_seconds=0.2, cancel_grace_seconds=2.0
)


class Stage(Protocol):
    """Where the story is told."""

    def line(self, words: str) -> None:
        """A line."""
        ...

    def view(self) -> FollowView:
        """What shows a followed response. Only its `show` and `repair` are called, inside its context."""
        ...

    def fault(self, number: int, fault: str) -> None:
        """The connection of this number, from 1, meets this."""
        ...


@frozen
class Disturbed:
    """A response that was followed through faults. payloads: the data of each event."""

    id: str
    outcome: Outcome
    payloads: list[bytes]


async def tell(stage: Stage, *, tokens_per_second: float, seed: int) -> list[Claim]:
    """Start the gateway, tell the story on it, and end it. Returns: what it came to."""
    from streamfold.client import Gateway
    from streamfold.emulator import Options, emulate

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(emulate(Options(tokens_per_second=tokens_per_second, seed=seed)))
        openai, mka1 = [
            await stack.enter_async_context(Gateway(url, api_key=KEY, dialect=dialect, patience=PATIENCE))
            for dialect in (OPENAI, MKA1)
        ]
        disturbed = await _stream(stage, url)
        claims = await compare(disturbed, openai)
        claims += await _race(stage, mka1)
        return [*claims, await _cancel_batch(stage, mka1)]


# An answer through faults


async def _stream(stage: Stage, url: str) -> Disturbed:
    from streamfold.client import Gateway

    stage.line(f"\nA background answer, streamed through faults from the gateway at {url}")
    payloads: list[bytes] = []
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_faulty_client(stage))
        gateway = Gateway(url, api_key=KEY, dialect=OPENAI, patience=PATIENCE, http=client)
        await stack.enter_async_context(gateway)
        view = stage.view()
        stack.enter_context(view)
        response = await stack.enter_async_context(
            gateway.stream(
                model="toy",
                input=f"{TOKENS} words, and think first",
                background=True,
                stream_options={"include_obfuscation": False},
                on_repair=view.repair,
            )
        )
        while applied := await response.next_applied():
            for each in applied:
                view.show(each)
                payloads.append(each.data)
        disturbed = Disturbed(response.id or "", await response.outcome(), payloads)
    stage.line(f"  {outcome_words(disturbed.outcome)}")
    return disturbed


def _faulty_client(stage: Stage) -> Any:
    """An HTTP client that asks the gateway for the next fault with each request for a stream."""
    import httpx

    faults = zip(count(1), FAULTS, strict=False)

    async def ask_for_fault(request: httpx.Request) -> None:
        if request.headers.get("accept") == "text/event-stream" and (found := next(faults, None)):
            stage.fault(*found)
            request.headers[FAULT_HEADER] = found[1]

    return httpx.AsyncClient(event_hooks={"request": [ask_for_fault]})


async def compare(disturbed: Disturbed, gateway: "Gateway") -> list[Claim]:
    """Try it against the same response, as a reader that nothing disturbs gets it, and against a GET of it."""
    undisturbed: list[bytes] = []
    async with gateway.follow(disturbed.id, include_obfuscation=False) as again:
        while applied := await again.next_applied():
            undisturbed += [each.data for each in applied]
    truth = await gateway.retrieve(disturbed.id)
    outcome, text = disturbed.outcome, disturbed.outcome.state.output_text
    lost = len(set(undisturbed) - set(disturbed.payloads))
    twice = len(disturbed.payloads) - len(set(disturbed.payloads))
    numbers = [decode(each)["sequence_number"] for each in disturbed.payloads]
    is_whole = disturbed.payloads == undisturbed and numbers == list(range(len(numbers)))
    return [
        Claim(f"{len(FAULTS)} connections with faults, {len(outcome.repairs)} repairs", len(outcome.repairs) >= 4),
        Claim(
            f"lost: {lost or 'nothing'}; applied twice: {twice or 'nothing'}; {len(numbers)} events, "
            "byte for byte those of an undisturbed reader",
            is_whole and not lost and not twice,
        ),
        Claim(
            f"the text is the gateway's own, {len(text):,} characters; no part of it came without its events",
            text == output_text(truth) and len(text) > 0 and not outcome.is_compacted,
        ),
        Claim(
            f"the answer: {outcome_words(outcome)}",
            outcome.status is OutcomeStatus.COMPLETED and outcome.proof is not None,
        ),
    ]


# Cancels


async def _race(stage: Stage, gateway: "Gateway") -> list[Claim]:
    """Cancel one answer in the middle, one at the moment of its end, and one after it."""
    stage.line("\nThree more answers, each cancelled")
    last = SHORT_TOKENS + 5
    moments = (("in the middle", SHORT_TOKENS // 2), ("as it ends", last), ("after its end", None))
    return [await _cancel_one(stage, gateway, words, after=after) for words, after in moments]


async def _cancel_one(stage: Stage, gateway: "Gateway", when: str, *, after: int | None) -> Claim:
    async with gateway.stream(model="toy", input=f"{SHORT_TOKENS} words", background=True) as response:
        await _read_up_to(response, after)
        cursor = response.cursor
        result = await response.cancel()
        outcome = evolve(await response.outcome(), cancel=result)  # one that was over before knows of no cancel
        truth = (await gateway.retrieve(response.id or "")).status
    words = f"cancelled {when}, after event {cursor}: {outcome_words(outcome)}"
    stage.line(f"  {words}")
    return Claim(f"{words}; the gateway says {truth}", outcome.status == truth and outcome.proof is not None)


async def _read_up_to(response: "FollowedResponse", number: int | None) -> None:
    """Read until this number has come; None for all of it."""
    while applied := await response.next_applied():
        if number is not None and (applied[-1].state.cursor or 0) >= number:
            return


async def _cancel_batch(stage: Stage, gateway: "Gateway") -> Claim:
    stage.line("\nA batch, cancelled")
    made = await gateway.batches.create(
        input_file_id="file_demo", endpoint="/v1/responses", completion_window="24h", max_concurrency=1
    )
    show = in_words(lambda words: stage.line(f"  {words}"))
    outcome = await follow_batch(gateway, made.id or "", show, is_cancel=True)
    truth = (await gateway.batches.retrieve(made.id or "")).status
    is_cancelled = outcome.status is OutcomeStatus.CANCELLED and outcome.proof is not None
    return Claim(f"the batch: {batch_words(outcome)}; the gateway says {truth}", is_cancelled and truth == "cancelled")
