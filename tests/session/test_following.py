"""Following: what a response and a batch have in common, looked at through the smallest thing that follows."""

from typing import Any

import pytest

from streamfold.session.action import Call, Cancel, Connect, Finish, Retrieve, Wait
from streamfold.session.answer import Answer
from streamfold.session.cancelling import Cancelling
from streamfold.session.following import Following
from streamfold.session.outcome import CancelResult, OutcomeStatus
from streamfold.session.patience import Patience
from streamfold.session.reconcile import Conclude
from streamfold.session.timer import Timer
from tests.session.made import answer, body, calls, refused


class Followed(Following):
    """It follows nothing, and ends as it is told to. can_ask: whether a GET may be answered."""

    def __init__(self, *, can_ask: bool = True, **limits: Any) -> None:
        super().__init__(patience=Patience(**limits), chance=lambda: 0.5, now=0.0)
        self.can_ask = can_ask
        self.ended: list[Conclude | str] = []
        self.told: list[Answer | str] = []

    @property
    def _is_over(self) -> bool:
        return bool(self.ended)

    @property
    def _can_ask(self) -> bool:
        return self.can_ask

    @property
    def _is_background(self) -> bool | None:
        return True

    def _receive_retrieved(self, answer: Answer) -> None:
        self.told += ["GET", answer]

    def _fail_retrieve(self, reason: str, *, asked: float = 0.0) -> None:
        self.told += ["GET", reason]

    def _receive_connect_answer(self, answer: Answer) -> None:
        self.told += ["stream", answer]

    def _fail_connect(self, reason: str) -> None:
        self.told += ["stream", reason]

    def _conclude_cancel(self, verdict: Conclude, body: bytes) -> None:
        self.ended.append(verdict)
        self._end()

    def _conclude_lost(self, reason: str) -> None:
        self.ended.append(reason)
        self._end()

    def cancel(self, *, seconds: float | None = None) -> None:
        self._cancelling = Cancelling()
        self._send_cancel(seconds=seconds)
        assert calls(self) == [Cancel()]

    def answer(self, said: Answer, *, now: float = 0.0) -> None:
        self.receive_answer(Cancel(), said, now=now)

    def fail(self, *, now: float = 0.0) -> None:
        self.receive_failure(Cancel(), "timeout", now=now)

    def lose(self, *, now: float = 0.0) -> None:
        self._now = now
        self._lose("no more")

    def wait_for(self, timer: Timer, at: float) -> None:
        self._timers[timer] = at

    def get(self) -> None:
        self._retrieve()


# Actions and time


def test_nothing_is_to_be_done_where_nothing_is_wanted() -> None:
    one = Followed()
    assert (one.actions(), one.needs_shell, one.cancel_result) == ([], False, None)


def test_the_patience_has_defaults() -> None:
    class Bare(Followed):
        def __init__(self) -> None:
            Following.__init__(self, patience=None, chance=lambda: 0.0, now=0.0)

    assert Bare().patience == Patience()


@pytest.mark.parametrize(
    ("timer", "behind"),
    [(Timer.POLL, [Retrieve()]), (Timer.CANCEL, [Cancel()]), (Timer.TOTAL, []), (Timer.STALLED, [])],
    ids=lambda each: each.name if isinstance(each, Timer) else "",
)
def test_behind_a_wait_stands_what_comes_then(timer: Timer, behind: list[Any]) -> None:
    one = Followed()
    one.wait_for(timer, 2.0)
    assert one.actions() == [Wait(2.0), *behind]


def test_what_is_overdue_waits_no_longer_and_not_less() -> None:
    one = Followed()
    one.wait_for(Timer.POLL, -1.0)
    assert one.actions() == [Wait(0.0), Retrieve()]


def test_the_shell_is_needed_when_there_is_news_for_it() -> None:
    one = Followed()
    one.get()
    assert one.needs_shell is True
    one.actions()
    assert one.needs_shell is False
    one.wait_for(Timer.POLL, 2.0)
    assert one.needs_shell is True
    one.actions()
    assert one.needs_shell is False
    one.wait_for(Timer.TOTAL, 9.0)
    assert one.needs_shell is False
    one.wait_for(Timer.GAP, 1.0)
    assert one.needs_shell is True


def test_what_fell_due_is_done_in_its_order() -> None:
    one = Followed()
    one.cancel()
    one.wait_for(Timer.CANCEL, 2.0)
    one.wait_for(Timer.POLL, 1.0)
    one.receive_time(now=3.0)
    assert calls(one) == [Retrieve(), Cancel()]


@pytest.mark.parametrize("timer", [Timer.GAP, Timer.CANCEL_IS_OVER, Timer.CANCEL])
def test_a_timer_of_nothing_does_nothing(timer: Timer) -> None:
    one = Followed()
    one.wait_for(timer, 1.0)
    one.receive_time(now=1.0)
    assert (one.actions(), one.ended) == ([], [])


def test_one_get_is_made_at_a_time() -> None:
    one = Followed()
    one.get()
    one.get()
    assert one.actions() == [Retrieve()]


def test_after_the_total_time_it_is_lost() -> None:
    one = Followed(total_seconds=9.0)
    assert one.actions() == [Wait(9.0)]
    one.receive_time(now=9.0)
    assert (one.ended, one.actions()) == (["it did not end within 9 s"], [Finish()])


@pytest.mark.parametrize(("call", "whose"), [(Retrieve(), "GET"), (Connect(7), "stream")], ids=["GET", "stream"])
def test_what_came_of_a_call_is_told_to_whom_it_is_for(call: Call, whose: str) -> None:
    one = Followed()
    said = answer(200, body())
    one.receive_answer(call, said, now=1.0)
    one.receive_failure(call, "reset", now=2.0)
    assert one.told == [whose, said, whose, "reset"]


def test_a_get_that_was_answered_or_failed_may_be_followed_by_another() -> None:
    one = Followed()
    for told in (
        lambda: one.receive_answer(Retrieve(), answer(), now=0.0),
        lambda: one.receive_failure(Retrieve(), "", now=0.0),
    ):
        one.get()
        assert one.actions() == [Retrieve()]
        told()
    one.get()
    assert one.actions() == [Retrieve()]


def test_after_the_end_nothing_is_told_any_more() -> None:
    one = Followed()
    one.lose()
    one.receive_answer(Retrieve(), answer(), now=1.0)
    one.receive_failure(Retrieve(), "reset", now=1.0)
    assert one.told == []


# A cancel


def test_a_cancel_has_its_time_from_when_it_is_first_sent() -> None:
    one = Followed()
    one.cancel()
    assert one.actions() == [Wait(30.0)]
    one.fail(now=2.0)
    one.receive_time(now=2.25)
    assert calls(one) == [Cancel()]
    assert one.actions() == [Wait(27.75)]


def test_its_time_may_be_longer() -> None:
    one = Followed()
    one.cancel(seconds=900.0)
    assert one.actions() == [Wait(900.0)]


def test_without_an_answer_it_is_sent_again_so_often_and_then_a_get_is_made() -> None:
    one, now, waits = Followed(max_attempts=3), 0.0, []
    one.cancel()
    for _ in range(2):
        one.fail(now=now)
        [wait, call] = one.actions()
        assert isinstance(wait, Wait)
        assert call == Cancel()
        waits.append(wait.seconds)
        now += wait.seconds
        one.receive_time(now=now)
        assert calls(one) == [Cancel()]
    one.fail(now=now)
    assert (calls(one), waits) == ([Retrieve()], [0.25, 0.5])


def test_the_gateways_wish_for_the_next_attempt_is_obeyed() -> None:
    one = Followed()
    one.cancel()
    one.answer(answer(503, None, retry_after="7"))
    assert one.actions() == [Wait(7.0), Cancel()]


def test_an_answer_that_only_a_get_can_prove_makes_one() -> None:
    one = Followed()
    one.cancel()
    one.answer(answer(200, body()))
    assert calls(one) == [Retrieve()]


def test_where_a_get_will_come_anyway_none_is_made() -> None:
    one = Followed()
    one.cancel()
    one.wait_for(Timer.POLL, 2.0)
    one.answer(answer(200, body()))
    assert calls(one) == []


def test_where_no_get_is_answered_it_is_unconfirmed_at_once() -> None:
    one = Followed(can_ask=False)
    one.cancel()
    one.answer(answer(200, body()))
    assert (one.cancel_result, one.ended, calls(one)) == (CancelResult.UNCONFIRMED, [], [])


def test_an_end_that_was_told_brings_the_deadline_forward() -> None:
    one = Followed()
    one.cancel()
    one.answer(answer(200, body("cancelled")), now=1.0)
    assert one.actions() == [Wait(5.0)]
    one.receive_time(now=6.0)
    [ended] = one.ended
    assert isinstance(ended, Conclude)
    assert (ended.status, one.cancel_result) == (OutcomeStatus.CANCELLED, CancelResult.CANCEL_WON)


def test_a_cancel_without_a_proof_in_time_is_unconfirmed_so_far() -> None:
    one = Followed()
    one.cancel()
    one.receive_time(now=30.0)
    assert (one.cancel_result, one.ended, one.actions()) == (CancelResult.UNCONFIRMED, [], [])
    one.answer(answer(200, body("cancelled")), now=31.0)
    assert (one.cancel_result, len(one.ended)) == (CancelResult.CANCEL_WON, 1)


def test_an_answer_that_nobody_waits_for_counts_for_nothing() -> None:
    one = Followed()
    one.answer(answer(200, body("cancelled")))
    one.fail()
    assert (one.actions(), one.ended) == ([], [])


# Lost, or not


def test_without_a_cancel_what_is_lost_is_lost() -> None:
    one = Followed()
    one.lose()
    assert (one.ended, one.cancel_result) == (["no more"], None)


def test_what_the_answer_proves_is_not_lost() -> None:
    one = Followed()
    one.cancel()
    one.answer(answer(200, body("cancelled")))
    one.lose()
    assert one.cancel_result is CancelResult.CANCEL_WON


def test_what_a_cancel_may_still_tell_is_waited_for() -> None:
    one = Followed()
    one.cancel()
    one.lose(now=1.0)
    assert one.ended == []
    one.receive_time(now=30.0)
    assert (one.ended, one.cancel_result) == (["no more"], CancelResult.UNCONFIRMED)


def test_what_a_refused_cancel_cannot_tell_is_lost() -> None:
    one = Followed(can_ask=False)
    one.cancel()
    one.answer(refused(401))
    one.lose()
    assert (one.ended, one.cancel_result) == (["no more"], CancelResult.NOT_ALLOWED)


def test_the_total_time_is_no_longer_for_a_cancel() -> None:
    one = Followed(total_seconds=9.0)
    one.cancel()
    one.receive_time(now=9.0)
    assert (one.ended, one.cancel_result) == (["it did not end within 9 s"], CancelResult.UNCONFIRMED)


# What is not there is not reconsidered


def test_without_a_cancel_there_is_nothing_to_reconsider() -> None:
    one = Followed()
    one._reconsider()
    assert (one.actions(), one.ended, one.cancel_result) == ([], [], None)


def test_whoever_ends_with_a_cancel_on_its_way_leaves_it_unconfirmed() -> None:
    one = Followed()
    one.cancel()
    one._end()
    assert (one.cancel_result, one.actions()) == (CancelResult.UNCONFIRMED, [Finish()])


@pytest.mark.parametrize(
    ("is_proven", "result"), [(True, CancelResult.ALREADY_TERMINAL), (False, CancelResult.UNCONFIRMED)]
)
def test_a_cancel_after_the_end_is_answered_by_how_the_end_was_known(is_proven: bool, result: CancelResult) -> None:
    one = Followed()
    one._answer_late_cancel(is_proven=is_proven)
    assert one.cancel_result is result


def test_a_cancel_after_the_end_does_not_change_what_an_earlier_one_came_to() -> None:
    one = Followed()
    one.cancel_result = CancelResult.CANCEL_WON
    one._answer_late_cancel(is_proven=True)
    assert one.cancel_result is CancelResult.CANCEL_WON
