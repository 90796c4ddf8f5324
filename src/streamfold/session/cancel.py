"""One cancel: when it is sent, what its answer says, and what the result is."""

import re
from collections.abc import Callable
from typing import Any

from attrs import evolve

from streamfold.schema import is_terminal_status, read_head
from streamfold.session.answer import Answer, CallFailure, ErrorWords, Refusal, refusal_of, retry_after_seconds
from streamfold.session.drive import Agenda, Cancel, Timer
from streamfold.session.outcome import CancelResult, OutcomeStatus
from streamfold.session.patience import Patience
from streamfold.session.reconcile import AskGateway, CancelAnswer, Conclude, Evidence, FollowOn, Verdict, reconcile

# Theory of operation. A cancel races with the response, so its answer alone proves nothing. There are three witnesses:
# the answer to the POST, the terminal event in the stream, and a GET. `CancelTracker` collects what each of them said and
# asks `reconcile` for a verdict whenever something new is known.
#
# Time bounds it twice. From the first POST, `cancel_seconds` is how long a proof is looked for at all. From the first
# report of an end, by any witness, `cancel_grace_seconds` is how long the others are waited for. Both are the same timer,
# CANCEL_DEADLINE, which the second only brings forward. Past the deadline the result is `unconfirmed`, but only so far: a
# late answer still counts.
#
# Before `request` the tracker ignores every fact, so a session reports them without asking whether there is a cancel.

IsTerminal = Callable[[str | None], bool]
# One server says "synchronous" for whatever it refuses: protocol reference 6.
FOREGROUND = re.compile(r"synchronous|background", re.IGNORECASE)


class CancelTracker:
    """One cancel, from the caller's request to its result.

    Attributes:
        is_requested: Whether the caller asked for a cancel.
        result: The result; None while it is open, and if no cancel was requested.
        attempts: How often the cancel was sent.
        body: The Response, or Batch, that proves the verdict.
    """

    def __init__(
        self,
        agenda: Agenda,
        *,
        patience: Patience,
        random: Callable[[], float],
        seconds: float,
        is_terminal: IsTerminal = is_terminal_status,
    ) -> None:
        self.is_requested: bool = False
        self.result: CancelResult | None = None
        self.attempts: int = 0
        self.body: bytes = b""
        self._agenda = agenda
        self._patience = patience
        self._random = random
        self._seconds = seconds
        self._is_terminal = is_terminal
        self._evidence = Evidence()
        self._answer: Answer | None = None

    # What the caller wants

    def request(self) -> bool:
        """The caller wants a cancel. Returns whether that is new: a second request changes nothing."""
        is_new = not self.is_requested
        self.is_requested = True
        return is_new

    def request_late(self, *, is_proven: bool) -> None:
        """The caller wants to cancel a response that has ended. is_proven: Whether it is known how it ended."""
        if self.result is None:
            self.result = CancelResult.ALREADY_TERMINAL if is_proven else CancelResult.UNCONFIRMED

    def give_up(self) -> None:
        """The outcome is known: a cancel without a result stays unproven."""
        if self.is_requested and self.result is None:
            self.result = CancelResult.UNCONFIRMED

    # The POST

    def send(self) -> None:
        """Queue the POST, if a cancel was requested. The deadline counts from the first time."""
        if not self.is_requested:
            return
        agenda = self._agenda
        if not self.attempts:
            agenda.timers[Timer.CANCEL_DEADLINE] = agenda.now + self._seconds
        self.attempts += 1
        agenda.add(Cancel())

    def receive_result(self, result: Answer | CallFailure, *, is_background: bool | None) -> bool:
        """The POST was answered, or it failed. Returns whether that changed the evidence; if not, it is sent again."""
        if not self.is_requested or self._reads(result, is_background):
            return self.is_requested
        if self.attempts >= self._patience.max_attempts:
            self._learn(answer=CancelAnswer.NONE, was_repeated=True)
            return True
        asked = retry_after_seconds(result.headers) if isinstance(result, Answer) else 0.0
        wait = self._patience.backoff.seconds(self.attempts - 1, jitter=self._random(), retry_after_seconds=asked)
        self._agenda.timers[Timer.CANCEL] = self._agenda.now + wait
        return False

    def _reads(self, answer: Answer | CallFailure, is_background: bool | None) -> bool:
        """Read the answer. Returns whether it says anything."""
        if isinstance(answer, CallFailure):
            return False
        read = read_cancel_answer(answer, is_background=is_background, is_terminal=self._is_terminal)
        if read is None:
            return False
        self._answer = answer
        said, status = read
        if status is not None and self._evidence.retrieved is None:
            self.body = answer.body
        self._learn(answer=said, answered=status, was_repeated=self.attempts > 1)
        return True

    # What the other witnesses say

    def receive_background(self, is_background: bool | None) -> None:
        """A GET says whether the response runs in the background, which can change the meaning of a refusal."""
        if self._answer is not None and not self._answer.is_success and is_background is not None:
            self._reads(self._answer, is_background)

    def receive_event(self, status: OutcomeStatus) -> bool:
        """The stream brought its terminal event. Returns whether a cancel was sent before, so that there is a verdict."""
        if self.is_requested and not self.attempts:
            self.result = CancelResult.ALREADY_TERMINAL
        self._learn(event=status)
        return self.attempts > 0

    def receive_end(self, *, has_ended: bool = True) -> None:
        """The stream ended by itself, or it is open again."""
        self._learn(has_ended=has_ended)

    def receive_retrieved(self, status: OutcomeStatus, body: bytes) -> None:
        """A GET returned a Response that has ended."""
        self.body = body
        self._learn(retrieved=status)

    def receive_deadline(self) -> None:
        """Time is up: stop waiting."""
        self._learn(is_past_deadline=True)

    def _learn(self, **facts: Any) -> None:
        if self.is_requested:
            self._evidence = evolve(self._evidence, **facts)

    # What follows

    @property
    def is_awaited(self) -> bool:
        """Whether the session still waits for the answer."""
        is_open = self.is_requested and self._evidence.answer is None and not self._evidence.is_past_deadline
        return is_open and Timer.CANCEL_DEADLINE in self._agenda.timers

    @property
    def knows_end(self) -> bool:
        """Whether the answer, the stream or a GET reported an end."""
        evidence = self._evidence
        return evidence.answered is not None or evidence.event is not None or evidence.retrieved is not None

    def decide(self, *, can_ask: bool) -> Verdict | None:
        """Return the verdict by now, and keep its result; None if no cancel was requested.

        Args:
            can_ask: Whether a GET may still be answered. If not, decide by what is known.
        """
        if not self.is_requested:
            return None
        timers = self._agenda.timers
        if self.knows_end:  # the other witnesses speak soon, or they are not waited for
            timers.bring_forward(Timer.CANCEL_DEADLINE, self._agenda.now + self._patience.cancel_grace_seconds)
        verdict = reconcile(self._evidence)
        if isinstance(verdict, AskGateway) and not can_ask:
            self.receive_deadline()
            verdict = reconcile(self._evidence)
        if isinstance(verdict, Conclude | FollowOn):
            self.result = verdict.result
        if isinstance(verdict, FollowOn):
            timers.drop(Timer.CANCEL)
        return verdict


# The words of the answer


def read_cancel_answer(
    answer: Answer, *, is_background: bool | None, is_terminal: IsTerminal = is_terminal_status
) -> tuple[CancelAnswer, OutcomeStatus | None] | None:
    """Return what the gateway said to the cancel, and the terminal status in it; None if the POST should be repeated.

    Args:
        answer: The answer.
        is_background: Whether the response runs in the background; None if that is not known. A refusal that says
            "synchronous" is only believed of a response known to run in the foreground. Else it counts as a refusal
            of something that is over, which a GET must prove.
        is_terminal: Which statuses are final.
    """
    if answer.is_success:
        head = read_head(answer.body)
        return _read_status(head.status if head else None, is_terminal)
    match refusal_of(answer):
        case Refusal.UNAUTHORIZED:
            return CancelAnswer.NOT_ALLOWED, None
        case Refusal.UNKNOWN_ID | Refusal.BUSY:
            return None
        case _:
            pass
    says_foreground = FOREGROUND.search(ErrorWords.of(answer.body).message or "")
    if says_foreground and is_background is False and answer.status != 409:
        return CancelAnswer.REFUSED_AS_FOREGROUND, None
    return CancelAnswer.REFUSED_AS_TERMINAL, None


def _read_status(status: str | None, is_terminal: IsTerminal) -> tuple[CancelAnswer, OutcomeStatus | None] | None:
    if status is None:
        return None
    if not is_terminal(status):
        return CancelAnswer.OPEN, None
    ended = OutcomeStatus(status)
    return (CancelAnswer.CANCELLED if ended is OutcomeStatus.CANCELLED else CancelAnswer.ENDED), ended
