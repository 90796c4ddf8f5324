"""What following a response and following a batch have in common: actions, timers, one GET at a time, and a cancel.

In      answers and failures of calls, time, a cancel asked for
Out     actions; the result of a cancel
Units   seconds of any clock that only goes forward
Errors  none for anything that a peer sent
Source  docs/explanation/cancel.md

`Session` and `BatchSession` are made of it: what is theirs is what they do with an answer, and how they end.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from streamfold.session.action import Action, Call, Cancel, Finish, Retrieve, Wait
from streamfold.session.answer import Answer, seconds_asked
from streamfold.session.cancelling import Cancelling
from streamfold.session.outcome import CancelResult
from streamfold.session.patience import Patience
from streamfold.session.reconcile import AskGateway, Conclude, FollowOn
from streamfold.session.timer import Timer, Timers

__all__ = ["Following"]


class Following(ABC):
    """The base of both. cancel_result: what a cancel came to; None while that is open, and where none was asked."""

    def __init__(self, *, patience: Patience | None, chance: Callable[[], float], now: float) -> None:
        self.patience: Patience = patience or Patience()
        self.cancel_result: CancelResult | None = None
        self._chance = chance
        self._now = now
        self._actions: list[Action] = []
        self._timers = Timers()
        self._told_first_at: float | None = None
        self._is_retrieving = False
        self._cancelling: Cancelling | None = None
        self._lost = ""  # why nothing more can be learned, while a cancel's answer may still tell the end
        if self.patience.total_seconds is not None:
            self._timers[Timer.TOTAL] = now + self.patience.total_seconds

    # What the shell asks

    @property
    def needs_shell(self) -> bool:
        """Whether `actions` has anything new to say."""
        return bool(self._actions) or self._timers.first_at != self._told_first_at

    def actions(self) -> list[Action]:
        """What to do now, each once, in order; behind a Wait stands what comes then, if nothing happens before."""
        actions, self._actions = self._actions, []
        self._told_first_at = self._timers.first_at
        if (timer := self._timers.first) is not None:
            actions.append(Wait(max(0.0, self._timers[timer] - self._now)))
            if (call := self._call_of(timer)) is not None:
                actions.append(call)
        return actions

    def receive_answer(self, call: Call, answer: Answer, *, now: float) -> None:
        """A call was answered; a Connect, with something else than a stream."""
        self._now = now
        if self._is_over:
            return
        if isinstance(call, Cancel):
            self._receive_cancel_answer(answer)
        elif isinstance(call, Retrieve):
            self._is_retrieving = False
            self._receive_retrieved(answer)
        else:
            self._receive_connect_answer(answer)

    def receive_failure(self, call: Call, reason: str, *, now: float) -> None:
        """A call brought no answer, or the stream that a Connect opened broke off."""
        self._now = now
        if self._is_over:
            return
        if isinstance(call, Cancel):
            self._send_cancel_again(asked=0.0)
        elif isinstance(call, Retrieve):
            self._is_retrieving = False
            self._fail_retrieve(reason)
        else:
            self._fail_connect(reason)

    def receive_time(self, *, now: float) -> None:
        """So late is it: whatever fell due is done."""
        self._now = now
        while (timer := self._timers.take_due(now)) is not None:
            self._fall_due(timer)

    # What a response and a batch each do in their own way

    @property
    @abstractmethod
    def _is_over(self) -> bool:
        """Whether the outcome is there."""

    @property
    @abstractmethod
    def _is_background(self) -> bool | None:
        """Whether it runs in the background; None where it is not known."""

    @abstractmethod
    def _receive_retrieved(self, answer: Answer) -> None:
        """A GET was answered."""

    @abstractmethod
    def _fail_retrieve(self, reason: str, *, asked: float = 0.0) -> None:
        """A GET brought nothing. asked: how many seconds to wait at least."""

    @abstractmethod
    def _receive_connect_answer(self, answer: Answer) -> None:
        """Something else than a stream came."""

    @abstractmethod
    def _fail_connect(self, reason: str) -> None:
        """The stream failed."""

    @property
    @abstractmethod
    def _can_ask(self) -> bool:
        """Whether a GET may still be answered."""

    @abstractmethod
    def _conclude_cancel(self, verdict: Conclude, body: bytes) -> None:
        """End as the verdict says. body: what proves it, where that is a body."""

    @abstractmethod
    def _conclude_lost(self, reason: str) -> None:
        """End with nothing proven."""

    def _call_of(self, timer: Timer) -> Call | None:
        """What is called when this falls due."""
        calls: dict[Timer, Call] = {Timer.POLL: Retrieve(), Timer.CANCEL: Cancel()}
        return calls.get(timer)

    def _fall_due(self, timer: Timer) -> None:
        match timer:
            case Timer.POLL:
                self._retrieve()
            case Timer.CANCEL:
                self._send_cancel()
            case Timer.CANCEL_IS_OVER if self._cancelling is not None:
                self._cancelling.receive_time_up()
                self._reconsider()
            case Timer.TOTAL:
                self._timers.drop(Timer.CANCEL_IS_OVER)
                self._lose(f"it did not end within {self.patience.total_seconds:g} s")
            case _:
                pass

    # GETs

    def _retrieve(self) -> None:
        """GET it, unless that is being done."""
        if not self._is_retrieving:
            self._is_retrieving = True
            self._actions.append(Retrieve())

    # Cancel

    def _send_cancel(self, *, seconds: float | None = None) -> None:
        """POST it. seconds: how long to try until it is proven, if it is the first time."""
        if self._cancelling is not None:
            if not self._cancelling.attempts:
                self._timers[Timer.CANCEL_IS_OVER] = self._now + (seconds or self.patience.cancel_seconds)
            self._cancelling.attempts += 1
            self._actions.append(Cancel())

    def _receive_cancel_answer(self, answer: Answer) -> None:
        if self._cancelling is None:
            return
        if self._cancelling.receive_answer(answer, is_background=self._is_background):
            self._reconsider()
        else:
            self._send_cancel_again(asked=seconds_asked(answer.headers))

    def _answer_late_cancel(self, *, is_proven: bool) -> None:
        """It was asked for after the end."""
        if self.cancel_result is None:
            self.cancel_result = CancelResult.ALREADY_TERMINAL if is_proven else CancelResult.UNCONFIRMED

    def _send_cancel_again(self, *, asked: float) -> None:
        """No answer that says anything: ask again, while there is time."""
        if self._cancelling is None:
            return
        attempts = self._cancelling.attempts
        if attempts >= self.patience.max_attempts:
            self._cancelling.give_up_answer()
            self._reconsider()
        else:
            wait = self.patience.backoff.seconds(attempts - 1, chance=self._chance(), asked=asked)
            self._timers[Timer.CANCEL] = self._now + wait

    def _reconsider(self) -> None:
        """See what the evidence makes of the cancel by now."""
        if self._cancelling is None:
            return
        if self._cancelling.told_end:
            # An end was told by somebody: what else there is to know comes soon, or is not waited for.
            self._timers.bring_forward(Timer.CANCEL_IS_OVER, self._now + self.patience.cancel_grace_seconds)
        match self._cancelling.verdict:
            case Conclude() as verdict:
                self.cancel_result = verdict.result
                self._conclude_cancel(verdict, self._cancelling.body)
            case AskGateway() if not self._can_ask:
                self._cancelling.receive_time_up()
                self._reconsider()
            case AskGateway():
                if Timer.POLL not in self._timers:
                    self._retrieve()
            case FollowOn() as verdict:
                self.cancel_result = verdict.result  # so far: a late answer is still listened to
                self._timers.drop(Timer.CANCEL)
                if self._lost:
                    self._conclude_lost(self._lost)
            case _:
                pass

    # The end

    def _lose(self, reason: str) -> None:
        """Nothing more can be learned, unless it is known already, or a cancel is still to be answered."""
        if self._cancelling is not None:
            self._lost = reason
            if not self._cancelling.is_answered and Timer.CANCEL_IS_OVER in self._timers:
                return
            self._cancelling.receive_time_up()
            self._reconsider()
        if not self._is_over:
            self._conclude_lost(reason)

    def _end(self) -> None:
        """The outcome is there: nothing is waited for any longer."""
        if self._cancelling is not None and self.cancel_result is None:
            self.cancel_result = CancelResult.UNCONFIRMED
        self._timers.clear()
        self._actions = [Finish()]
