"""The audit finds every session with a deliberate fault, and every outcome that is not true."""

from typing import Any

import pytest
from attrs import evolve

import streamfold.sim.driver
from streamfold.fold import State
from streamfold.session import (
    Action,
    Answer,
    Applied,
    Call,
    CancelResult,
    Conflict,
    OutcomeStatus,
    Repair,
    RepairKind,
    Retrieve,
    Session,
)
from streamfold.sim import CallerAction, GatewayBehaviour, Injection, Kind, audit
from tests.sim.scenarios import done

SLOW = GatewayBehaviour(pace_seconds=0.2)


class Forgetful(Session):
    """Loses the fourth event."""

    def receive_chunk(self, chunk: bytes, *, now: float) -> list[Applied]:
        return [each for each in super().receive_chunk(chunk, now=now) if each.event.sequence_number != 3]


class Stammering(Session):
    """Applies each event twice."""

    def receive_chunk(self, chunk: bytes, *, now: float) -> list[Applied]:
        return [each for each in super().receive_chunk(chunk, now=now) for _ in range(2)]


class Deaf(Session):
    """Ignores the time, and so never does what it waits for."""

    def receive_time(self, *, now: float) -> None:
        pass


class Impatient(Session):
    """Sends each GET twice."""

    def actions(self) -> list[Action]:
        actions = super().actions()
        return [each for each in actions for _ in range(2 if isinstance(each, Retrieve) else 1)]


class Curt(Session):
    """Never sends a cancel."""

    def receive_cancel(self, *, now: float) -> None:
        pass


class Wordless(Session):
    """Says that it needs no driver, and does."""

    @property
    def needs_driver(self) -> bool:
        return False


class Rash(Session):
    """Ignores how long the gateway asks it to wait."""

    def receive_answer(self, call: Call, answer: Answer, *, now: float) -> None:
        super().receive_answer(call, evolve(answer, headers={}), now=now)

    def receive_chunk(self, chunk: bytes, *, now: float) -> list[Applied]:
        return super().receive_chunk(chunk.replace(b"retry: ", b"retired: "), now=now)


DROP = (Injection(faults="drop:after_events=3"),)
BUSY = (Injection(faults="drop:after_events=3"), Injection(faults="refuse:status=429,retry_after=7.0"))
CANCEL = (CallerAction(0.5),)
REPAIR = Repair(RepairKind.RESUME, "", 3, 0.0)

CASES = [
    pytest.param(Forgetful, Kind.LOST, {}, id="an event is left out"),
    pytest.param(Stammering, Kind.TWICE, {}, id="an event is applied twice"),
    pytest.param(Deaf, Kind.UNENDED, {"streams": DROP}, id="it does not end"),
    pytest.param(Impatient, Kind.WRONG, {"behaviour": GatewayBehaviour(is_streamable=False)}, id="asked twice at once"),
    pytest.param(Curt, Kind.WRONG, {"behaviour": SLOW, "actions": CANCEL}, id="the cancel is not sent"),
    pytest.param(Wordless, Kind.UNENDED, {"streams": DROP}, id="nothing is to be done, it says"),
    pytest.param(Rash, Kind.WRONG, {"streams": BUSY}, id="sooner than the gateway asked"),
    pytest.param(
        Rash,
        Kind.WRONG,
        {"behaviour": GatewayBehaviour(ending="silent", retry_milliseconds=9000)},
        id="than the stream",
    ),
]


UNTRUE = [
    pytest.param(
        {"behaviour": GatewayBehaviour(ending="failed")}, {"status": OutcomeStatus.COMPLETED}, id="the status is not so"
    ),
    pytest.param({}, {"proof": None}, id="proven by nothing"),
    pytest.param({}, {"cancel": CancelResult.CANCEL_WON}, id="no cancel was asked"),
    pytest.param(
        {"actions": CANCEL, "streams": (Injection(seconds=2.0),)},
        {"cancel": CancelResult.CANCEL_WON, "status": OutcomeStatus.CANCELLED},
        id="the cancel did not win",
    ),
    pytest.param(
        {"actions": CANCEL, "behaviour": SLOW},
        {"cancel": CancelResult.COMPLETION_WON, "status": OutcomeStatus.COMPLETED},
        id="the cancel won",
    ),
    pytest.param(
        {"behaviour": GatewayBehaviour(is_streamable=False)}, {"is_compacted": False}, id="text is missing, unreported"
    ),
    pytest.param({"streams": DROP}, {"is_compacted": True}, id="no text is missing"),
    pytest.param({"streams": DROP}, {"state": State()}, id="the state is another"),
    pytest.param({"streams": DROP}, {"repairs": (REPAIR,)}, id="a repair without a reason"),
    pytest.param({}, {"repairs": (evolve(REPAIR, reason="a whim"),)}, id="a repair of nothing"),
    pytest.param({}, {"conflicts": (Conflict("one", "two"),)}, id="a conflict of nothing"),
]


@pytest.mark.parametrize(("fields", "claim"), UNTRUE)
def test_an_outcome_that_is_not_so_is_found_out(fields: dict[str, Any], claim: dict[str, Any]) -> None:
    run = done(**fields)
    assert audit(run) == []
    assert run.outcome is not None
    run.outcome = evolve(run.outcome, **claim)
    assert Kind.WRONG in {each.kind for each in audit(run)}


def test_giving_up_without_need_is_found_out() -> None:
    run = done(streams=DROP)
    assert run.outcome is not None
    run.outcome = evolve(run.outcome, status=OutcomeStatus.LOST, proof=None, reason="the stream ended")
    assert Kind.LOST in {each.kind for each in audit(run)}


@pytest.mark.parametrize(("session", "kind", "fields"), CASES)
def test_a_session_with_a_fault_is_found_out(
    session: type[Session], kind: Kind, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert audit(done(**fields)) == []
    monkeypatch.setattr(streamfold.sim.driver, "Session", session)
    violations = audit(done(**fields))
    assert kind in {each.kind for each in violations}
    assert str(violations[0]).startswith(str(violations[0].kind))


def test_giving_up_is_right_where_nothing_more_can_be_learned() -> None:
    unknown = done(behaviour=GatewayBehaviour(is_streamable=False, retrieve="never"))
    unauthorized = done(streams=(Injection(faults="refuse:status=401"),))
    refused = done(retrieves=(Injection(faults="html"),) * 5, behaviour=GatewayBehaviour(is_streamable=False))
    for run in (unknown, unauthorized, refused):
        assert run.outcome is not None
        assert run.outcome.status is OutcomeStatus.LOST
        assert audit(run) == []


def test_one_failed_get_less_than_the_ladder_has_is_no_reason_to_give_up() -> None:
    run = done(retrieves=(Injection(faults="html"),) * 4, behaviour=GatewayBehaviour(is_streamable=False))
    assert run.outcome is not None
    assert run.outcome.status is OutcomeStatus.COMPLETED


def test_numbers_that_lie_are_excused_and_the_end_is_right_all_the_same() -> None:
    run = done(streams=(Injection(faults="renumber:after_events=4,by=-1"),))
    assert run.outcome is not None
    assert run.outcome.status is OutcomeStatus.COMPLETED
    assert audit(run) == []


def test_what_the_gateway_leaves_out_of_the_beginning_each_time_cannot_be_missed() -> None:
    leaving_out = Injection(faults="gap:after_events=0,count=2")
    run = done(streams=(leaving_out, leaving_out), behaviour=GatewayBehaviour(pace_seconds=2.0))
    assert (run.applied[0].event.sequence_number, audit(run)) == (2, [])
    run = done(streams=(leaving_out,), behaviour=GatewayBehaviour(pace_seconds=2.0))
    assert (run.applied[0].event.sequence_number, audit(run)) == (0, [])


def test_a_gap_at_the_beginning_of_a_post_is_repaired_at_its_end_because_the_id_was_in_it() -> None:
    leaving_out = Injection(faults="gap:after_events=0,count=3")
    run = done(streams=(leaving_out,), behaviour=GatewayBehaviour(pace_seconds=2.0), start="create", window_events=2)
    assert (run.applied[0].event.sequence_number, run.applied_at[0] > 5, audit(run)) == (0, True, [])
