"""One cancel: its answer in every dialect of protocol 6, and the tracker that collects the evidence."""

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.schema import is_terminal_batch_status
from streamfold.session.answer import Answer, CallFailure
from streamfold.session.cancel import CancelTracker, read_cancel_answer
from streamfold.session.drive import Agenda, Cancel, Retrieve, Timer, Wait
from streamfold.session.outcome import CancelResult, OutcomeStatus, Proof
from streamfold.session.patience import Patience
from streamfold.session.reconcile import AskGateway, CancelAnswer, Conclude, FollowOn, KeepWaiting, Leave
from tests.session.made import answer, body, refused

TERMINAL = (CancelAnswer.REFUSED_AS_TERMINAL, None)
REFUSED = (CancelAnswer.REFUSED, None)
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
        pytest.param(refused(400, "Cannot cancel a synchronous response."), False, REFUSED, id="OpenAI: foreground"),
        pytest.param(
            refused(400, "Cannot cancel a synchronous response."), None, TERMINAL, id="who knows: a GET tells"
        ),
        pytest.param(refused(400, "Cannot cancel a Synchronous response."), True, TERMINAL, id="vLLM: said of all"),
        pytest.param(refused(400, "only background responses"), False, REFUSED, id="in other words"),
        pytest.param(
            answer(409, {"detail": "only background responses can be cancelled"}), False, REFUSED, id="ogx: foreground"
        ),
        pytest.param(
            answer(409, {"detail": "Cannot cancel response with status 'completed'"}), True, TERMINAL, id="ogx: status"
        ),
        pytest.param(
            refused(400, "litellm.BadRequestError: Cannot cancel a completed response."), None, TERMINAL, id="LiteLLM"
        ),
        pytest.param(refused(409, "already over"), None, TERMINAL, id="llama-stack: 409"),
        pytest.param(refused(409, "conflict"), False, TERMINAL, id="409 is about its status"),
        pytest.param(answer(400, b"it has already finished"), None, TERMINAL, id="in words that are no JSON"),
        pytest.param(refused(400, "The response was cancelled."), None, TERMINAL, id="it was cancelled"),
        pytest.param(refused(400, "This response cannot be cancelled."), None, REFUSED, id="it cannot be cancelled"),
        pytest.param(refused(400, "Failed to cancel the response."), None, REFUSED, id="the cancel failed"),
        pytest.param(refused(400, "no"), None, REFUSED, id="for a reason that nobody knows"),
        pytest.param(answer(400, b""), None, REFUSED, id="without a word"),
        pytest.param(refused(400, param="starting_after"), None, REFUSED, id="in words that make no sense"),
        pytest.param(refused(405, "Method Not Allowed"), None, REFUSED, id="405: it cannot cancel"),
        pytest.param(refused(501, "completed"), True, REFUSED, id="501: whatever it says"),
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

    def __init__(
        self, *, sent: int = 1, can_ask: bool = True, seconds: float = 30.0, is_requested: bool = True, **limits: Any
    ) -> None:
        self.agenda = Agenda(now=0.0, total_seconds=None)
        self.one = CancelTracker(self.agenda, patience=Patience(**limits), random=lambda: 0.5, seconds=seconds)
        self.can_ask = can_ask
        assert not is_requested or self.one.request() is True
        for _ in range(sent):
            self.one.send()
        self.agenda.take()

    def verdict(self) -> object:
        return self.one.decide(can_ask=self.can_ask)

    def answered(self, said: Answer | CallFailure, *, now: float = 0.0) -> bool:
        self.agenda.now = now
        return self.one.receive_result(said)

    def got(self, status: OutcomeStatus, said: Answer | None = None, *, asked_at: float, now: float) -> object:
        """The verdict after a GET."""
        self.agenda.now = now
        self.agenda.timers.drop(Timer.POLL)
        self.one.receive_retrieved(status, b"" if said is None else said.body, asked_at=asked_at)
        return self.verdict()


def answered(said: Answer, *, attempts: int = 1, is_background: bool | None = True) -> Tracked:
    one = Tracked(sent=attempts)
    one.one.receive_background(is_background)
    assert one.answered(said)
    return one


CHECK = AskGateway(is_check=True)
WON = Conclude(CANCELLED, Proof.RETRIEVED, CancelResult.CANCEL_WON)
WON_BY_ANSWER = Conclude(CANCELLED, Proof.CANCEL_ANSWER, CancelResult.CANCEL_WON)
COMPLETION_WON = Conclude(COMPLETED, Proof.TERMINAL_EVENT, CancelResult.COMPLETION_WON)
CHECK_SECONDS = Patience().cancel_check_seconds


def test_before_a_cancel_is_requested_nothing_counts() -> None:
    agenda = Agenda(now=0.0, total_seconds=None)
    one = CancelTracker(agenda, patience=Patience(), random=lambda: 0.5, seconds=30.0)
    one.send()
    one.receive_end()
    one.receive_background(False)
    one.receive_left()
    one.receive_deadline()
    one.give_up()
    assert (one.receive_event(COMPLETED), one.receive_result(answer(200, body()))) == (False, False)
    assert (one.decide(can_ask=True), one.result) == (None, None)


def test_a_new_cancel_waits() -> None:
    one = Tracked()
    assert (one.verdict(), one.one.attempts, one.one.body, one.one.request()) == (KeepWaiting(), 1, b"", False)
    one.one.receive_left()  # to stop reading in the background is not to leave it
    assert (one.one.has_left, one.verdict()) == (False, KeepWaiting())


@pytest.mark.parametrize("said", [refused(503), CallFailure("reset", is_outage=True)])
def test_an_outage_is_no_attempt(said: Answer | CallFailure) -> None:
    one = Tracked(max_attempts=1)
    assert one.answered(said) is False
    assert (one.verdict(), one.agenda.take()) == (KeepWaiting(), [Wait(0.25), Cancel()])


def test_the_gateways_wish_for_the_next_attempt_is_obeyed() -> None:
    one = Tracked()
    one.answered(answer(503, None, retry_after="7"))
    assert one.agenda.take() == [Wait(7.0), Cancel()]


def test_after_the_last_attempt_a_get_must_decide() -> None:
    one = Tracked(max_attempts=3)
    assert [one.answered(refused(404)) for _ in range(3)] == [False, False, True]
    assert (one.verdict(), one.one.result) == (AskGateway(), None)
    assert Retrieve() in one.agenda.take()


def test_after_a_stall_it_is_not_sent_again_but_its_answer_is_awaited() -> None:
    one, other = Tracked(), Tracked()
    one.answered(refused(503))
    one.one.receive_stalled()
    other.one.receive_stalled()
    assert (one.one.is_awaited, Cancel() in one.agenda.take(), other.one.is_awaited) == (False, False, True)
    assert (other.answered(refused(503)), other.verdict()) == (True, FollowOn(CancelResult.UNCONFIRMED))


def test_a_cancelled_response_in_the_answer_is_checked_once_the_stream_ends() -> None:
    said = answer(200, body("cancelled"))
    one = answered(said)
    assert (one.one.body, one.verdict(), one.one.is_settling) == (said.body, KeepWaiting(), False)
    one.one.receive_end()
    assert (one.verdict(), one.one.is_settling, one.one.result, one.one.wants_proof) == (CHECK, True, None, True)
    assert one.agenda.take() == [Wait(CHECK_SECONDS), Retrieve()]
    assert one.got(CANCELLED, asked_at=CHECK_SECONDS, now=4.0) == WON
    assert (one.one.result, one.one.is_settling, one.one.wants_proof) == (CancelResult.CANCEL_WON, False, False)


def test_where_no_get_can_be_answered_the_answer_is_believed() -> None:
    one = answered(answer(200, body("cancelled")))
    one.one.receive_end()
    one.can_ask = False
    assert one.verdict() == WON_BY_ANSWER


def test_a_response_that_still_runs_is_no_proof() -> None:
    one = answered(answer(200, body("in_progress")))
    assert (one.one.body, one.verdict(), one.one.is_settling) == (b"", AskGateway(), False)
    assert one.agenda.take() == [Retrieve(), Wait(30.0)]


def test_the_terminal_event_reports_an_end() -> None:
    one = Tracked()
    assert one.one.receive_event(COMPLETED) is True
    assert one.verdict() == KeepWaiting()
    one.one.receive_time_up(Timer.CANCEL_GRACE)
    assert one.verdict() == COMPLETION_WON


def test_a_response_that_ends_before_the_cancel_is_sent_was_over_already() -> None:
    one = Tracked(sent=0)
    assert one.one.receive_event(COMPLETED) is False
    assert one.one.result is CancelResult.ALREADY_TERMINAL


def test_no_answer_at_all_leaves_the_event_to_count() -> None:
    one = Tracked(max_attempts=1)
    one.one.receive_event(COMPLETED)
    one.answered(refused(404))
    assert one.verdict() == COMPLETION_WON


def test_the_get_proves_the_verdict_though_an_answer_comes_later() -> None:
    one = Tracked()
    assert one.got(COMPLETED, said := answer(200, body("completed")), asked_at=0.0, now=0.1) == KeepWaiting()
    assert one.answered(answer(200, body("completed")))
    assert one.one.body == said.body
    assert one.verdict() == Conclude(COMPLETED, Proof.RETRIEVED, CancelResult.ALREADY_TERMINAL)


def test_the_get_proves_the_verdict_though_an_answer_came_before() -> None:
    one = answered(answer(200, body("completed")))
    one.got(COMPLETED, Answer(200, body=b"x"), asked_at=0.0, now=0.1)
    assert one.one.body == b"x"


@pytest.mark.parametrize(("attempts", "result"), [(1, "already_terminal"), (2, "cancel_won")], ids=["once", "twice"])
def test_a_repeated_cancel_may_have_been_taken_the_first_time(attempts: int, result: str) -> None:
    one = answered(refused(400, "Cannot cancel a cancelled response"), attempts=attempts)
    assert one.got(CANCELLED, asked_at=0.0, now=0.1) == CHECK
    assert one.got(CANCELLED, asked_at=5.0, now=5.1) == Conclude(CANCELLED, Proof.RETRIEVED, CancelResult(result))


# `cancelled` may be taken back: a report of it is checked by a GET that is asked some seconds later


def test_a_get_before_its_time_is_no_check() -> None:
    one = answered(answer(200, body("in_progress")))
    assert one.got(CANCELLED, asked_at=0.0, now=9.0) == CHECK
    assert one.agenda.timers[Timer.POLL] == 9.0 + CHECK_SECONDS
    assert one.got(CANCELLED, asked_at=9.0, now=9.1) == CHECK
    assert one.got(CANCELLED, asked_at=12.0, now=12.1) == WON


def test_a_get_that_agrees_does_not_postpone_the_check() -> None:
    one = answered(answer(200, body("cancelled")))
    one.one.receive_end()
    assert one.got(CANCELLED, asked_at=1.0, now=1.1) == CHECK
    assert one.agenda.timers[Timer.POLL] == CHECK_SECONDS


def test_a_later_get_decides_and_the_conflict_is_reported() -> None:
    one = answered(answer(200, body("in_progress")))
    assert one.got(CANCELLED, asked_at=0.1, now=0.2) == CHECK
    verdict = one.got(COMPLETED, said := answer(200, body("completed", "all")), asked_at=0.3, now=0.4)
    assert isinstance(verdict, Conclude)
    assert (verdict.status, verdict.result, one.one.body) == (COMPLETED, CancelResult.COMPLETION_WON, said.body)
    assert [str(each) for each in verdict.conflicts] == ["the GET said cancelled, but a later GET said completed"]


def test_a_text_that_still_grows_is_no_agreement_whatever_the_status() -> None:
    """LiteLLM's polling says cancelled while it still generates."""
    one = answered(answer(200, body("cancelled", "one")))
    one.one.receive_end()
    assert one.got(CANCELLED, answer(200, body("cancelled", "one two")), asked_at=3.0, now=3.1) == AskGateway()
    assert one.agenda.timers[Timer.POLL] == 3.1 + CHECK_SECONDS
    grown = answer(200, body("cancelled", "one two three"))
    assert one.got(CANCELLED, grown, asked_at=6.2, now=6.3) == AskGateway()
    assert one.got(CANCELLED, grown, asked_at=9.4, now=9.5) == WON


def test_a_text_that_grows_to_the_deadline_and_beyond_is_unconfirmed_and_asked_for_until_it_ends() -> None:
    one = answered(answer(200, body("cancelled", "one")))
    one.one.receive_end()
    one.one.receive_deadline()
    verdict = one.got(CANCELLED, answer(200, body("cancelled", "one two")), asked_at=31.0, now=31.0)
    assert (verdict, one.agenda.timers[Timer.POLL]) == (FollowOn(CancelResult.UNCONFIRMED), 31.0 + CHECK_SECONDS)
    assert isinstance(one.got(COMPLETED, answer(200, body("completed")), asked_at=34.0, now=34.0), Conclude)
    assert one.one.result is CancelResult.COMPLETION_WON


def test_a_completed_response_that_has_more_text_than_the_answer_is_no_growth() -> None:
    one = answered(answer(200, body("cancelled")))
    one.one.receive_end()
    verdict = one.got(COMPLETED, answer(200, body("completed", "all")), asked_at=3.0, now=3.1)
    assert isinstance(verdict, Conclude)
    assert verdict.status is COMPLETED


def test_a_get_that_shows_it_running_takes_an_earlier_one_back() -> None:
    one = answered(answer(200, body("in_progress")))
    assert one.got(CANCELLED, asked_at=0.1, now=0.2) == CHECK
    one.one.receive_running(asked_at=0.3)
    assert (one.verdict(), one.one.is_settling) == (AskGateway(), False)
    one.one.receive_deadline()
    assert one.verdict() == FollowOn(CancelResult.UNCONFIRMED)


@pytest.mark.parametrize(("asked_at", "ended"), [(0.5, "already_terminal"), (1.0, "completion_won")])
def test_a_refusal_as_terminal_is_denied_by_a_get_that_was_asked_after_it(asked_at: float, ended: str) -> None:
    one = Tracked()
    one.answered(refused(409, "already over"), now=1.0)
    one.one.receive_running(asked_at=asked_at)
    one.one.receive_event(COMPLETED)
    assert one.verdict() == Conclude(COMPLETED, Proof.TERMINAL_EVENT, CancelResult(ended))


def test_another_clients_cancel_is_checked_too_and_is_no_result_of_ours() -> None:
    one = Tracked(is_requested=False)
    assert (one.got(CANCELLED, asked_at=0.0, now=0.0), one.one.is_settling) == (CHECK, True)
    verdict = one.got(COMPLETED, asked_at=3.0, now=3.0)
    assert isinstance(verdict, Conclude)
    assert (verdict.status, one.one.result) == (COMPLETED, None)


def test_another_clients_cancel_of_a_foreground_response_does_not_make_us_leave() -> None:
    one = Tracked(is_requested=False)
    one.one.receive_background(False)
    assert one.got(CANCELLED, asked_at=0.0, now=0.0) == CHECK


def test_an_end_that_is_never_taken_back_needs_no_check() -> None:
    one = answered(answer(200, body("in_progress")))
    one.one.receive_retrieved(CANCELLED, b"final", asked_at=inf)
    assert one.verdict() == WON
    assert one.one.body == b"final"


# A foreground response: its cancel is sent once, and unless it is confirmed the response is left


def in_foreground(**given: Any) -> Tracked:
    one = Tracked(**given)
    one.one.receive_background(False)
    return one


@pytest.mark.parametrize("said", [refused(404), refused(503), CallFailure("timeout")], ids=["404", "503", "lost"])
def test_in_the_foreground_a_cancel_is_sent_once(said: Answer | CallFailure) -> None:
    one = in_foreground()
    assert (one.answered(said), one.verdict(), Timer.CANCEL in one.agenda.timers) == (True, Leave(), False)


def test_a_cancel_that_waits_to_be_sent_again_is_not_once_it_is_known_to_be_one_of_the_foreground() -> None:
    one = Tracked()
    one.answered(refused(503))
    one.one.receive_background(False)
    assert (one.verdict(), Timer.CANCEL in one.agenda.timers) == (Leave(), False)


def test_in_the_foreground_the_grace_begins_with_the_callers_request() -> None:
    one = in_foreground(sent=0)
    assert one.agenda.take() == [Wait(5.0)]
    one.one.receive_time_up(Timer.CANCEL_GRACE)
    assert one.verdict() == Leave()


def test_after_leaving_one_get_asks_some_seconds_later_and_its_word_is_enough() -> None:
    one = in_foreground()
    one.answered(refused(404))
    assert one.verdict() == Leave()
    one.one.receive_left()
    assert (one.one.has_left, one.verdict(), one.one.is_settling) == (True, AskGateway(), False)
    assert one.agenda.take() == [Wait(CHECK_SECONDS), Retrieve()]
    assert one.got(CANCELLED, asked_at=3.0, now=3.1) == WON


LEFT = Conclude(OutcomeStatus.ABANDONED, None, CancelResult.LEFT)


@pytest.mark.parametrize("how", ["receive_running", "receive_nothing"])
def test_after_leaving_a_get_that_was_asked_before_counts_for_nothing(how: str) -> None:
    one = in_foreground()
    one.answered(refused(404))
    one.verdict()
    one.one.receive_left()
    getattr(one.one, how)(asked_at=0.0)
    assert one.verdict() == AskGateway()
    getattr(one.one, how)(asked_at=3.0)
    assert one.verdict() == LEFT


def test_the_one_get_after_leaving_is_not_waited_for_without_end() -> None:
    one = in_foreground()
    one.one.receive_left()
    one.one.receive_left()  # again: it changes nothing
    assert one.agenda.timers[Timer.CANCEL_DEADLINE] == CHECK_SECONDS + Patience().cancel_grace_seconds
    one.one.receive_deadline()
    assert one.verdict() == LEFT


def test_a_caller_who_leaves_waits_for_no_check() -> None:
    one = answered(answer(200, body("cancelled")))
    one.one.receive_stopped_reading()
    assert one.verdict() == WON_BY_ANSWER


def test_a_caller_who_leaves_a_foreground_response_has_a_get_made_at_once_after_the_answer() -> None:
    one = in_foreground()
    one.one.receive_stopped_reading()
    assert one.verdict() == KeepWaiting()
    one.answered(refused(404), now=0.1)
    assert (one.verdict(), one.agenda.take()[0]) == (AskGateway(), Retrieve())


def test_a_get_that_says_nothing_is_one_of_many_in_the_background() -> None:
    one = answered(answer(200, body()))
    one.one.receive_nothing(asked_at=5.0)
    assert one.verdict() == AskGateway()


# At the deadline


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
        pytest.param(False, Leave(), id="the foreground"),
        pytest.param(True, AskGateway(), id="the background"),
        pytest.param(None, AskGateway(), id="it does not say"),
    ],
)
def test_a_refusal_is_read_again_when_a_get_says_where_it_runs(is_background: bool | None, verdict: object) -> None:
    one = answered(SYNCHRONOUS, is_background=None)
    assert one.verdict() == AskGateway()
    one.one.receive_background(is_background)
    assert one.verdict() == verdict


def test_where_it_runs_does_not_change_an_answer_that_is_no_refusal() -> None:
    one = answered(answer(200, body("in_progress")))
    one.one.receive_background(False)
    assert one.verdict() == KeepWaiting()
    one.one.receive_time_up(Timer.CANCEL_GRACE)
    assert one.verdict() == Leave()


def test_what_the_response_says_counts_for_more_than_what_was_asked_for() -> None:
    one = in_foreground()
    one.one.receive_background(True)
    one.one.receive_background(None)
    assert one.answered(refused(404)) is False  # it is sent again


# Time


def test_a_cancel_has_its_time_from_when_it_is_first_sent() -> None:
    one = Tracked()
    assert one.agenda.take() == [Wait(30.0)]
    one.agenda.now = 2.0
    one.one.send()
    assert one.agenda.take() == [Cancel(), Wait(28.0)]
    assert Tracked(seconds=900.0).agenda.take() == [Wait(900.0)]


def test_without_an_answer_the_waits_grow() -> None:
    one, waits = Tracked(), []
    for _ in range(3):
        one.answered(CallFailure("timeout"))
        waits.append(one.agenda.timers.pop(Timer.CANCEL))
        one.one.send()
    assert waits == [0.25, 0.5, 1.0]


def test_an_end_that_was_reported_begins_the_grace() -> None:
    one = answered(answer(200, body("cancelled")))
    one.verdict()
    assert one.agenda.take() == [Wait(5.0)]
    one.agenda.now = 2.0
    one.one.receive_event(COMPLETED)
    one.verdict()
    assert one.agenda.timers.pop(Timer.CANCEL_GRACE) == 5.0
    one.one.receive_time_up(Timer.CANCEL_GRACE)
    one.verdict()
    assert Timer.CANCEL_GRACE not in one.agenda.timers


def test_a_get_that_is_due_anyway_is_not_made_a_second_time() -> None:
    one = answered(answer(200, body("in_progress")))
    one.agenda.timers[Timer.POLL] = 2.0
    one.verdict()
    assert one.agenda.take() == [Wait(2.0), Retrieve()]


# At the end


def test_a_cancel_without_a_result_is_unconfirmed_at_the_end() -> None:
    one = Tracked()
    one.one.give_up()
    assert one.one.result is CancelResult.UNCONFIRMED


@pytest.mark.parametrize(("is_proven", "result"), [(True, "already_terminal"), (False, "unconfirmed")])
def test_a_cancel_after_the_end_is_answered_by_how_the_end_was_known(is_proven: bool, result: str) -> None:
    one = Tracked(sent=0).one
    one.request_late(is_proven=is_proven)
    assert one.result == result


def test_a_cancel_after_the_end_does_not_change_the_result_of_an_earlier_one() -> None:
    one = Tracked().one
    one.result = CancelResult.CANCEL_WON
    one.request_late(is_proven=True)
    one.give_up()
    assert one.result is CancelResult.CANCEL_WON
