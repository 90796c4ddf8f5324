"""What a Run must have been, against the truth: no event lost or applied twice, the right end, and an end at all.

In      a Run
Out     Complaints; none for a run that was as it must be
Units   virtual seconds; events
Errors  none
Source  docs/explanation/simulation.md

What may be said depends on what could be known. Events are compared by place: the n-th that was applied must be the
n-th that the response has. Only two things are excused: one last event that a gateway made up when its buffer was
gone; and, under the fault `renumber`, numbers that lie, where each event need only be one of the response's. There
the end must be right all the same.
"""

from collections.abc import Iterator
from itertools import pairwise

from msgspec.json import decode

from streamfold.fold import fold, snapshot_json
from streamfold.schema import decode_event
from streamfold.sim.complaint import Complaint, Kind
from streamfold.sim.conduct import conduct
from streamfold.sim.evidence import allowed_cancels, allowed_statuses, why_lost
from streamfold.sim.shell import Run
from streamfold.sim.telling import with_number
from streamfold.sim.truth import CANCELLED

__all__ = ["audit"]

TORN = b"\xff"
MOST_LEFT_OUT = 6  # events, by the faults of one answer


def audit(run: Run) -> list[Complaint]:
    """All that is wrong with a run."""
    if run.trouble or run.outcome is None:
        return [Complaint(Kind.WRONG if run.outcome else Kind.UNENDED, run.trouble)]
    wrong = [*_events(run), *_outcome(run), *_repairs(run), *conduct(run)]
    # Where other events were applied than there are, what they make of the state is no news.
    return wrong or [*_state(run), *_compaction(run)]


def lies(run: Run) -> bool:
    """Whether the gateway's numbers are not to be trusted."""
    return any("renumber" in upset.faults for upset in run.script.streams)


# Events


def _events(run: Run) -> Iterator[Complaint]:
    if lies(run):
        yield from _renumbered_events(run)
        return
    lines = run.truth.feed.lines
    for place, each in enumerate(run.applied, run.begins_at + _left_out(run)):
        if place < len(lines) and each.data in {lines[place].data, _torn(run, lines[place].data)}:
            continue
        if _is_made_up(run, place) or _came_alone(run):
            return
        was_before = any(each.data == line.data for line in lines[:place])
        kind = Kind.TWICE if was_before else Kind.LOST
        yield Complaint(kind, f"event {place} should not be {each.data[:80].decode(errors='replace')}")
        return


def _came_alone(run: Run) -> bool:
    """Whether all that ever came was the terminal event: faults left out the few before it, or a gateway had no more."""
    lines, applied = run.truth.feed.lines, run.applied
    return (
        len(applied) == 1
        and len(lines) <= 1 + MOST_LEFT_OUT
        and applied[0].data
        in {
            lines[-1].data,
            _torn(run, lines[-1].data),
        }
    )


def _left_out(run: Run) -> int:
    """How many events at the very beginning nobody could miss, as nothing tells with which number a stream begins.

    A keepalive that came too late; and what the gateway left out each time that the whole stream was asked for.
    """
    if run.begins_at or not run.applied:
        return 0
    lines, first = run.truth.telling.lines, run.applied[0].data
    is_believed = sum("gap:after_events=0" in upset.faults for upset in run.script.streams) > 1
    most = MOST_LEFT_OUT if is_believed else int(run.script.manner.has_keepalive)
    places = range(1, min(most + 1, len(lines)))
    return next((place for place in places if first in {lines[place].data, _torn(run, lines[place].data)}), 0)


def _torn(run: Run, data: bytes) -> bytes:
    """The event's data as the fault `corrupt` leaves them. One broken character is no broken event: it is U+FFFD."""
    if not any("corrupt" in upset.faults for upset in run.script.streams):
        return data
    middle = len(data) // 2
    return data[:middle] + TORN + data[middle + 1 :]


def _is_made_up(run: Run, place: int) -> bool:
    """Whether the event at that place is the last of the run, and the gateway's own invention."""
    if place != run.begins_at + _left_out(run) + len(run.applied) - 1:
        return False
    # The fault `two_terminals` sends it again, with the next number.
    shown = {*run.gateway.shown}
    if any("two_terminals" in upset.faults for upset in run.script.streams) and place == len(run.truth.feed.lines):
        shown.add(run.truth.feed.lines[-1].data)
    return with_number(run.applied[-1].data, None) in {
        with_number(each, None) for data in shown for each in (data, _torn(run, data))
    }


def _renumbered_events(run: Run) -> Iterator[Complaint]:
    numbers = [each.event.sequence_number or 0 for each in run.applied]
    if any(after != before + 1 for before, after in pairwise(numbers)):
        yield Complaint(Kind.LOST, f"the numbers are not consecutive: {numbers}")
    lines = [*run.truth.feed.lines, *run.truth.telling.lines]
    data = {*run.gateway.shown, *(line.data for line in lines), *(_torn(run, line.data) for line in lines)}
    told = {with_number(each, None) for each in data}
    if any(with_number(each.data, None) not in told for each in run.applied):
        yield Complaint(Kind.WRONG, "an event was applied that the response does not have")


# The end


def _outcome(run: Run) -> Iterator[Complaint]:
    outcome = run.outcome
    if outcome is None:
        return
    if outcome.status == "lost":
        if (why := why_lost(run)) is not None:
            yield Complaint(Kind.LOST, f"it was given up, but {why}: {outcome.reason}")
    elif outcome.status not in (allowed := allowed_statuses(run)):
        yield Complaint(Kind.WRONG, f"{outcome.status} by {outcome.proof}, not {' or '.join(sorted(allowed))}")
    if (outcome.proof is None) != (outcome.status in {"lost", "abandoned"}):
        yield Complaint(Kind.WRONG, f"{outcome.status} by {outcome.proof}")
    if outcome.cancel not in (results := allowed_cancels(run)):
        yield Complaint(Kind.WRONG, f"{outcome.status} with cancel {outcome.cancel}, not {sorted(map(str, results))}")


def _state(run: Run) -> Iterator[Complaint]:
    """The state at the end: what was applied, and over it the Response that ended it."""
    outcome = run.outcome
    if outcome is None:
        return
    folded = fold((decode_event(each.data) for each in run.applied), run.start)
    if run.applied and snapshot_json(run.applied[-1].state) != snapshot_json(folded):
        yield Complaint(Kind.WRONG, "the last state is not what its events make of it")
    shown = snapshot_json(outcome.state)
    if outcome.proof is None:
        if shown != snapshot_json(folded):
            yield Complaint(Kind.WRONG, "the state is not what was applied")
        return
    if outcome.proof == "terminal_event" and any("corrupt" in upset.faults for upset in run.script.streams):
        return  # its text may be as broken as its bytes
    truth = run.truth.cancelled if outcome.status == CANCELLED else run.truth.telling.ended
    if shown == truth:
        return
    fields, told = decode(shown), decode(truth)
    if not told["output"]:
        told["output"] = decode(snapshot_json(folded))["output"]
    if fields != told:
        wrong = [name for name in told if fields.get(name) != told[name]]
        yield Complaint(Kind.WRONG, f"the state at the end is not the Response: {wrong}")


def _compaction(run: Run) -> Iterator[Complaint]:
    """It is told exactly when the last Response has text that no event brought."""
    outcome = run.outcome
    if outcome is None or lies(run) or any(TORN in each.data for each in run.applied):
        return
    place = run.begins_at + len(run.applied) + _left_out(run)
    place -= bool(run.applied) and _is_made_up(run, place - 1)
    # Who leaves while a cancel is unanswered may have been told the end by then.
    knows_end = outcome.proof is not None or outcome.state.is_terminal
    cancelled = outcome.state.status == CANCELLED
    lines = run.truth.told_in_cancelled if cancelled else run.truth.telling.lines
    # A Response that failed by an error event has no output: what was told of it was all there was.
    has_output = cancelled or not run.script.manner.ending.startswith("error")
    unseen = knows_end and has_output and any(line.adds for line in lines[place:])
    if run.script.start == "after":
        # Nobody can tell whether text that is missing stood before the number that was asked for.
        can_tell = not outcome.is_compacted and not (run.applied and _is_made_up(run, place))
        is_whole = bool(run.applied) and run.applied[-1].state.is_terminal and place == len(lines)
        unseen = unseen if can_tell or is_whole else outcome.is_compacted
    if outcome.is_compacted != unseen:
        yield Complaint(Kind.WRONG, f"is_compacted is {outcome.is_compacted}, of {len(lines)} events {place} were seen")
    elif unseen and run.script.manner.numbering in {"plain", "holes"}:
        after = run.truth.telling.lines[place - 1].number if place else None
        if outcome.compacted_after != after:
            yield Complaint(Kind.WRONG, f"compacted after {outcome.compacted_after}, not {after}")


def _repairs(run: Run) -> Iterator[Complaint]:
    """Each has a reason and a time; nothing is repaired where nothing was wrong."""
    repairs = run.outcome.repairs if run.outcome else ()
    if any(not each.reason or not 0 <= each.at <= run.at for each in repairs):
        yield Complaint(Kind.WRONG, f"a repair without a reason, or at no time: {repairs}")
    if repairs and not run.has_upset and run.script.is_plain:
        yield Complaint(Kind.WRONG, f"nothing was wrong, and yet: {repairs[0].kind}, because {repairs[0].reason}")
