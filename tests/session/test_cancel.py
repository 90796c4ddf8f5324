"""One cancel: its answer in every dialect of protocol 6, and the tracker that collects the evidence."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.schema import is_terminal_batch_status
from streamfold.session.answer import Answer, CallFailure
from streamfold.session.cancel import CancelTracker, read_cancel_answer
from streamfold.session.drive import Agenda, Cancel, Timer, Wait
from streamfold.session.outcome import CancelResult, OutcomeStatus, Proof
from streamfold.session.patience import Patience
from streamfold.session.reconcile import AskGateway, CancelAnswer, Conclude, FollowOn, KeepWaiting
from tests.session.made import answer, body, refused

TERMINAL = (CancelAnswer.REFUSED_AS_TERMINAL, None)
FOREGROUND = (CancelAnswer.REFUSED_AS_FOREGROUND, None)
NOT_ALLOWED = (CancelAnswer.NOT_ALLOWED, None)


@pytest.mark.parametrize(
    ("status", "said", "ended"),
    [
        pytest.param("cancelled", CancelAnswer.CANCELLED, OutcomeStatus.CANCELLED, id="cancelled"),
        pytest.param("completed", CancelAnswer.ENDED, OutcomeStatus.COMPLETED, id="completed"),
        pytest.param("failed", CancelAnswer.ENDED, OutcomeStatus.FAILED, id="failed"),
        pytest.param("incomplete", CancelAnswer.ENDED, OutcomeStatus.INCOMPLETE, id="incomplete"),
        pytest.param("in_progress", CancelAnswer.OPEN, None, id="in progress"),
        pytest.param("queued", CancelAnswer.OPEN, None, id="queued"),
        pytest.param("cancelling", CancelAnswer.OPEN, None, id="an unknown status is no end"),
    ],
)
def test_a_response_in_the_answer_tells_its_status(
    status: str, said: CancelAnswer, ended: OutcomeStatus | None
) -> None:
    assert read_cancel_answer(answer(200, body(status)), is_background=True) == (said, ended)


@pytest.mark.parametrize(
    ("refusal", "is_background", "expected"),
    [
        pytest.param(refused(400, "Cannot cancel a completed response."), True, TERMINAL, id="OpenAI: terminal"),
        pytest.param(refused(400, "Cannot cancel a completed response."), None, TERMINAL, id="terminal, from anywhere"),
        pytest.param(refused(400, "Cannot cancel a synchronous response."), False, FOREGROUND, id="OpenAI: foreground"),
        pytest.param(
            refused(400, "Cannot cancel a synchronous response."), None, TERMINAL, id="who knows: a GET tells"
        ),
        pytest.param(refused(400, "Cannot cancel a Synchronous response."), True, TERMINAL, id="vLLM: said of all"),
        pytest.param(refused(400, "only background responses"), False, FOREGROUND, id="in other words"),
        pytest.param(refused(409, "already over"), None, TERMINAL, id="llama-stack: 409"),
        pytest.param(refused(409, "synchronous"), False, TERMINAL, id="409 is about its status"),
        pytest.param(refused(400, "no"), None, TERMINAL, id="for a reason that a GET will tell"),
        pytest.param(answer(400, b""), None, TERMINAL, id="without a word"),
        pytest.param(refused(400, param="starting_after"), None, TERMINAL, id="in words that make no sense"),
        pytest.param(refused(401), None, NOT_ALLOWED, id="unauthorized"),
        pytest.param(refused(403), True, NOT_ALLOWED, id="forbidden"),
    ],
)
def test_a_refusal_says_why(
    refusal: Answer, is_background: bool | None, expected: tuple[CancelAnswer, OutcomeStatus | None]
) -> None:
    assert read_cancel_answer(refusal, is_background=is_background) == expected


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(refused(404), id="unknown id"),
        pytest.param(refused(429), id="too many requests"),
        pytest.param(refused(500), id="server error"),
        pytest.param(refused(503), id="busy"),
        pytest.param(Answer(204), id="200 without a body"),
        pytest.param(answer(200, {"id": "resp_1"}), id="200 without a status"),
        pytest.param(answer(200, b"<html>"), id="200 with a page of HTML"),
    ],
)
def test_some_answers_are_worth_asking_again(said: Answer) -> None:
    assert read_cancel_answer(said, is_background=True) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b'{"status":"cancelled","x":"\xff"}', CancelAnswer.CANCELLED, id="broken characters elsewhere"),
        pytest.param(b'{"status":null}', None, id="null"),
        pytest.param(b'{"status":5}', None, id="no text"),
        pytest.param(b'{"status":"\xff"}', None, id="broken characters in it"),
        pytest.param(b"{}", None, id="none"),
        pytest.param(b"[]", None, id="an array"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"[" * 100_000, None, id="deep"),
    ],
)
def test_only_a_status_that_is_text_is_one(data: bytes, said: CancelAnswer | None) -> None:
    read = read_cancel_answer(Answer(200, body=data), is_background=True)
    assert (read and read[0]) == said


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("cancelling", (CancelAnswer.OPEN, None)),
        ("cancelled", (CancelAnswer.CANCELLED, OutcomeStatus.CANCELLED)),
        ("expired", (CancelAnswer.ENDED, OutcomeStatus.EXPIRED)),
    ],
)
def test_a_batch_has_ends_of_its_own(status: str, expected: tuple[CancelAnswer, OutcomeStatus | None]) -> None:
    read = read_cancel_answer(answer(200, {"status": status}), is_background=True, is_terminal=is_terminal_batch_status)
    assert read == expected


@given(st.integers(100, 599), st.binary(), st.sampled_from([True, False, None]))
def test_no_answer_raises(status: int, data: bytes, is_background: bool | None) -> None:
    read_cancel_answer(Answer(status, body=data), is_background=is_background)
    read_cancel_answer(Answer(status, body=b'{"status":' + data), is_background=is_background)


CANCELLED, COMPLETED = OutcomeStatus.CANCELLED, OutcomeStatus.COMPLETED
SYNCHRONOUS = refused(400, "Cannot cancel a synchronous response")


class Tracked:
    """A tracker whose cancel was requested, and sent so many times. can_ask: Whether a GET may be answered."""

    def __init__(self, *, sent: int = 1, can_ask: bool = True, seconds: float = 30.0, **limits: Any) -> None:
        self.agenda = Agenda(now=0.0, total_seconds=None)
        self.one = CancelTracker(self.agenda, patience=Patience(**limits), random=lambda: 0.5, seconds=seconds)
        self.can_ask = can_ask
        assert self.one.request() is True
        for _ in range(sent):
            self.one.send()
        self.agenda.take()

    def verdict(self) -> object:
        return self.one.decide(can_ask=self.can_ask)

    def answered(self, said: Answer, *, is_background: bool | None = True) -> bool:
        return self.one.receive_result(said, is_background=is_background)


def answered(said: Answer, *, attempts: int = 1) -> Tracked:
    one = Tracked(sent=attempts)
    assert one.answered(said)
    return one


def test_before_a_cancel_is_requested_nothing_counts() -> None:
    agenda = Agenda(now=0.0, total_seconds=None)
    one = CancelTracker(agenda, patience=Patience(), random=lambda: 0.5, seconds=30.0)
    one.send()
    one.receive_end()
    one.receive_retrieved(COMPLETED, b"")
    one.receive_deadline()
    one.give_up()
    assert (one.receive_event(COMPLETED), one.receive_result(answer(200, body()), is_background=True)) == (False, False)
    assert (one.decide(can_ask=True), one.result, one.knows_end, agenda.take()) == (None, None, False, [])


def test_a_new_cancel_waits_and_knows_of_no_end() -> None:
    one = Tracked()
    assert (one.verdict(), one.one.attempts, one.one.body) == (KeepWaiting(), 1, b"")
    assert one.one.knows_end is False


def test_a_second_request_is_not_new() -> None:
    assert Tracked().one.request() is False


def test_an_answer_that_says_nothing_is_worth_another_attempt() -> None:
    one = Tracked()
    assert one.answered(refused(503)) is False
    assert (one.verdict(), one.agenda.take()) == (KeepWaiting(), [Wait(0.25), Cancel()])


def test_the_gateways_wish_for_the_next_attempt_is_obeyed() -> None:
    one = Tracked()
    one.answered(answer(503, None, retry_after="7"))
    assert one.agenda.take() == [Wait(7.0), Cancel()]


def test_after_the_last_attempt_a_get_must_decide() -> None:
    one = Tracked(sent=3, max_attempts=3)
    assert one.one.receive_result(CallFailure("timeout"), is_background=True) is True
    assert (one.verdict(), one.agenda.take()) == (AskGateway(), [Wait(30.0)])


def test_a_cancelled_response_in_the_answer_proves_it_once_the_stream_ends() -> None:
    said = answer(200, body("cancelled"))
    one = answered(said)
    assert (one.one.body, one.one.knows_end, one.verdict()) == (said.body, True, KeepWaiting())
    one.one.receive_end()
    assert one.verdict() == Conclude(CANCELLED, Proof.CANCEL_ANSWER, CancelResult.CANCEL_WON)
    assert one.one.result is CancelResult.CANCEL_WON


def test_a_response_that_still_runs_is_no_proof() -> None:
    one = answered(answer(200, body("in_progress")))
    assert (one.one.body, one.one.knows_end, one.verdict()) == (b"", False, AskGateway())


@pytest.mark.parametrize(
    ("is_background", "verdict"),
    [
        pytest.param(True, AskGateway(), id="in the background: refused as terminal"),
        pytest.param(False, Conclude(OutcomeStatus.ABANDONED, None, CancelResult.REFUSED), id="in the foreground"),
    ],
)
def test_what_synchronous_means_depends_on_the_response(is_background: bool, verdict: object) -> None:
    one = Tracked()
    assert one.answered(SYNCHRONOUS, is_background=is_background)
    assert one.verdict() == verdict


def test_the_terminal_event_reports_an_end() -> None:
    one = Tracked()
    assert one.one.receive_event(COMPLETED) is True
    assert (one.one.knows_end, one.verdict()) == (True, KeepWaiting())


def test_a_response_that_ends_before_the_cancel_is_sent_was_over_already() -> None:
    one = Tracked(sent=0)
    assert one.one.receive_event(COMPLETED) is False
    assert one.one.result is CancelResult.ALREADY_TERMINAL


def test_no_answer_at_all_leaves_the_event_to_count() -> None:
    one = Tracked(max_attempts=1)
    one.one.receive_event(COMPLETED)
    one.answered(refused(503))
    assert one.verdict() == Conclude(COMPLETED, Proof.TERMINAL_EVENT, CancelResult.COMPLETION_WON)


def test_the_get_proves_the_verdict_though_an_answer_comes_later() -> None:
    one = Tracked()
    one.one.receive_retrieved(COMPLETED, b"the GET")
    assert one.answered(answer(200, body("completed")))
    assert one.one.body == b"the GET"
    assert one.verdict() == Conclude(COMPLETED, Proof.RETRIEVED, CancelResult.ALREADY_TERMINAL)


def test_the_get_proves_the_verdict_though_an_answer_came_before() -> None:
    one = answered(answer(200, body("completed")))
    one.one.receive_retrieved(COMPLETED, b"the GET")
    assert one.one.body == b"the GET"


@pytest.mark.parametrize(
    ("attempts", "result"), [(1, CancelResult.ALREADY_TERMINAL), (2, CancelResult.CANCEL_WON)], ids=["once", "twice"]
)
def test_a_repeated_cancel_may_have_been_taken_the_first_time(attempts: int, result: CancelResult) -> None:
    one = answered(refused(400, "Cannot cancel a cancelled response"), attempts=attempts)
    one.one.receive_retrieved(CANCELLED, b"")
    assert one.verdict() == Conclude(CANCELLED, Proof.RETRIEVED, result)


def test_without_a_proof_by_the_deadline_it_is_unconfirmed_and_not_sent_again() -> None:
    one = answered(answer(200, body("in_progress")))
    one.agenda.timers[Timer.CANCEL] = 1.0
    one.one.receive_deadline()
    assert one.verdict() == FollowOn(CancelResult.UNCONFIRMED)
    assert (one.one.result, Timer.CANCEL in one.agenda.timers) == (CancelResult.UNCONFIRMED, False)


def test_where_no_get_is_answered_it_is_unconfirmed_at_once() -> None:
    one = Tracked(can_ask=False)
    one.answered(answer(200, body()))
    assert one.verdict() == FollowOn(CancelResult.UNCONFIRMED)


def test_a_stream_that_is_open_again_has_not_ended() -> None:
    one = answered(answer(200, body("cancelled")))
    one.one.receive_end()
    one.one.receive_end(has_ended=False)
    assert one.verdict() == KeepWaiting()


def test_the_answer_is_awaited_until_it_comes_or_the_deadline_passes() -> None:
    assert [Tracked().one.is_awaited, answered(refused(401)).one.is_awaited] == [True, False]
    assert Tracked(sent=0).one.is_awaited is False
    late = Tracked()
    late.one.receive_deadline()
    assert late.one.is_awaited is False


@pytest.mark.parametrize(
    ("is_background", "verdict"),
    [
        pytest.param(False, Conclude(OutcomeStatus.ABANDONED, None, CancelResult.REFUSED), id="the foreground"),
        pytest.param(True, AskGateway(), id="the background"),
        pytest.param(None, AskGateway(), id="it does not say"),
    ],
)
def test_a_refusal_is_read_again_when_a_get_says_where_it_runs(is_background: bool | None, verdict: object) -> None:
    one = Tracked()
    one.answered(SYNCHRONOUS, is_background=None)
    assert one.verdict() == AskGateway()
    one.one.receive_background(is_background)
    assert one.verdict() == verdict


def test_where_it_runs_says_nothing_of_an_answer_that_is_no_refusal() -> None:
    open_one, none = answered(answer(200, body("in_progress"))), Tracked()
    open_one.one.receive_background(False)
    none.one.receive_background(False)
    assert (open_one.verdict(), none.verdict()) == (AskGateway(), KeepWaiting())


def test_a_get_reports_an_end() -> None:
    one = Tracked()
    one.one.receive_retrieved(COMPLETED, b"")
    assert one.one.knows_end is True


# Time


def test_a_cancel_has_its_time_from_when_it_is_first_sent() -> None:
    one = Tracked()
    assert one.agenda.take() == [Wait(30.0)]
    one.agenda.now = 2.0
    one.one.send()
    assert one.agenda.take() == [Cancel(), Wait(28.0)]


def test_its_time_may_be_longer() -> None:
    assert Tracked(seconds=900.0).agenda.take() == [Wait(900.0)]


def test_without_an_answer_the_waits_grow() -> None:
    one, waits = Tracked(), []
    for _ in range(3):
        one.one.receive_result(CallFailure("timeout"), is_background=True)
        waits.append(one.agenda.timers.pop(Timer.CANCEL))
        one.one.send()
    assert waits == [0.25, 0.5, 1.0]


def test_an_end_that_was_reported_brings_the_deadline_forward() -> None:
    one = answered(answer(200, body("cancelled")))
    one.verdict()
    assert one.agenda.take() == [Wait(5.0)]


# At the end


def test_a_cancel_without_a_result_is_unconfirmed_at_the_end() -> None:
    one = Tracked()
    one.one.give_up()
    assert one.one.result is CancelResult.UNCONFIRMED


@pytest.mark.parametrize(
    ("is_proven", "result"), [(True, CancelResult.ALREADY_TERMINAL), (False, CancelResult.UNCONFIRMED)]
)
def test_a_cancel_after_the_end_is_answered_by_how_the_end_was_known(is_proven: bool, result: CancelResult) -> None:
    one = Tracked(sent=0).one
    one.request_late(is_proven=is_proven)
    assert one.result is result


def test_a_cancel_after_the_end_does_not_change_the_result_of_an_earlier_one() -> None:
    one = Tracked().one
    one.result = CancelResult.CANCEL_WON
    one.request_late(is_proven=True)
    one.give_up()
    assert one.result is CancelResult.CANCEL_WON
