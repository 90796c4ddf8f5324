"""The rules for the calls of a session: none without need, none before its time, the right repair first.

A rule returns what is wrong with a run, or None. The sources are docs/explanation/repair.md and cancel.md.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum, auto
from itertools import takewhile
from typing import TypeAlias

from attrs import frozen

from streamfold.chaos import parse_faults
from streamfold.emulator import Ending
from streamfold.session import CancelResult, Outcome, OutcomeStatus, RepairKind
from streamfold.sim.driver import Fact, Run
from streamfold.sim.response import CANCELLED
from streamfold.sim.scenario import Injection

TICK = 1e-6  # seconds of rounding
UNAUTHORIZED = {401, 403}
UNKNOWN = {404, 410}
BUSY = {408, 425, 429}
# Faults that hold a stream up for a moment only.
PASSING = {"gap", "reorder", "duplicate", "corrupt", "two_terminals"}


class Kind(StrEnum):
    """What a run did that no run may do."""

    LOST = auto()
    """An event was left out, or a response was given up that could have been followed."""
    TWICE = auto()
    """An event was applied twice."""
    WRONG = auto()
    """The outcome is not true, or a call was made against the rules."""
    UNENDED = auto()
    """The run did not end."""


@frozen
class Violation:
    """One thing that is wrong with a run."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


Rule: TypeAlias = Callable[[Run, Outcome], str | None]


def broken_call_rules(run: Run, outcome: Outcome) -> Iterator[Violation]:
    """The call rules that a run broke, whatever its outcome."""
    for kind, rule in RULES:
        if (wrong := rule(run, outcome)) is not None:
            yield Violation(kind, wrong)


def is_refusal(status: int) -> bool:
    """Whether the status refuses a call for good."""
    return 400 <= status < 500 and status not in BUSY


# Every call has a reason


def _one_call_of_a_kind_at_a_time(run: Run, _: Outcome) -> str | None:
    return f"called while the same call was unanswered: {run.overlaps[0]}" if run.overlaps else None


def _each_connection_is_a_repair(run: Run, _: Outcome) -> str | None:
    connects = len(run.calls_of("connect"))
    repairs = sum(each.kind != "retrieve" for each in run.session.repairs)
    is_needless = connects > repairs + (run.scenario.start != "create")
    return f"{connects} connects, with {repairs} repairs" if is_needless else None


def _resumes_after_the_cursor(run: Run, _: Outcome) -> str | None:
    for call in run.calls if run.scenario.is_numbered else []:
        if call.starting_after not in {None, call.cursor}:
            return f"resumed after {call.starting_after}, with the cursor at {call.cursor}"
    return None


def _permanent_refusals_are_final(run: Run, _: Outcome) -> str | None:
    for place, fact in enumerate(run.facts):
        refused = _refused_for_good(fact)
        # A Response that comes after all, for example instead of a stream, is news.
        later = takewhile(lambda each: not (each.call == "connect" and each.is_json_success), run.facts[place + 1 :])
        again = [each.call for each in later if each.call in refused and each.asked_at > fact.at]
        if again:
            return f"{again[0]} again, which was refused for good: {fact.got}"
    return None


def _refused_for_good(fact: Fact) -> set[str]:
    """The calls that are pointless after this answer."""
    if fact.call == "cancel":
        return set()
    if fact.status in UNAUTHORIZED:
        return {"connect", "retrieve"}
    is_unstreamable = fact.call == "connect" and b"streamed" in fact.body
    return {fact.call} if fact.status in UNKNOWN or is_unstreamable else set()


def _resumes_first_after_progress(run: Run, _: Outcome) -> str | None:
    if _was_stream_refused(run) or not run.scenario.is_numbered or run.truth.cancelled_at < run.at:
        return None
    for place, repair in enumerate(run.session.repairs):
        if place in run.progressed and repair.kind is not RepairKind.RESUME:
            return f"{repair.kind} after progress, though resuming was never refused"
    return None


def _was_stream_refused(run: Run) -> bool:
    connects = run.facts_of("connect")
    is_refused = any(is_refusal(fact.status) or fact.is_json_success for fact in connects)
    return is_refused or any(fact.status in UNAUTHORIZED for fact in run.facts)


# No call comes too early


def _retry_after_is_obeyed(run: Run, _: Outcome) -> str | None:
    """Except by a GET, which a notice or a cancel causes at once."""
    for fact in run.facts:
        limit = min(fact.retry_after_seconds, run.patience.backoff.max_retry_after_seconds) - TICK
        again = [call.at for call in run.calls_of(fact.call) if 0 < call.at - fact.at < limit]
        if again and fact.call != "retrieve":
            return f"{fact.call} again at {again[0]:g}; at {fact.at:g} the gateway asked for {limit:g} s"
    return None


def _reconnection_time_is_obeyed(run: Run, _: Outcome) -> str | None:
    """Unless a fault may have kept the `retry:` line away, or the stream was given up before it ended."""
    scenario = run.scenario
    seconds = scenario.behaviour.retry_milliseconds / 1000 - TICK
    if not scenario.keeps_streams or any(each.faults or each.answer for each in scenario.streams):
        return None
    ends = [fact.at for fact in run.facts_of("connect") if fact.got == "ended"]
    is_early = any(end < call.at < end + seconds for end in ends for call in run.calls_of("connect"))
    return f"connected again within the {seconds:g} s that the stream asked for" if is_early else None


def _polls_are_spaced(run: Run, _: Outcome) -> str | None:
    """After a GET that shows an open Response the next one waits, unless something else happened."""
    actions = [action.at for action in run.scenario.actions if action.what != "leave"]
    last: Fact | None = None
    for fact in run.facts:
        if last is not None and fact.call == "retrieve" and _is_early(last.at, fact.asked_at, actions, run):
            return f"a GET at {last.at:g} showed an open Response, and the next came at {fact.asked_at:g}"
        last = fact if fact.call == "retrieve" and fact.shows("in_progress") else None
    return None


def _is_early(before: float, after: float, actions: list[float], run: Run) -> bool:
    if run.cancelled_at is not None and knew_foreground(run, after):
        return False  # its connection was closed, and one more GET follows
    is_soon = before <= after < before + run.patience.poll_seconds - TICK
    return is_soon and not any(before <= at <= after for at in actions)


# No event comes too late


def _events_are_in_time(run: Run, _: Outcome) -> str | None:
    """Where faults only pass by, no event comes much later than it could."""
    if not _may_be_judged_by_time(run):
        return None
    bound = _longest_delay_seconds(run)
    times = run.truth.feed.times[run.begins_at :]
    for place, (exists_at, at) in enumerate(zip(times, run.applied_at, strict=False), run.begins_at):
        if at - max(0.0, exists_at) > bound:
            return f"event {place} came {at - exists_at:g} s late"
    return None


def _may_be_judged_by_time(run: Run) -> bool:
    scenario = run.scenario
    if run.cancelled_at is not None or scenario.outages:
        return False
    # Without its id, which is in the event that is missing, nothing can be repaired before the stream ends.
    has_no_id = scenario.start == "create" and any("gap:after_events=0" in each.faults for each in scenario.streams[:1])
    is_judged = scenario.is_plain and not scenario.behaviour.retry_milliseconds and not has_no_id
    return is_judged and all(map(_passes_by, scenario.streams))


def _passes_by(injection: Injection) -> bool:
    """Whether what goes wrong with a stream holds it up for a moment only."""
    faults = {fault.name for fault in parse_faults(injection.faults)}
    return faults <= PASSING and not (injection.seconds or injection.answer)


def _longest_delay_seconds(run: Run) -> float:
    streams, behaviour, backoff = len(run.scenario.streams), run.scenario.behaviour, run.patience.backoff
    waits = (min(backoff.max_seconds, backoff.first_seconds * 2.0**attempt) for attempt in range(1 + streams))
    repairs = sum(run.patience.gap_seconds + wait for wait in waits)
    # A missing event is noticed when the next one comes.
    return repairs + behaviour.pause_seconds + behaviour.pace_seconds * (1 + 3 * streams)


def _an_outage_is_outlasted(run: Run, outcome: Outcome) -> str | None:
    """Whatever else is well, a response that an outage interrupts is whole in the end, event by event."""
    scenario = run.scenario
    behaviour = scenario.behaviour
    is_judged = scenario.is_undisturbed and scenario.is_plain and behaviour.background and behaviour.finished == "all"
    down = sum(outage.seconds for outage in scenario.outages)
    if not is_judged or scenario.total_seconds is not None or not 0 < down < run.patience.stalled_seconds:
        return None
    is_whole = outcome.proof is not None and not outcome.is_compacted
    return None if is_whole else f"it did not outlast an outage of {down:g} s: {outcome.status}, {outcome.reason}"


# A cancel is sent, sent again until it is answered, and its result is reported in time


def _a_wanted_cancel_is_sent(run: Run, _: Outcome) -> str | None:
    is_wanted = run.cancelled_at is not None and run.cancelled_at < run.at and run.session.response_id is not None
    return "a cancel was wanted, and never sent" if is_wanted and not run.calls_of("cancel") else None


def _cancels_are_limited(run: Run, _: Outcome) -> str | None:
    sent, outages = run.calls_of("cancel"), [*map(_is_outage, run.facts_of("cancel"))]
    limit = 1 if run.scenario.asked_background is False else run.scenario.max_attempts + sum(outages)
    return f"a cancel was sent {len(sent)} times" if len(sent) > limit else None


def _is_outage(fact: Fact) -> bool:
    """Whether it says nothing about the cancel. With 501 it does."""
    return fact.status == 0 or (fact.status >= 500 and fact.status != 501) or fact.status in BUSY


def _a_cancel_is_sent_again(run: Run, _: Outcome) -> str | None:
    sent, answers = run.calls_of("cancel"), run.facts_of("cancel")
    said = [each for each in answers if not _is_outage(each)]
    if not answers or len(sent) > len(answers) or len(said) >= run.scenario.max_attempts:
        return None
    last, patience = answers[-1], run.patience
    if knew_foreground(run, run.at):
        return None
    says_nothing = _is_outage(last) or last.status in UNKNOWN
    wait = patience.backoff.max_seconds + min(patience.backoff.max_retry_after_seconds, last.retry_after_seconds)
    is_late = min(run.at, sent[0].at + patience.cancel_seconds) > last.at + wait + TICK
    return f"the cancel was not sent again after {last.got}" if says_nothing and is_late else None


def _waits_for_the_cancel(run: Run, outcome: Outcome) -> str | None:
    sent = run.calls_of("cancel")
    is_open = len(run.facts_of("cancel")) < len(sent) and run.at < sent[0].at + run.patience.cancel_seconds - TICK
    is_early = outcome.status is OutcomeStatus.LOST and is_open and "it did not end" not in outcome.reason
    return "it was given up before the cancel was answered" if is_early else None


def _conflicts_are_real(run: Run, outcome: Outcome) -> str | None:
    contradicts = run.scenario.behaviour.cancel in {"relabelled", "failed-holding-failed"}
    is_possible = run.truth.rule.ending in {Ending.HANG_UP, Ending.GOES_ON} or outcome.cancel is CancelResult.LEFT
    is_possible = is_possible or contradicts
    return f"there was no conflict: {outcome.conflicts[0]}" if outcome.conflicts and not is_possible else None


def _conflicts_are_reported(run: Run, outcome: Outcome) -> str | None:
    is_unsaid = bool(_cancelled_answers(run)) and run.saw_other_end and not outcome.conflicts
    return "the answer says cancelled, the stream does not: a conflict" if is_unsaid and outcome.proof else None


def _a_proven_cancel_ends_the_run(run: Run, _: Outcome) -> str | None:
    answers = _cancelled_answers(run)
    ends_unsaid = run.truth.rule.ending in {Ending.HANG_UP, Ending.SILENT}
    scenario = run.scenario
    is_slow = any(each.seconds for each in (*scenario.streams, *scenario.retrieves, *scenario.cancels))
    ended = [fact.at for fact in run.facts if fact.got == "ended"]
    if not answers or not ends_unsaid or is_slow or run.went_wrong or not ended:
        return None
    soon = max(answers[0].at, run.truth.cancelled_at, *ended) + run.patience.cancel_check_seconds + TICK
    return "the answer says cancelled and the stream ended: nothing more was to come" if run.at > soon else None


def _a_foreground_response_is_left(run: Run, outcome: Outcome) -> str | None:
    """Unless its cancel is confirmed soon, its connection is closed, one GET asks, and nothing else is done."""
    if run.cancelled_at is None or not knew_foreground(run, run.cancelled_at):
        return None
    patience, left_at = run.patience, _must_leave_at(run, run.cancelled_at)
    if max((call.at for call in run.calls_of("connect")), default=0.0) > left_at + TICK:
        return "a foreground response was followed on after its cancel"
    if run.applied and run.applied[-1].state.is_terminal and run.applied_at[-1] <= left_at + TICK:
        return None  # the stream brought its end in time
    latest = left_at + patience.cancel_check_seconds + patience.cancel_grace_seconds + TICK
    return f"a foreground response was still followed at {run.at:g}" if run.at > latest else None


def _must_leave_at(run: Run, cancelled_at: float) -> float:
    hopeless = [fact.at for fact in run.facts_of("cancel") if _is_hopeless(fact)]
    return min(hopeless, default=cancelled_at + run.patience.cancel_grace_seconds)


def _is_hopeless(answer: Fact) -> bool:
    """Whether no confirmation can follow this answer to a cancel."""
    if answer.status == 200:
        return not answer.shows("completed", "failed", "incomplete", "in_progress", CANCELLED)
    return b"Cannot cancel a c" not in answer.body


def knew_foreground(run: Run, at: float) -> bool:
    """Whether the session knew then that the response runs in the foreground."""
    if run.scenario.behaviour.background:
        return False
    shown = [fact.at for fact in run.facts if fact.call != "cancel" and fact.shows("in_progress")]
    seen = [when for when, each in zip(run.applied_at, run.applied, strict=True) if b'"response":' in each.data]
    return run.scenario.start == "create" or any(each <= at for each in (*shown, *seen))


def _cancelled_answers(run: Run) -> list[Fact]:
    return [fact for fact in run.facts_of("cancel") if fact.shows(CANCELLED)]


RULES: tuple[tuple[Kind, Rule], ...] = (
    (Kind.WRONG, _one_call_of_a_kind_at_a_time),
    (Kind.WRONG, _each_connection_is_a_repair),
    (Kind.WRONG, _resumes_after_the_cursor),
    (Kind.WRONG, _permanent_refusals_are_final),
    (Kind.WRONG, _resumes_first_after_progress),
    (Kind.WRONG, _retry_after_is_obeyed),
    (Kind.WRONG, _reconnection_time_is_obeyed),
    (Kind.WRONG, _polls_are_spaced),
    (Kind.LOST, _events_are_in_time),
    (Kind.LOST, _an_outage_is_outlasted),
    (Kind.WRONG, _a_wanted_cancel_is_sent),
    (Kind.WRONG, _cancels_are_limited),
    (Kind.WRONG, _a_cancel_is_sent_again),
    (Kind.LOST, _waits_for_the_cancel),
    (Kind.WRONG, _conflicts_are_real),
    (Kind.WRONG, _conflicts_are_reported),
    (Kind.WRONG, _a_proven_cancel_ends_the_run),
    (Kind.WRONG, _a_foreground_response_is_left),
)
