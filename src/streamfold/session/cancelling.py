"""A cancel on its way: what was sent, what came back, and what it comes to.

In      answers to the cancel, the terminal event, the end of the stream, a GET's status, and that time is up
Out     Evidence for `reconcile`, and the Response that proves its verdict
Units   attempts
Errors  none
Source  docs/explanation/cancel.md
"""

from collections.abc import Callable

from attrs import evolve

from streamfold.schema import is_terminal_status
from streamfold.session.answer import Answer
from streamfold.session.cancel import read_cancel_answer
from streamfold.session.outcome import OutcomeStatus
from streamfold.session.reconcile import CancelAnswer, Evidence, Verdict, reconcile

__all__ = ["Cancelling"]


class Cancelling:
    """One cancel. attempts: how often it was sent. body: the Response, or Batch, that the verdict leans on.

    is_terminal: which statuses are over.
    """

    def __init__(self, *, is_terminal: Callable[[str | None], bool] = is_terminal_status) -> None:
        self._is_terminal = is_terminal
        self.attempts: int = 0
        self.body: bytes = b""
        self._evidence = Evidence()
        self._answer: Answer | None = None

    @property
    def verdict(self) -> Verdict:
        """What to make of it by now."""
        return reconcile(self._evidence)

    def receive_answer(self, answer: Answer, *, is_background: bool | None) -> bool:
        """What the gateway said. Returns: whether it says anything; if not, the cancel is worth sending again."""
        read = read_cancel_answer(answer, is_background=is_background, is_terminal=self._is_terminal)
        if read is None:
            return False
        self._answer = answer
        said, status = read
        if status is not None and self._evidence.retrieved is None:
            self.body = answer.body
        self._evidence = evolve(self._evidence, answer=said, answered=status, was_repeated=self.attempts > 1)
        return True

    def receive_background(self, is_background: bool | None) -> None:
        """A GET told whether it runs in the background, by which a refusal is read anew."""
        if self._answer is not None and not self._answer.is_success and is_background is not None:
            self.receive_answer(self._answer, is_background=is_background)

    def give_up_answer(self) -> None:
        """It was sent often enough."""
        self._evidence = evolve(self._evidence, answer=CancelAnswer.NONE, was_repeated=True)

    def receive_event(self, status: OutcomeStatus) -> None:
        """The stream's terminal event."""
        self._evidence = evolve(self._evidence, event=status)

    def receive_end(self, *, has_ended: bool = True) -> None:
        """The stream ended by itself; or it is open again."""
        self._evidence = evolve(self._evidence, has_ended=has_ended)

    def receive_retrieved(self, status: OutcomeStatus, body: bytes) -> None:
        """A GET gave a Response that is over."""
        self.body = body
        self._evidence = evolve(self._evidence, retrieved=status)

    def receive_time_up(self) -> None:
        """Nothing is waited for any longer."""
        self._evidence = evolve(self._evidence, is_time_up=True)

    @property
    def is_answered(self) -> bool:
        """Whether the answer is there, or no longer waited for."""
        return self._evidence.answer is not None or self._evidence.is_time_up

    @property
    def told_end(self) -> bool:
        """Whether the answer, the stream or a GET told of an end."""
        evidence = self._evidence
        return evidence.answered is not None or evidence.event is not None or evidence.retrieved is not None
