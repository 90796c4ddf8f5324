"""The model of a gateway does what real ones were seen to do, so that a run against it means something."""

from typing import Any

import pytest

from streamfold.session import CancelResult, OutcomeStatus, Proof
from streamfold.sim import CallerAction, GatewayBehaviour, Injection, Outage
from tests.sim.generate import IDS
from tests.sim.scenarios import done, heard

WON, LATE = CancelResult.CANCEL_WON, CancelResult.ALREADY_TERMINAL
CANCELLED, COMPLETED = OutcomeStatus.CANCELLED, OutcomeStatus.COMPLETED
SLOW: dict[str, Any] = {"pace_seconds": 0.2}


@pytest.mark.parametrize(
    ("cancel", "proof", "answers"),
    [
        ("mka1", Proof.TERMINAL_EVENT, [200]),
        ("openai", Proof.RETRIEVED, [200]),
        ("conflict409", Proof.TERMINAL_EVENT, [200]),
        ("ends-silently", Proof.RETRIEVED, [200]),
        ("failed-holding-cancelled", Proof.TERMINAL_EVENT, [200]),
        ("finished200", Proof.TERMINAL_EVENT, [200]),
        ("vllm", Proof.TERMINAL_EVENT, [200]),
    ],
)
def test_a_cancel_in_time_wins(cancel: Any, proof: Proof, answers: list[int]) -> None:
    run = done(behaviour=GatewayBehaviour(cancel=cancel, **SLOW), actions=(CallerAction(0.5),))
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.proof, run.outcome.cancel) == (CANCELLED, proof, WON)
    assert heard(run, "cancel") == answers


def test_a_gateway_that_completes_anyway_is_believed_in_the_end() -> None:
    run = done(behaviour=GatewayBehaviour(cancel="completes-anyway", **SLOW), actions=(CallerAction(0.5),))
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.cancel) == (COMPLETED, CancelResult.COMPLETION_WON)
    assert [str(each) for each in run.outcome.conflicts] != []


@pytest.mark.parametrize(
    ("cancel", "answer"), [("mka1", 400), ("openai", 400), ("conflict409", 409), ("finished200", 200), ("vllm", 400)]
)
def test_a_cancel_that_comes_too_late_is_answered_in_the_way_of_the_dialect(cancel: Any, answer: int) -> None:
    run = done(
        behaviour=GatewayBehaviour(cancel=cancel), streams=(Injection(seconds=2.0),), actions=(CallerAction(0.5),)
    )
    assert run.outcome is not None
    assert heard(run, "cancel") == [answer]
    assert (run.outcome.status, run.outcome.cancel) == (COMPLETED, LATE)


def test_a_cancel_that_is_refused_on_purpose_is_not_done_even_where_its_answer_would_have_been_lost() -> None:
    refused = Injection(faults="refuse:on=resume,status=422", answer="lost")
    run = done(behaviour=GatewayBehaviour(**SLOW), cancels=(refused,), actions=(CallerAction(0.5),))
    assert run.outcome is not None
    assert (heard(run, "cancel"), run.outcome.status) == ([422], COMPLETED)


@pytest.mark.parametrize(
    ("foreground_cancel", "answer"), [("400", 400), ("404", 404), ("405", 405), ("409", 409), ("501", 501)]
)
@pytest.mark.parametrize(
    ("when_left", "status", "result"),
    [
        ("runs", OutcomeStatus.ABANDONED, CancelResult.LEFT),
        ("zombie", OutcomeStatus.ABANDONED, CancelResult.LEFT),
        ("cancelled", CANCELLED, WON),
    ],
)
def test_a_foreground_response_is_left(
    foreground_cancel: Any, answer: int, when_left: Any, status: OutcomeStatus, result: CancelResult
) -> None:
    behaviour = GatewayBehaviour(
        background=False, pace_seconds=2.0, foreground_cancel=foreground_cancel, when_left=when_left
    )
    run = done(behaviour=behaviour, start="create", actions=(CallerAction(0.5),))
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.cancel) == (status, result)
    assert (heard(run, "cancel"), len(heard(run, "retrieve"))) == ([answer], 1)


def test_a_foreground_response_that_the_gateway_cancels_is_not_left() -> None:
    behaviour = GatewayBehaviour(background=False, foreground_cancel="200", **SLOW)
    run = done(behaviour=behaviour, start="create", actions=(CallerAction(0.5),))
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.cancel, run.outcome.proof) == (CANCELLED, WON, Proof.TERMINAL_EVENT)


def test_a_foreground_response_that_ends_soon_after_it_was_left_is_found_by_the_get() -> None:
    run = done(behaviour=GatewayBehaviour(background=False, **SLOW), start="create", actions=(CallerAction(0.5),))
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.cancel) == (COMPLETED, CancelResult.COMPLETION_WON)


def test_a_foreground_response_stops_for_ever_where_its_gateway_does_not_notice() -> None:
    truth = done(
        behaviour=GatewayBehaviour(background=False, pace_seconds=2.0, when_left="zombie"),
        start="create",
        actions=(CallerAction(0.5),),
    ).truth
    assert (truth.status_at(1e9), truth.feed.next_at(len(truth.feed.events)), len(truth.feed.events)) == (
        "in_progress",
        float("inf"),
        1,
    )


def test_a_cancelled_response_keeps_the_output_so_far_where_the_gateway_says_so() -> None:
    none, some = (
        done(behaviour=GatewayBehaviour(keeps_output=kept, **SLOW), actions=(CallerAction(1.5),))
        for kept in (False, True)
    )
    assert b'"output":[]' in none.truth.cancelled
    assert b'"output":[]' not in some.truth.cancelled
    assert none.session.state.output_text == some.session.state.output_text != ""


@pytest.mark.parametrize(
    ("injection", "came"),
    [
        (Injection(faults="refuse:status=429"), 429),
        (Injection(faults="html"), 200),
        (Injection(faults="drop:where=head"), "the connection was closed before an answer came"),
        (Injection(answer="unsent"), "the connection was lost"),
        (Injection(answer="empty"), 200),
        (Injection(answer="json"), 200),
        (Injection(answer="too_old"), 400),
        (Injection(seconds=90.0), "no answer came in time"),
    ],
)
def test_something_else_than_a_stream_comes(injection: Injection, came: object) -> None:
    assert heard(done(streams=(injection,)), "connect")[0] == came


def test_a_cursor_that_is_refused_leads_to_a_replay() -> None:
    run = done(behaviour=GatewayBehaviour(cursor="refused"), streams=(Injection(faults="drop:after_events=3"),))
    assert heard(run, "connect") == ["connected", "ended", 400, "connected"]
    assert [each.kind for each in run.session.repairs] == ["resume", "replay"]


def test_a_cursor_that_is_ignored_brings_everything_again() -> None:
    run = done(behaviour=GatewayBehaviour(cursor="ignored"), streams=(Injection(faults="drop:after_events=3"),))
    assert len(run.applied) == len(run.events)


@pytest.mark.parametrize("finished", ["next", "own"])
def test_a_gateway_that_dropped_its_buffer_is_reported_as_compacted(finished: Any) -> None:
    run = done(
        behaviour=GatewayBehaviour(finished=finished),
        streams=(Injection(faults="drop:after_events=6"),),
        start="create",
    )
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.is_compacted, run.outcome.compacted_after) == (COMPLETED, True, 5)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_cut_is_an_end_in_order_or_a_break(how: str) -> None:
    run = done(streams=(Injection(faults=f"drop:after_events=3,how={how}"),))
    assert heard(run, "connect")[1] == {"fin": "ended", "rst": "the connection broke off"}[how]


def test_gzip_is_undone_before_the_session_sees_it() -> None:
    run = done(streams=(Injection(faults="gzip"),))
    assert len(run.applied) == len(run.events)
    assert run.session.repairs == ()


def test_silence_without_a_heartbeat_is_taken_for_a_lost_connection() -> None:
    quiet, alive = (
        done(behaviour=GatewayBehaviour(pause_seconds=70.0, heartbeat_seconds=each)) for each in (0.0, 15.0)
    )
    assert len(quiet.session.repairs) == 1
    assert alive.session.repairs == ()


def test_a_notice_ends_the_polling_early() -> None:
    behaviour = GatewayBehaviour(is_streamable=False, pause_seconds=1.0)
    polled, notified = (
        done(behaviour=behaviour, actions=actions).at for actions in ((), (CallerAction(1.1, "notice"),))
    )
    assert notified == 1.1 < polled


@pytest.mark.parametrize("numbering", ["none", "holes", "zeros"])
def test_a_stream_with_other_numbers_is_followed_over_a_drop(numbering: Any) -> None:
    run = done(behaviour=GatewayBehaviour(numbering=numbering), streams=(Injection(faults="drop:after_events=7"),))
    assert [each.data for each in run.applied] == [line.data for line in run.truth.transcript.events]


# Cancels as LiteLLM answers them


def test_a_cancel_that_is_taken_back_is_believed_by_nobody() -> None:
    behaviour = GatewayBehaviour(cancel="taken-back", is_streamable=False, pace_seconds=0.5)
    run = done(behaviour=behaviour, stream=10, actions=(CallerAction(4.0),))
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.cancel) == (COMPLETED, CancelResult.COMPLETION_WON)
    shown = [fact.shows("cancelled") for fact in run.facts_of("retrieve")]
    assert (True in shown, shown[-1], len(run.outcome.conflicts)) == (True, False, 1)


def test_a_late_cancel_turns_what_completed_into_cancelled_for_ever() -> None:
    run = done(
        behaviour=GatewayBehaviour(cancel="relabelled"), streams=(Injection(seconds=2.0),), actions=(CallerAction(0.5),)
    )
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.cancel, len(run.outcome.conflicts)) == (CANCELLED, WON, 2)
    assert run.outcome.state.output_text in run.truth.transcript.ended.decode()


def test_a_stream_that_failed_does_not_hide_the_cancel() -> None:
    run = done(behaviour=GatewayBehaviour(cancel="failed-holding-failed", **SLOW), actions=(CallerAction(0.5),))
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.cancel, len(run.outcome.conflicts)) == (CANCELLED, WON, 2)
    assert b'"status":"failed"' in run.applied[-1].data


# Outages


@pytest.mark.parametrize(
    ("how", "came"),
    [
        ("refused", "the connection was refused"),
        ("silent", "no answer came in time"),
        ("503", 503),
    ],
)
def test_in_an_outage_open_streams_break_and_nothing_can_be_reached(how: Any, came: object) -> None:
    run = done(behaviour=GatewayBehaviour(pace_seconds=2.0), outages=(Outage(5.0, 100.0, how),))
    assert heard(run, "connect")[0] == "connected"
    assert came in heard(run, "connect")[2:]
    assert all(fact.at < 5.0 or fact.at > 105.0 for fact in run.facts if fact.got == "connected")
    assert f"outage {how}" in run.gateway.met


def test_an_answer_that_an_outage_overtakes_never_comes() -> None:
    run = done(streams=(Injection(seconds=4.0),), outages=(Outage(1.0, 5.0),))
    assert run.facts[0].got == "the connection broke off"
    assert run.facts[0].at == 1.0


@pytest.mark.parametrize("how", ["refused", "silent", "503"])
@pytest.mark.parametrize("seconds", [10.0, 30.0, 300.0])
def test_a_response_outlasts_an_outage_whole_and_not_compacted(seconds: float, how: Any) -> None:
    run = done(behaviour=GatewayBehaviour(pace_seconds=2.0), start="create", outages=(Outage(5.0, seconds, how),))
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.is_compacted, len(run.applied)) == (COMPLETED, False, len(run.events))


# Ids, indexes, numbers


@pytest.mark.parametrize("response_id", IDS)
def test_an_id_of_any_characters_is_followed(response_id: str) -> None:
    run = done(
        behaviour=GatewayBehaviour(response_id=response_id),
        start="create",
        streams=(Injection(faults="drop:after_events=3"),),
    )
    assert run.outcome is not None
    assert (run.outcome.response_id, run.outcome.status, len(run.applied)) == (response_id, COMPLETED, len(run.events))


@pytest.mark.parametrize("indexes", ["none", "output"])
def test_an_event_without_indexes_is_in_its_place_while_it_streams(indexes: Any) -> None:
    run = done(behaviour=GatewayBehaviour(indexes=indexes))
    assert b"content_index" not in run.applied[4].data
    assert run.applied[-2].state.output_text == run.session.state.output_text != ""


def test_a_number_that_no_event_has_is_believed_in_the_end() -> None:
    run = done(behaviour=GatewayBehaviour(numbering="skips"))
    assert [each.data for each in run.applied] == [line.data for line in run.truth.transcript.events]
    assert "hole" in [each.kind for each in run.session.state.anomalies]


def test_a_foreground_response_that_stays_in_progress_for_ever_is_given_up() -> None:
    run = done(
        behaviour=GatewayBehaviour(background=False, pace_seconds=2.0, when_left="zombie", is_streamable=False),
        start="create",
        streams=(Injection(faults="drop:after_events=3"),),
    )
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.proof) == (OutcomeStatus.LOST, None)
    assert run.at == pytest.approx(run.patience.stalled_seconds, rel=0.2)
