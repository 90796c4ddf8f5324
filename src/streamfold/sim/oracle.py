"""What a run must have been: no event lost or applied twice, the right end, and calls within the rules.

The n-th event applied must be the n-th that the response has. Two things are excused: one last event that a gateway
invented after its buffer was gone, and, under the fault `renumber`, an order that follows from wrong numbers; then each
event must only be one of the response's. The end must be right all the same.

What the outcome may say depends on what the session could know. A gateway that contradicts itself has two truths: with
HANG_UP a GET says cancelled and a new stream runs to the end; with GOES_ON the response is cancelled until it is
completed. Then the answer depends on what the session was shown.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise, zip_longest
from math import inf
from typing import Any, TypeAlias

from msgspec import MsgspecError
from msgspec.json import decode

from streamfold.emulator import Ending
from streamfold.fold import State, snapshot_json
from streamfold.session import CancelResult, Outcome, OutcomeStatus, Proof
from streamfold.sim.call_rules import (
    UNAUTHORIZED,
    Kind,
    Violation,
    broken_call_rules,
    is_refusal,
    knew_foreground,
)
from streamfold.sim.driver import Fact, Run
from streamfold.sim.response import CANCELLED
from streamfold.sim.transcript import fold_across, with_number

BROKEN = b"\xff"
COMPLETED = "completed"
Items: TypeAlias = list[dict[str, Any]]
MAX_LEFT_OUT = 6  # events, by the faults of one answer


def audit(run: Run) -> list[Violation]:
    """Find everything that is wrong with a run."""
    outcome = run.outcome
    if outcome is None:
        return [Violation(Kind.UNENDED, run.trouble)]
    if run.trouble:
        return [Violation(Kind.WRONG, run.trouble)]
    wrong = [
        *_events(run),
        *_end(run, outcome),
        *_id(run, outcome),
        *_repairs(run, outcome),
        *broken_call_rules(run, outcome),
    ]
    # If the wrong events were applied, a wrong state follows and says nothing new.
    return wrong or [*_state(run, outcome), *_text(run, outcome), *_compaction(run, outcome)]


# Events


def _events(run: Run) -> Iterator[Violation]:
    if run.scenario.has_fault("renumber"):
        yield from _renumbered_events(run)
        return
    events = run.events
    for place, each in enumerate(run.applied, run.begins_at + _left_out(run)):
        if place < len(events) and each.data in _forms(run, events[place].data):
            continue
        if not _is_invented(run, place) and not _only_the_end_came(run):
            was_before = any(each.data == event.data for event in events[:place])
            what = f"event {place} should not be {each.data[:80].decode(errors='replace')}"
            yield Violation(Kind.TWICE if was_before else Kind.LOST, what)
        return


def _forms(run: Run, data: bytes) -> tuple[bytes, ...]:
    """The event's data, and as the fault `corrupt` leaves it: a broken character is read as U+FFFD."""
    if not run.scenario.has_fault("corrupt"):
        return (data,)
    middle = len(data) // 2
    return (data, data[:middle] + BROKEN + data[middle + 1 :])


def _only_the_end_came(run: Run) -> bool:
    """Whether faults left out the few events before the terminal one, or the gateway had no more."""
    if len(run.applied) != 1 or len(run.events) > 1 + MAX_LEFT_OUT:
        return False
    return run.applied[0].data in _forms(run, run.events[-1].data)


def _left_out(run: Run) -> int:
    """How many events at the very beginning could not be missed, as nothing says with which number a stream begins.

    A keepalive that came late, and what the gateway left out every time that the whole stream was requested.
    """
    if run.begins_at or not run.applied:
        return 0
    events, first = run.truth.transcript.events, run.applied[0].data
    gaps = sum("gap:after_events=0" in injection.faults for injection in run.scenario.streams)
    most = MAX_LEFT_OUT if gaps > 1 else int(run.scenario.behaviour.has_keepalive)
    places = range(1, min(most + 1, len(events)))
    return next((place for place in places if first in _forms(run, events[place].data)), 0)


def _is_invented(run: Run, place: int) -> bool:
    """Whether the event at that place is the last one applied, and was made up by the gateway."""
    if place != run.begins_at + _left_out(run) + len(run.applied) - 1:
        return False
    invented = {*run.gateway.invented}
    # The fault `two_terminals` sends the last event again, with the next number.
    if run.scenario.has_fault("two_terminals") and place == len(run.events):
        invented.add(run.events[-1].data)
    return with_number(run.applied[-1].data, None) in _unnumbered(run, invented)


def _unnumbered(run: Run, data: Iterable[bytes]) -> set[bytes]:
    return {with_number(form, None) for each in data for form in _forms(run, each)}


def _renumbered_events(run: Run) -> Iterator[Violation]:
    # A terminal event ends the response whatever its number.
    numbers = [each.event.sequence_number or 0 for each in run.applied if not each.state.is_terminal]
    if any(after != before + 1 for before, after in pairwise(numbers)):
        yield Violation(Kind.LOST, f"the numbers are not consecutive: {numbers}")
    real = _unnumbered(run, (event.data for event in (*run.events, *run.truth.transcript.events)))
    real |= _unnumbered(run, run.gateway.invented)
    if any(with_number(each.data, None) not in real for each in run.applied):
        yield Violation(Kind.WRONG, "an event was applied that the response does not have")


# The end


def _end(run: Run, outcome: Outcome) -> Iterator[Violation]:
    if outcome.status == OutcomeStatus.LOST:
        if (why := _why_needless(run, outcome)) is not None:
            yield Violation(Kind.LOST, f"it was given up, but {why}: {outcome.reason}")
    elif outcome.status not in (allowed := _allowed_statuses(run, outcome)):
        yield Violation(Kind.WRONG, f"{outcome.status} by {outcome.proof}, not {' or '.join(sorted(allowed))}")
    if (outcome.proof is None) != (outcome.status in {OutcomeStatus.LOST, OutcomeStatus.ABANDONED}):
        yield Violation(Kind.WRONG, f"{outcome.status} by {outcome.proof}")
    if outcome.cancel not in (results := _allowed_cancels(run, outcome)):
        yield Violation(Kind.WRONG, f"{outcome.status} with cancel {outcome.cancel}, not {sorted(map(str, results))}")


def _allowed_statuses(run: Run, outcome: Outcome) -> set[str]:
    """What the status may be if the response was not given up."""
    was_cancelled_in_foreground = run.cancelled_at is not None and not run.scenario.behaviour.background
    may_be_left = run.left_at is not None or (was_cancelled_in_foreground and not _told_an_end_after_leaving(run))
    return _true_statuses(run, outcome) | ({OutcomeStatus.ABANDONED} if may_be_left else set[str]())


def _told_an_end_after_leaving(run: Run) -> bool:
    """Whether the GET that was asked after the connection was closed showed an end."""
    ends = ("completed", "failed", "incomplete", CANCELLED)
    if _still_grew(run):
        return False
    return any(fact.shows(*ends) for fact in run.facts_of("retrieve")[-1:] if fact.asked_at > (run.cancelled_at or 0.0))


def _true_statuses(run: Run, outcome: Outcome) -> set[str]:
    truth = run.truth
    natural, both = {truth.transcript.status}, {truth.transcript.status, CANCELLED}
    if not truth.is_cancelled:
        return natural if truth.natural_end < inf else set()
    if truth.ending is Ending.GOES_ON:
        return natural if run.saw_other_end or _still_grew(run) else both
    if not truth.contradicts_itself:
        return both if run.at < truth.cancelled_at else {CANCELLED}
    both = {CANCELLED, truth.streamed_status}
    # The stream shows another end than a GET does. That end is right if no GET showed the other, and there was no time.
    return {CANCELLED} if outcome.proof is Proof.RETRIEVED and _was_shown_cancelled(run) else both


def _was_shown_cancelled(run: Run) -> bool:
    return any(fact.shows(CANCELLED) for fact in run.facts_of("retrieve")[-1:])


def _still_grew(run: Run) -> bool:
    """Whether the last GET showed more than the one before: then `cancelled` was not to be believed."""
    bodies = [fact.body for fact in run.facts if fact.call != "connect" and fact.shows(CANCELLED)]
    before, last = ([0, 0] + [run.truth.growth.get(body, 0) for body in bodies])[-2:]
    return len(bodies) > 1 and last > before


def _allowed_cancels(run: Run, outcome: Outcome) -> set[CancelResult | None]:
    """What the outcome may say of a cancel."""
    answers = run.facts_of("cancel")
    if run.cancelled_at is None:
        return {None}
    if len(answers) == 1 and answers[0].status in UNAUTHORIZED and not knew_foreground(run, answers[0].at):
        return {CancelResult.NOT_ALLOWED}
    if outcome.proof is None:
        return _allowed_unproven(run, outcome)
    if outcome.status is OutcomeStatus.CANCELLED:
        was_over = _was_over(run, answers)
        return {CancelResult.CANCEL_WON, *([CancelResult.ALREADY_TERMINAL] if was_over else [])}
    # In the foreground, what "synchronous" means may be learned later, and a GET before the disconnect does not count.
    known = (True,) if run.scenario.behaviour.background else (True, False)
    return {_result_of_an_end(run, answers, is_strict=each) for each in known}


def _result_of_an_end(run: Run, answers: list[Fact], *, is_strict: bool) -> CancelResult:
    was_read = bool(run.applied) and run.applied[-1].state.is_terminal and not run.calls_of("cancel")
    had_ended = was_read or any(_says_it_had_ended(run, answer, is_strict=is_strict) for answer in answers)
    return CancelResult.ALREADY_TERMINAL if had_ended else CancelResult.COMPLETION_WON


def _was_over(run: Run, answers: list[Fact]) -> bool:
    """Whether something else than this cancel may have ended a response that is cancelled now."""
    says_so = any(_says_it_had_ended(run, answer, is_strict=True) for answer in answers)
    return run.truth.was_left or (run.truth.was_relabelled and says_so)


def _allowed_unproven(run: Run, outcome: Outcome) -> set[CancelResult | None]:
    """The same of a response that was lost, or that the caller or the session left."""
    if outcome.status is OutcomeStatus.ABANDONED and run.left_at is None:
        return {CancelResult.LEFT}
    is_foreground = not run.scenario.behaviour.background
    return {None, CancelResult.UNCONFIRMED, *([CancelResult.LEFT] if is_foreground else [])}


def _says_it_had_ended(run: Run, answer: Fact, *, is_strict: bool) -> bool:
    """Whether an answer says that the response had ended before, and no later GET says that it ran."""
    if answer.status == 200:
        return answer.shows("completed", "failed", "incomplete")
    if b"synchronous" in answer.body or b"background" in answer.body:
        is_said = is_strict and not knew_foreground(run, answer.at)
    else:
        is_said = b"Cannot cancel a" in answer.body or answer.status == 409
    is_denied = any(fact.shows("in_progress") for fact in _asked_after(run, answer))
    return is_said and not (is_denied and is_strict)


def _asked_after(run: Run, answer: Fact) -> list[Fact]:
    return [fact for fact in run.facts_of("retrieve") if fact.asked_at >= answer.at]


# Giving up


def _why_needless(run: Run, outcome: Outcome) -> str | None:
    """Why the response need not have been given up; None if nothing more could be learned."""
    scenario = run.scenario
    if run.saw_terminal and scenario.behaviour.numbering == "plain" and scenario.takes_every_frame:
        return "its terminal event had come"
    patience = run.patience
    if "never said" in outcome.reason:
        return _knew_its_id(run, outcome)
    if "it did not end" in outcome.reason:
        return None if patience.total_seconds is not None and run.at >= patience.total_seconds else "there was time"
    if "nothing new" in outcome.reason:
        waited = run.at - (run.applied_at[-1] if run.applied_at else 0.0)
        return None if waited >= patience.stalled_seconds else f"only {waited:g} s went by"
    return None if _is_refused_for_good(run) else "a GET was not refused, nor tried often enough"


def _knew_its_id(run: Run, outcome: Outcome) -> str | None:
    if "an event is missing" in outcome.reason:
        return "its stream was still open"
    return "its id was known" if any(b'"response":' in each.data for each in run.applied) else None


def _is_refused_for_good(run: Run) -> bool:
    gets, attempts = run.facts_of("retrieve"), run.patience.max_attempts
    is_refused = any(is_refusal(fact.status) for fact in gets)
    brought = any(fact.status == 200 and _is_whole(fact.body) for fact in gets[-attempts:])
    is_tried = len(gets) >= attempts and not brought
    return is_refused or is_tried or any(fact.status in UNAUTHORIZED for fact in run.facts)


def _is_whole(body: bytes) -> bool:
    try:
        return isinstance(decode(body), dict)
    except MsgspecError:
        return False


# The state


def _state(run: Run, outcome: Outcome) -> Iterator[Violation]:
    """The state at the end is what was applied, with the Response that ended it on top."""
    folded = fold_across((each.data for each in run.applied), run.start)
    if run.applied and snapshot_json(run.applied[-1].state) != snapshot_json(folded):
        yield Violation(Kind.WRONG, "the last state is not what its events make of it")
    if outcome.proof is None and snapshot_json(outcome.state) != snapshot_json(folded):
        yield Violation(Kind.WRONG, "the state is not what was applied")
    # The text of a terminal event that came under the fault `corrupt` may be as broken as its bytes.
    may_be_corrupt = outcome.proof is Proof.TERMINAL_EVENT and run.scenario.has_fault("corrupt")
    if outcome.proof is not None and not may_be_corrupt:
        yield from _response(run, outcome, folded)


def _text(run: Run, outcome: Outcome) -> Iterator[Violation]:
    """Also while it streams the text is that of the deltas, whatever indexes they have."""
    before = [each for each in run.applied if not each.state.is_terminal]
    if not before or not run.scenario.shows_text_by_place or run.scenario.has_fault("corrupt"):
        return
    deltas = [decode(each.data)["delta"] for each in before if b'"type":"response.output_text.delta"' in each.data]
    streamed = before[-1].state.output_text.removeprefix(run.start.output_text)
    if streamed != "".join(deltas):
        yield Violation(Kind.LOST, f"the text while it streams is {streamed[:60]!r}, not {''.join(deltas)[:60]!r}")


def _id(run: Run, outcome: Outcome) -> Iterator[Violation]:
    """The response is called by its id, of whatever characters."""
    known = run.scenario.behaviour.response_id
    if known and outcome.response_id not in {None, known}:
        yield Violation(Kind.WRONG, f"it was called by {outcome.response_id!r}")


def _response(run: Run, outcome: Outcome, folded: State) -> Iterator[Violation]:
    shown = snapshot_json(outcome.state)
    truth, _ = run.truth.shown_end(outcome.status)
    if shown == truth or _has_no_one_truth(run, outcome):
        return
    fields, true_fields = decode(shown), decode(truth)
    kept = decode(snapshot_json(folded))["output"]
    if not true_fields["output"]:
        true_fields["output"] = kept
    elif outcome.status != COMPLETED and _is_one_of_both(fields["output"], true_fields["output"], kept):
        true_fields["output"] = fields["output"]
    if fields != true_fields:
        wrong = [name for name in true_fields if fields.get(name) != true_fields[name]]
        yield Violation(Kind.WRONG, f"the state at the end is not the Response: {wrong}")


def _has_no_one_truth(run: Run, outcome: Outcome) -> bool:
    """Whether the response was cancelled by what is taken back later, so that each GET showed another Response."""
    return outcome.status == CANCELLED and run.truth.ending is Ending.GOES_ON


def _is_one_of_both(shown: Items, true: Items, kept: Items) -> bool:
    """Whether each item has the text of the Response, or the folded one, which is kept if it holds more."""
    items = (map(_texts, each) for each in zip_longest(shown, true, kept, fillvalue=dict[str, Any]()))
    return all(item in may_be for item, *may_be in items)


def _texts(item: dict[str, Any]) -> list[Any]:
    parts = [*item.get("content", ()), *item.get("summary", ())]
    return [item.get("id"), item.get("arguments"), *(part.get("text") for part in parts)]


def _compaction(run: Run, outcome: Outcome) -> Iterator[Violation]:
    """It is reported exactly if the last Response has text that no event brought."""
    is_broken = run.scenario.has_fault("renumber") or any(BROKEN in each.data for each in run.applied)
    if is_broken or _has_no_one_truth(run, outcome):
        return
    place = run.begins_at + len(run.applied) + _left_out(run)
    place -= bool(run.applied) and _is_invented(run, place - 1)
    is_judged = run.scenario.start != "after" or _can_judge_text(run, outcome, place)
    unseen = _has_unseen_text(run, outcome, place) if is_judged else outcome.is_compacted
    if outcome.is_compacted != unseen:
        yield Violation(Kind.WRONG, f"is_compacted is {outcome.is_compacted}, and {place} events were seen")
    elif unseen and run.scenario.is_numbered:
        yield from _compacted_after(run, outcome, place)


def _compacted_after(run: Run, outcome: Outcome, place: int) -> Iterator[Violation]:
    after = run.truth.transcript.events[place - 1].number if place else None
    if outcome.compacted_after != after:
        yield Violation(Kind.WRONG, f"compacted after {outcome.compacted_after}, not {after}")


def _has_unseen_text(run: Run, outcome: Outcome, place: int) -> bool:
    # A caller that leaves while a cancel is unanswered may know the end by then.
    knows_end = outcome.proof is not None or outcome.state.is_terminal
    _, events = run.truth.shown_end(outcome.state.status or "")
    return knows_end and any(event.adds for event in events[place:])


def _can_judge_text(run: Run, outcome: Outcome, place: int) -> bool:
    """Whether missing text cannot have stood before the number that the run began after."""
    if not outcome.is_compacted and not (run.applied and _is_invented(run, place)):
        return True
    is_cancelled = outcome.state.status == CANCELLED
    events = run.truth.events_in_cancelled if is_cancelled else run.truth.transcript.events
    return bool(run.applied) and run.applied[-1].state.is_terminal and place == len(events)


def _repairs(run: Run, outcome: Outcome) -> Iterator[Violation]:
    """Each has a reason and a time, and nothing is repaired where nothing was wrong."""
    repairs = outcome.repairs
    if any(not each.reason or not 0 <= each.at <= run.at for each in repairs):
        yield Violation(Kind.WRONG, f"a repair without a reason, or at no time: {repairs}")
    if repairs and not run.went_wrong and run.scenario.is_plain:
        yield Violation(Kind.WRONG, f"nothing was wrong, and yet: {repairs[0].kind}, because {repairs[0].reason}")
