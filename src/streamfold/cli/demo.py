"""`streamfold demo`: stream an answer through faults, cancel others, and check every claim it makes about them.

It needs no gateway: it starts an emulator in its own process, and shows the answer as `streamfold follow` does.
"""

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

from attrs import evolve, frozen
from cyclopts import Parameter
from cyclopts.validators import Number
from msgspec.json import decode

from streamfold.cli.output.outcome import batch_words, outcome_words
from streamfold.cli.output.step import Step
from streamfold.cli.output.view import End, TextView, View
from streamfold.cli.response.batch import follow_batch, in_words
from streamfold.cli.response.follow import Following
from streamfold.cli.response.gateway import run
from streamfold.cli.terminal import ERROR, Output
from streamfold.errors import SequenceGap
from streamfold.fold import State, reduce, replay, snapshot_json, states
from streamfold.reader import EventReader
from streamfold.schema import MKA1, OPENAI, Event
from streamfold.session import Backoff, Outcome, OutcomeStatus, Patience, Repair

if TYPE_CHECKING:
    from streamfold.client import Gateway

FAULTS = (
    "drop:after_events=40,how=rst",
    "refuse:status=503,retry_after=0.1",
    "drop:after_events=45,where=character",
    "gap:after_events=30,count=2",
    "stall:after_events=25,seconds=60",
    "html",
    "duplicate:after_events=10,count=2;reorder:after_events=20;no_terminal",
)
"""What goes wrong on each connection; the first is that of the POST. Later connections work."""

FAULT_HEADER = "x-streamfold-fault"
SHORT_WORDS = 40
KEY = "demo"
PATIENCE = Patience(
    backoff=Backoff(first_seconds=0.1),
    idle_seconds=0.6,
    gap_seconds=0.2,
    poll_seconds=0.2,
    cancel_grace_seconds=2.0,
    cancel_check_seconds=0.5,
)
WATCHED_WORDS_PER_SECOND, UNWATCHED_WORDS_PER_SECOND = 90.0, 400.0
MAX_NOTES = 8
FOOT = "Each fault and each repair, as they happen"
CHUNK_BYTES = 16 * 1024
MIN_PASSES, ENOUGH_SECONDS = 3, 0.3


@frozen
class Claim:
    """A sentence, and whether it holds."""

    sentence: str
    holds: bool


@frozen
class Disturbed:
    """A response that was followed through faults. `payloads`: the data of each event."""

    id: str
    outcome: Outcome
    payloads: list[bytes]


def demo(
    *,
    words: Annotated[int, Parameter(help="How many words the answer has.", validator=Number(gte=1))] = 400,
    seed: Annotated[int, Parameter(help="A different seed gives different words.")] = 0,
    speed: Annotated[
        float | None,
        Parameter(help="Words per second [default: 90 on a terminal, 400 in a pipe]", validator=Number(gt=0)),
    ] = None,
) -> int:
    """Stream an answer through faults, cancel others, and check the results."""
    output = Output()
    view = _live_view(output)
    if speed is None:
        speed = UNWATCHED_WORDS_PER_SECOND if view is None else WATCHED_WORDS_PER_SECOND

    def line(words: str) -> None:
        output.write(f"{words}\n")

    shown = view or TextView(output, say=lambda words: line(f"  {words}"))
    claims = run(lambda: tell(shown, line, words=words, words_per_second=speed, seed=seed))
    line("\nChecked:")
    for claim in claims:
        line(f"  {'✓' if claim.holds else '✗'} {claim.sentence}")
    return 0 if all(claim.holds for claim in claims) else ERROR


def _live_view(output: Output) -> View | None:
    if not output.is_terminal:
        return None
    from streamfold.cli.output.screen import Screen

    return Screen(output, max_notes=MAX_NOTES, foot=FOOT) if Screen.fits() else None


async def tell(
    view: View, line: Callable[[str], None], *, words: int, words_per_second: float, seed: int
) -> list[Claim]:
    """Run the demo on an emulator, and return what it claims."""
    from streamfold.client import Gateway
    from streamfold.emulator import Options, emulate

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(emulate(Options(tokens_per_second=words_per_second, seed=seed)))
        openai, mka1 = [
            await stack.enter_async_context(Gateway(url, api_key=KEY, dialect=dialect, patience=PATIENCE))
            for dialect in (OPENAI, MKA1)
        ]
        disturbed = await _stream(view, line, url, words=words)
        claims = await compare(disturbed, openai)
        claims += await _race(line, mka1)
        return [*claims, await _cancel_batch(line, mka1)]


# An answer through faults


class _Kept(View):
    """Shows a stream, and keeps the data of its events."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.payloads: list[bytes] = []

    def show(self, step: Step) -> None:
        self.payloads.append(step.data)
        self._view.show(step)

    def repair(self, repair: Repair) -> None:
        self._view.repair(repair)


async def _stream(view: View, line: Callable[[str], None], url: str, *, words: int) -> Disturbed:
    from streamfold.client import Gateway

    line(f"A background response, streamed through faults from the emulator at {url}\n")
    kept = _Kept(view)
    following = Following(kept)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_faulty_client(view))
        gateway = Gateway(url, api_key=KEY, dialect=OPENAI, patience=PATIENCE, http=client)
        await stack.enter_async_context(gateway)
        stack.enter_context(view)
        response = gateway.stream(
            model="toy",
            input=f"{words} words, and think first",
            background=True,
            stream_options={"include_obfuscation": False},
            on_repair=kept.repair,
        )
        outcome = await following.run(response)
    response_id = following.id or ""
    view.finish(End(outcome.state, outcome=outcome, response_id=response_id, begun=following.begun))
    return Disturbed(response_id, outcome, kept.payloads)


def _faulty_client(view: View) -> Any:
    """An HTTP client that asks the emulator for the next fault with each request for a stream."""
    import httpx

    faults = zip(count(1), FAULTS, strict=False)

    async def ask_for_fault(request: httpx.Request) -> None:
        if request.headers.get("accept") == "text/event-stream" and (found := next(faults, None)):
            number, fault = found
            view.note(f"connection {number}: {fault}")
            request.headers[FAULT_HEADER] = fault

    return httpx.AsyncClient(event_hooks={"request": [ask_for_fault]})


async def compare(disturbed: Disturbed, gateway: "Gateway") -> list[Claim]:
    """Check it against the same response as a reader without faults receives it, and against a GET."""
    undisturbed: list[bytes] = []
    async with gateway.follow(disturbed.id, include_obfuscation=False) as again:
        while applied := await again.next_applied():
            undisturbed += [each.data for each in applied]
    truth = await gateway.retrieve(disturbed.id)
    outcome, text = disturbed.outcome, disturbed.outcome.state.output_text
    return [
        Claim(f"{len(FAULTS)} connections failed; {len(outcome.repairs)} repairs", len(outcome.repairs) >= 4),
        _same_events(disturbed.payloads, undisturbed),
        Claim(
            f"the text equals the gateway's: {len(text):,} characters, all of it from events",
            text == truth.output_text and len(text) > 0 and not outcome.is_compacted,
        ),
        Claim(
            f"the response {outcome_words(outcome)}",
            outcome.status is OutcomeStatus.COMPLETED and outcome.proof is not None,
        ),
        *fold_claims(undisturbed),
    ]


def _same_events(payloads: list[bytes], undisturbed: list[bytes]) -> Claim:
    lost, twice = len(set(undisturbed) - set(payloads)), len(payloads) - len(set(payloads))
    numbers = [decode(each)["sequence_number"] for each in payloads]
    return Claim(
        f"{lost or 'no'} events lost, {twice or 'none'} applied twice: {len(numbers)} events, "
        "byte for byte the same as without faults",
        payloads == undisturbed and numbers == list(range(len(numbers))),
    )


# Folding


def fold_claims(payloads: Sequence[bytes]) -> list[Claim]:
    """Fold these events, keep the State after each, and check what is promised about States."""
    data = b"".join(b"data: %b\n\n" % each for each in payloads)
    events = EventReader().feed(data)
    kept = list(states(events))
    middle = len(kept) // 2
    again = replay(events, at=kept[middle].cursor or 0)
    rate, passes = _fold_rate(data)
    return [
        Claim(
            f"{len(events):,} events folded, a State kept after each: {rate:,.0f} events/s "
            f"(reading and folding only; median of {passes} passes)",
            len(kept) == len(events),
        ),
        Claim(
            f"replaying to event {kept[middle].cursor} gives the State that was kept",
            snapshot_json(again) == snapshot_json(kept[middle]),
        ),
        Claim(
            f"event {kept[middle].cursor} applied again changes nothing",
            reduce(kept[-1], events[middle]) is kept[-1],
        ),
        _refuses_gap(kept[middle - 1], events[middle + 1]),
    ]


def _refuses_gap(state: State, ahead: Event) -> Claim:
    """An event from beyond a hole of one must be refused."""
    try:
        reduce(state, ahead)
    except SequenceGap as gap:
        return Claim(f"a gap is refused: {gap}", gap.expected == (state.cursor or 0) + 1)
    return Claim(f"event {ahead.sequence_number} was applied after event {state.cursor}", False)


def _fold_rate(data: bytes, *, clock: Callable[[], float] = time.perf_counter) -> tuple[float, int]:
    """Return the events per second of the median pass, and how many passes there were."""
    chunks = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
    seconds: list[float] = []
    gc.collect()  # no pass pays for what was left before
    events = 0
    while len(seconds) < MIN_PASSES or sum(seconds) < ENOUGH_SECONDS:
        reader, start = EventReader(), clock()
        events = len(list(states(event for chunk in chunks for event in reader.feed(chunk))))
        seconds.append(clock() - start)
    return events / median(seconds), len(seconds)


# Cancels


async def _race(line: Callable[[str], None], gateway: "Gateway") -> list[Claim]:
    """Cancel one response in the middle, one as it ends, and one after its end."""
    line("\nThree more responses, each cancelled")
    last = SHORT_WORDS + 5
    moments = (("in the middle", SHORT_WORDS // 2), ("as it ends", last), ("after its end", None))
    return [await _cancel_one(line, gateway, when, after=after) for when, after in moments]


async def _cancel_one(line: Callable[[str], None], gateway: "Gateway", when: str, *, after: int | None) -> Claim:
    async with gateway.stream(model="toy", input=f"{SHORT_WORDS} words", background=True) as response:
        while applied := await response.next_applied():
            if after is not None and (applied[-1].state.cursor or 0) >= after:
                break
        cursor = response.cursor
        result = await response.cancel()
        outcome = evolve(await response.outcome(), cancel=result)  # of one that was over already, it knows no cancel
        truth = (await gateway.retrieve(response.id or "")).status
    line(f"  cancelled {when}, after event {cursor}: {outcome_words(outcome)}")
    return Claim(
        f"cancelled {when}: {outcome.status}, and the gateway says {truth}",
        outcome.status == truth and outcome.proof is not None,
    )


async def _cancel_batch(line: Callable[[str], None], gateway: "Gateway") -> Claim:
    line("\nA batch, cancelled")
    made = await gateway.batches.create(
        input_file_id="file_demo", endpoint="/v1/responses", completion_window="24h", max_concurrency=1
    )
    show = in_words(lambda words: line(f"  {words}"))
    outcome = await follow_batch(gateway, made.id or "", show, is_cancel=True)
    truth = (await gateway.batches.retrieve(made.id or "")).status
    line(f"  {batch_words(outcome)}")
    is_cancelled = outcome.status is OutcomeStatus.CANCELLED and outcome.proof is not None
    return Claim(f"the batch: {outcome.status}, and the gateway says {truth}", is_cancelled and truth == "cancelled")
