"""How a run went about it: no call without need or before its time, no wait without reason, the right step first.

In      a Run that ended
Out     Complaints
Units   virtual seconds
Errors  none
Source  docs/explanation/repair.md, docs/explanation/cancel.md
"""

from collections.abc import Iterator
from itertools import takewhile

from streamfold.chaos import parse_faults
from streamfold.session import Answer, CancelResult, OutcomeStatus, RepairKind
from streamfold.sim.complaint import Complaint, Kind
from streamfold.sim.gateway import SYNCHRONOUS
from streamfold.sim.shell import Fact, Run
from streamfold.sim.truth import CANCELLED, GOES_ON, HANGS_UP, UNTOLD

__all__ = ["conduct"]

MANY = 1 << 26  # bytes, more than any frame has
TICK = 1e-6  # seconds that rounding may take
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # the bounds of the back-off
GAP_SECONDS = 0.5
CANCEL_SECONDS = 30.0
POLL_SECONDS = 2.0
UNAUTHORIZED = {401, 403}
UNKNOWN = {404, 410}
BUSY = {408, 425, 429}
# Faults that take nothing from a stream for long.
PASSING = {"gap", "reorder", "duplicate", "corrupt", "two_terminals"}


def conduct(run: Run) -> Iterator[Complaint]:
    """All that is wrong with the way a run went, whatever it came to."""
    yield from _needless(run)
    yield from _retry_after(run)
    yield from _reconnection(run)
    yield from _polls(run)
    yield from _never_again(run)
    yield from _steps(run)
    yield from _delays(run)
    yield from _cancel(run)


def _needless(run: Run) -> Iterator[Complaint]:
    """No call is made twice at once, and no connection without a repair."""
    if run.overlaps:
        yield Complaint(Kind.WRONG, f"called while the same call was unanswered: {run.overlaps[0]}")
    connects = [each.at for each in run.asked if each.call == "connect"]
    mends = sum(each.kind != "retrieve" for each in run.session.repairs)
    if len(connects) > mends + (run.script.start != "create"):
        yield Complaint(Kind.WRONG, f"{len(connects)} connects, with {mends} repairs")
    if run.script.manner.numbering not in {"plain", "holes"}:
        return
    for each in run.asked:
        if each.starting_after not in {None, each.cursor}:
            yield Complaint(Kind.WRONG, f"resumed after {each.starting_after}, with {each.cursor} for the last")


def _retry_after(run: Run) -> Iterator[Complaint]:
    """A call is not repeated before its time, but for a GET, which a notice or a cancel asks for at once."""
    for fact in run.facts:
        seconds = float(fact.got.headers.get("retry-after", 0)) if isinstance(fact.got, Answer) else 0.0
        limit = min(seconds, 120.0) - TICK
        again = [each.at for each in run.asked if each.call == fact.call and 0 < each.at - fact.at < limit]
        if again and fact.call != "retrieve":
            yield Complaint(
                Kind.WRONG, f"{fact.call} again at {again[0]:g}, {seconds:g} s were asked for at {fact.at:g}"
            )


def _reconnection(run: Run) -> Iterator[Complaint]:
    """A stream's `retry:` is obeyed. Under faults it may not have come."""
    asked = run.script.manner.retry_milliseconds / 1000 - TICK
    if run.script.max_frame_bytes < MANY or any(upset.faults or upset.answer for upset in run.script.streams):
        return  # it did not come, perhaps, or the stream was given up long before it ended
    ends = [fact.at for fact in run.facts if fact.call == "connect" and fact.got == "ended"]
    connects = [each.at for each in run.asked if each.call == "connect"]
    if any(end < at < end + asked for end in ends for at in connects):
        yield Complaint(Kind.WRONG, f"connected again sooner than the {asked:g} s that the stream asked for")


def _polls(run: Run) -> Iterator[Complaint]:
    """After a GET that told of a Response still running, the next waits, unless something else was heard."""
    last: Fact | None = None
    deeds = [deed.at for deed in run.script.deeds if deed.what != "leave"]
    for fact in run.facts:
        is_get = fact.call == "retrieve"
        is_soon = last is not None and is_get and last.at <= fact.asked_at < last.at + POLL_SECONDS - TICK
        if last is not None and is_soon and not any(last.at <= at <= fact.asked_at for at in deeds):
            yield Complaint(Kind.WRONG, f"a GET told at {last.at:g} that it runs, and {fact.asked_at:g} asks again")
        last = fact if is_get and is_response(fact, "in_progress") else None


def _never_again(run: Run) -> Iterator[Complaint]:
    """What was refused for good is not asked for again."""
    for place, fact in enumerate(run.facts):
        if not isinstance(fact.got, Answer) or fact.call == "cancel":
            continue
        refused: set[str] = set()
        if fact.got.status in UNAUTHORIZED:
            refused = {"connect", "retrieve"}
        elif fact.call == "connect" and (fact.got.status in UNKNOWN or b"streamed" in fact.got.body):
            refused = {"connect"}
        elif fact.call == "retrieve" and fact.got.status in UNKNOWN:
            refused = {"retrieve"}
        # A Response that comes all the same, as in the place of a stream, is news.
        later = takewhile(lambda each: not is_given(each), run.facts[place + 1 :])
        again = [each.call for each in later if each.call in refused and each.asked_at > fact.at]
        if again:
            yield Complaint(Kind.WRONG, f"{again[0]} again, which was refused for good: {fact.got.excerpt}")
            return


def is_given(fact: Fact) -> bool:
    """Whether a Response came where a stream was asked for."""
    return fact.call == "connect" and isinstance(fact.got, Answer) and fact.got.is_success and fact.got.is_json


def _steps(run: Run) -> Iterator[Complaint]:
    """After progress the first step comes first: to resume."""
    was_refused = any(_is_refusal(fact.got) for fact in run.facts if fact.call == "connect")
    was_refused = was_refused or any(_is_refusal(fact.got) for fact in run.facts if _status(fact) in UNAUTHORIZED)
    if was_refused or run.script.manner.numbering not in {"plain", "holes"} or run.truth.cancelled_at < run.at:
        return
    for place, repair in enumerate(run.session.repairs):
        if place in run.progressed and repair.kind is not RepairKind.RESUME:
            yield Complaint(Kind.WRONG, f"{repair.kind} after progress, for it was never refused to resume")
            return


def _status(fact: Fact) -> int:
    return fact.got.status if isinstance(fact.got, Answer) else 0


def _is_refusal(got: Answer | str) -> bool:
    """Whether a stream was refused for good; a JSON body in its place is that too."""
    return isinstance(got, Answer) and (
        (400 <= got.status < 500 and got.status not in BUSY) or (got.is_json and got.is_success)
    )


def _delays(run: Run) -> Iterator[Complaint]:
    """Where faults only pass by, no event comes much later than it could."""
    script, lines = run.script, run.truth.feed.lines
    names = {fault.name for upset in script.streams for fault in parse_faults(upset.faults)}
    is_passing = names <= PASSING and not any(upset.seconds or upset.answer for upset in script.streams)
    if not is_passing or not script.is_plain or run.cancelled_at is not None or script.manner.retry_milliseconds:
        return
    if script.start == "create" and any("gap:after_events=0" in upset.faults for upset in script.streams[:1]):
        return  # without its id, which was in what is missing, nothing can be asked for before the end
    bound = sum(GAP_SECONDS + min(LONGEST_WAIT, FIRST_WAIT * 2**each) for each in range(1 + len(script.streams)))
    # What is missing is noticed when something comes behind it.
    bound += script.manner.pause_seconds + script.manner.pace_seconds * (1 + 3 * len(script.streams))
    for place, at in enumerate(run.applied_at, run.begins_at):
        if place < len(lines) and at - max(0.0, run.truth.feed.times[place]) > bound:
            yield Complaint(Kind.LOST, f"event {place} came {at - run.truth.feed.times[place]:g} s late")
            return


# A cancel


def _cancel(run: Run) -> Iterator[Complaint]:
    """One that is wanted is sent, and again until it is answered; what it comes to is told in time."""
    outcome, manner = run.outcome, run.script.manner
    if outcome is None:
        return
    sent = [each.at for each in run.asked if each.call == "cancel"]
    if run.cancelled_at is not None and run.cancelled_at < run.at and run.session.response_id is not None and not sent:
        yield Complaint(Kind.WRONG, "a cancel was wanted, and never sent")
    if len(sent) > run.script.max_attempts:
        yield Complaint(Kind.WRONG, f"a cancel was sent {len(sent)} times")
    if outcome.conflicts and manner.cancel not in {HANGS_UP, GOES_ON}:
        yield Complaint(Kind.WRONG, f"a conflict where there was none: {outcome.conflicts[0]}")
    answers = [fact for fact in run.facts if fact.call == "cancel"]
    yield from _not_sent_again(run, answers, sent)
    yield from _not_told(run, answers)
    is_open = len(answers) < len(sent) and run.at < sent[0] + CANCEL_SECONDS - TICK
    if outcome.status is OutcomeStatus.LOST and is_open and not outcome.reason.startswith("it did not end"):
        yield Complaint(Kind.LOST, "it was given up while the answer to the cancel was on its way")


def _not_sent_again(run: Run, answers: list[Fact], sent: list[float]) -> Iterator[Complaint]:
    if not answers or len(sent) > len(answers) or len(sent) >= run.script.max_attempts:
        return
    last = answers[-1]
    got = last.got if isinstance(last.got, Answer) else Answer(503)
    says_nothing = got.status >= 500 or got.status in BUSY | UNKNOWN
    wait = LONGEST_WAIT + min(120.0, float(got.headers.get("retry-after", 0)))
    if says_nothing and min(run.at, sent[0] + CANCEL_SECONDS) > last.at + wait + TICK:
        yield Complaint(Kind.WRONG, f"the cancel was not sent again, though nothing was answered: {last.got}")


def _not_told(run: Run, answers: list[Fact]) -> Iterator[Complaint]:
    """What the answers to a cancel said, and the outcome does not."""
    outcome, truth, manner = run.outcome, run.truth, run.script.manner
    if outcome is None:
        return
    told_cancelled = [fact.at for fact in answers if is_response(fact, CANCELLED)]
    script = run.script
    is_slow = any(upset.seconds for upset in (*script.streams, *script.retrieves, *script.cancels))
    is_clean = not run.has_upset and told_cancelled and not is_slow and any(fact.got == "ended" for fact in run.facts)
    soon = POLL_SECONDS + TICK
    if is_clean and manner.cancel in {HANGS_UP, UNTOLD} and run.at > max(told_cancelled[0], truth.cancelled_at) + soon:
        yield Complaint(Kind.WRONG, "the answer said cancelled and the stream ended: nothing else was to come")
    saw_end = bool(run.applied) and run.applied[-1].state.is_terminal and run.applied[-1].state.status != CANCELLED
    if told_cancelled and saw_end and not outcome.conflicts and outcome.proof is not None:
        yield Complaint(Kind.WRONG, "the answer said cancelled, the stream did not: a conflict, and it is not told")
    refused = [fact for fact in answers if isinstance(fact.got, Answer) and SYNCHRONOUS.encode() in fact.got.body]
    is_left = outcome.cancel is CancelResult.REFUSED or outcome.status is OutcomeStatus.LOST or run.left_at is not None
    is_foreground = not manner.background and manner.retrieve == "always"
    if is_foreground and refused and not is_left and knows_foreground(run, refused[0].at):
        yield Complaint(Kind.WRONG, f"a foreground response was followed on to {outcome.status}")


def knows_foreground(run: Run, at: float) -> bool:
    """Whether the session knew, then or later, that what runs is in the foreground."""
    told = [fact.at for fact in run.facts if fact.call == "retrieve" and is_response(fact, "in_progress")]
    seen = [when for when, each in zip(run.applied_at, run.applied, strict=True) if b'"response":' in each.data]
    return any(each >= at for each in told) or (bool(seen) and seen[0] < at < run.at - TICK)


def is_response(fact: Fact, status: str) -> bool:
    """Whether the answer is a Response of this status; its status stands before any item's."""
    body = fact.got.body if isinstance(fact.got, Answer) else b""
    return body.endswith(b"}") and body.partition(b'"status":"')[2].startswith(status.encode() + b'"')
