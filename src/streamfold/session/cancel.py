"""One cancel: when it is sent, what its answer says, and what the result is."""

import re
from collections.abc import Callable
from math import inf
from typing import Any

from attrs import evolve

from streamfold.schema import is_terminal_status, read_head
from streamfold.session.answer import Answer, CallFailure, ErrorWords, Refusal, refusal_of, retry_after_seconds
from streamfold.session.drive import Agenda, Cancel, Timer
from streamfold.session.outcome import CancelResult, OutcomeStatus
from streamfold.session.patience import Patience
from streamfold.session.policy import has_more_output
from streamfold.session.reconcile import (
    AskGateway,
    CancelAnswer,
    Conclude,
    Evidence,
    FollowOn,
    Leave,
    Verdict,
    reconcile,
)

# Theory of operation. A cancel races with the response, so its answer alone proves nothing. There are three witnesses:
# the answer to the POST, the terminal event in the stream, and GETs. `CancelTracker` collects what each of them said and
# asks `reconcile` for a verdict whenever something new is known.
#
# Time bounds it three times:
#
#     CANCEL_GRACE      how long the other witnesses are waited for once one of them reported an end; in the foreground,
#                       how long a confirmation is waited for at all, from the caller's request
#     _check_at         from when a GET counts as a check: a while after the last report that said something new, because
#                       a server may say `cancelled` and complete a few seconds later
#     CANCEL_DEADLINE   how long a proof is looked for, from the first POST. Past it the result is `unconfirmed`, but only
#                       so far: a late answer still counts. Until then an outage does not end the attempts, as with every
#                       step of the repair ladder
#
# A check that shows more output than the report before it proves that the response still runs, whatever its status says,
# so it only counts as the next report.
#
# Before `request` only GETs are collected: a response that another client cancelled is checked in the same way.

IsTerminal = Callable[[str | None], bool]
# One server says "synchronous" for whatever it refuses: protocol reference 6.
FOREGROUND = re.compile(r"synchronous|background", re.IGNORECASE)
# Words for a response that is over. "can be cancelled" and "failed to cancel" are about the cancel.
OVER = re.compile(
    r"\b(?:already|completed?|incomplete|finished|ended|terminal|expired|no longer|failed(?! to))\b"
    r"|(?:\b(?:a|is|was|been)\s|status\W{1,4})cancell?ed\b",
    re.IGNORECASE,
)
CONFLICT = 409  # about the response's status, unless the words say otherwise
CANNOT_CANCEL = frozenset({405, 501})


class CancelTracker:
    """One cancel, from the caller's request to its result.

    Attributes:
        is_requested: Whether the caller asked for a cancel.
        result: The result; None while it is open, and if no cancel was requested.
        attempts: How often the cancel was sent.
        body: The Response, or Batch, that proves the verdict.
        has_left: Whether the connection of a foreground response was closed because of the cancel.
        is_settling: Whether a reported end is only waiting to be checked.
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
        self.is_settling: bool = False
        self._agenda = agenda
        self._patience = patience
        self._random = random
        self._seconds = seconds
        self._is_terminal = is_terminal
        self._is_background: bool | None = None
        self._is_hurried = False
        self._is_last = False
        self._evidence = Evidence()
        self._unread = 0  # answers that said nothing, but for those of an outage
        self._answer: Answer | None = None
        self._answered_at = inf
        self._check_at = inf

    # What the caller wants

    def request(self) -> bool:
        """The caller wants a cancel. Returns whether that is new: a second request changes nothing."""
        is_new = not self.is_requested
        self.is_requested = True
        self._begin_grace()
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

    def receive_result(self, result: Answer | CallFailure) -> bool:
        """The POST was answered, or it failed. Returns whether that changed the evidence; if not, it is sent again."""
        if not self.is_requested or self._reads(result):
            return self.is_requested
        if self._is_last:
            self.receive_deadline()
            return True
        self._unread += not _is_outage(result)
        if self.is_foreground or self._unread >= self._patience.max_attempts:
            self._learn_answer(CancelAnswer.NONE)
            return True
        asked = retry_after_seconds(result.headers) if isinstance(result, Answer) else 0.0
        wait = self._patience.backoff.seconds(self.attempts - 1, jitter=self._random(), retry_after_seconds=asked)
        self._agenda.timers[Timer.CANCEL] = self._agenda.now + wait
        return False

    def _reads(self, answer: Answer | CallFailure) -> bool:
        """Read the answer. Returns whether it says anything."""
        if isinstance(answer, CallFailure):
            return False
        read = read_cancel_answer(answer, is_background=self._is_background, is_terminal=self._is_terminal)
        if read is None:
            return False
        self._answer = answer
        said, status = read
        if status is not None:
            self._note_report(answer.body if self._evidence.retrieved is None else self.body)
        self._learn_answer(said, status)
        return True

    def _learn_answer(self, said: CancelAnswer, status: OutcomeStatus | None = None) -> None:
        if self._evidence.answer is None:
            self._answered_at = self._agenda.now
        self._learn(answer=said, answered=status, was_repeated=self.attempts > 1)

    # What the other witnesses say

    def receive_background(self, is_background: bool | None) -> None:
        """The caller or a Response says where it runs, which can change the meaning of a refusal; None if it does not say."""
        if is_background is None or is_background is self._is_background or self.has_left:
            return
        self._is_background = is_background
        self._learn(is_foreground=not is_background)
        self._begin_grace()
        if self._answer is not None and not self._answer.is_success:
            self._reads(self._answer)
        elif self.is_foreground and Timer.CANCEL in self._agenda.timers:  # it is sent once
            self._agenda.timers.drop(Timer.CANCEL)
            self._learn_answer(CancelAnswer.NONE)

    def receive_event(self, status: OutcomeStatus) -> bool:
        """The stream brought its terminal event. Returns whether a cancel was sent before, so that there is a verdict."""
        if self.is_requested and not self.attempts:
            self.result = CancelResult.ALREADY_TERMINAL
        self._note_report(self.body)
        self._learn(event=status)
        return self.attempts > 0

    def receive_end(self, *, has_ended: bool = True) -> None:
        """The stream ended by itself, or it is open again."""
        self._learn(has_ended=has_ended)

    def receive_stopped_reading(self) -> None:
        """The caller leaves and wants the result soon: nothing is checked."""
        self._is_hurried = True
        self.receive_left()

    def receive_left(self) -> None:
        """The stream was closed by us. A foreground response may end because of that, which a GET some seconds later shows."""
        self._learn(has_ended=True)
        self._agenda.timers.drop(Timer.CONNECT, Timer.GAP)
        if not self.is_foreground or self.has_left:
            return
        self._agenda.timers.drop(Timer.POLL, Timer.STALLED)
        self._learn(has_left=True, ran_on=False)
        self._check_at = self._agenda.now + (0.0 if self._is_hurried else self._patience.cancel_check_seconds)
        self._agenda.timers[Timer.CANCEL_DEADLINE] = self._check_at + self._patience.cancel_grace_seconds

    def receive_running(self, *, asked_at: float) -> None:
        """A GET said that the response still runs. asked_at: When it was asked."""
        self._learn(retrieved=None, grows=False)  # what an earlier one said is taken back
        self._learn_running(asked_at)

    def receive_nothing(self, *, asked_at: float) -> None:
        """A GET said nothing. After leaving a foreground response it is the only one. asked_at: When it was asked."""
        if self.has_left and asked_at >= self._check_at:
            self.receive_deadline()

    def receive_retrieved(self, status: OutcomeStatus, body: bytes, *, asked_at: float) -> None:
        """A GET returned a Response that has ended. asked_at: When it was asked; inf if its end is never taken back."""
        before, grew = self._evidence.retrieved, self._grows(status, body)
        if before not in {None, status} or asked_at == inf or (asked_at >= self._check_at and not grew):
            self._learn(checked=status)
        else:
            if grew:
                self._learn_running(asked_at)
            if grew or {each for _, each in self._evidence.reports} != {status}:
                self._note_report(body)
            self._learn(retrieved=status, grows=grew)
        self.body = body

    def _grows(self, status: OutcomeStatus, body: bytes) -> bool:
        """Whether a Response that says cancelled has more output than the last one."""
        return status is OutcomeStatus.CANCELLED and bool(self.body) and has_more_output(self.body, body)

    def _learn_running(self, asked_at: float) -> None:
        if asked_at >= (self._check_at if self.has_left else self._answered_at):
            self._learn(ran_on=True)

    def receive_time_up(self, timer: Timer) -> None:
        """The grace is over, or the time to look for proof."""
        self._learn(**{"is_past_grace" if timer is Timer.CANCEL_GRACE else "is_past_deadline": True})

    def receive_deadline(self) -> None:
        """Time is up: stop looking for proof."""
        self._learn(is_past_deadline=True)

    def receive_stalled(self) -> None:
        """Nothing new came for too long: the POST is not sent again, but the last one may still be answered."""
        self._is_last = True
        if Timer.CANCEL in self._agenda.timers:  # the last one failed
            self._agenda.timers.drop(Timer.CANCEL, Timer.CANCEL_DEADLINE)

    def _note_report(self, body: bytes) -> None:
        """An end was reported: what is asked a while later is a check of it. body: The newest Response that reports one."""
        self.body = body
        self._check_at = self._agenda.now + self._patience.cancel_check_seconds

    def _learn(self, **facts: Any) -> None:
        self._evidence = evolve(self._evidence, **facts)

    def _begin_grace(self) -> None:
        """Limit how long the other witnesses are waited for, if an end was reported or the response is in the foreground."""
        evidence = self._evidence
        if self.is_requested and not evidence.is_past_grace and (evidence.reports or evidence.is_foreground):
            until = self._agenda.now + self._patience.cancel_grace_seconds
            self._agenda.timers.setdefault(Timer.CANCEL_GRACE, until)

    # What follows

    @property
    def has_left(self) -> bool:
        """Whether the connection of a foreground response was closed because of the cancel."""
        return self._evidence.has_left

    @property
    def is_foreground(self) -> bool:
        """Whether the response is known to run in the foreground."""
        return self._evidence.is_foreground

    @property
    def wants_proof(self) -> bool:
        """Whether GETs are made, even beside a stream, to find out how the response ended."""
        return (self.is_requested and self.result is None) or self.is_settling

    @property
    def is_awaited(self) -> bool:
        """Whether the session still waits for the answer."""
        is_open = self.is_requested and self._evidence.answer is None and not self._evidence.is_past_deadline
        return is_open and Timer.CANCEL_DEADLINE in self._agenda.timers

    def decide(self, *, can_ask: bool) -> Verdict | None:
        """Return the verdict by now, and keep its result; None if there is nothing to decide. A GET is queued if it needs one.

        Args:
            can_ask: Whether a GET may still be answered. If not, decide by what is known.
        """
        if not self.is_requested and not {self._evidence.retrieved, self._evidence.checked} - {None}:
            return None
        self._begin_grace()
        verdict = self._verdict()
        if isinstance(verdict, AskGateway) and (not can_ask or (verdict.is_check and self._is_hurried)):
            self.receive_deadline()
            verdict = self._verdict()
        self.is_settling = verdict == AskGateway(is_check=True)
        # No other GET is due while a Response grows, because it says that it has ended.
        if isinstance(verdict, AskGateway) or (isinstance(verdict, FollowOn) and self._evidence.grows):
            self._ask()
        self._keep_result(verdict)
        return verdict

    def _verdict(self) -> Verdict:
        evidence = self._evidence
        if not self.is_requested:  # another client's cancel
            evidence = evolve(evidence, answer=CancelAnswer.NONE, is_foreground=False)
        return reconcile(evidence)

    def _keep_result(self, verdict: Verdict) -> None:
        if self.is_requested and isinstance(verdict, Conclude | FollowOn):
            self.result = verdict.result
        if isinstance(verdict, FollowOn | Leave):
            self._agenda.timers.drop(Timer.CANCEL)

    def _ask(self) -> None:
        """Have a GET made, at once or as a check, unless one is due anyway. A check says whether a stream is worth opening."""
        agenda = self._agenda
        if self.is_settling:
            agenda.timers.drop(Timer.CONNECT)
        if Timer.POLL in agenda.timers:
            return
        if agenda.now < self._check_at < inf:
            agenda.timers[Timer.POLL] = self._check_at
        else:
            agenda.retrieve()


# The words of the answer


def _is_outage(result: Answer | CallFailure) -> bool:
    """Whether it says nothing about the cancel, and so does not count as an attempt."""
    return result.is_outage if isinstance(result, CallFailure) else refusal_of(result) is Refusal.BUSY


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
    if answer.status in CANNOT_CANCEL:
        return CancelAnswer.REFUSED, None
    match refusal_of(answer):
        case Refusal.UNAUTHORIZED:
            return CancelAnswer.NOT_ALLOWED, None
        case Refusal.UNKNOWN_ID | Refusal.BUSY | Refusal.NOT_THE_GATEWAY:
            return None
        case _:
            is_over = _says_over(answer, is_background=is_background)
            return CancelAnswer.REFUSED_AS_TERMINAL if is_over else CancelAnswer.REFUSED, None


def _says_over(answer: Answer, *, is_background: bool | None) -> bool:
    """Whether a refusal says that the response is over."""
    words = ErrorWords.of(answer.body).message or answer.excerpt
    if FOREGROUND.search(words):
        return is_background is not False
    return answer.status == CONFLICT or OVER.search(words) is not None


def _read_status(status: str | None, is_terminal: IsTerminal) -> tuple[CancelAnswer, OutcomeStatus | None] | None:
    if status is None:
        return None
    if not is_terminal(status):
        return CancelAnswer.OPEN, None
    ended = OutcomeStatus(status)
    return (CancelAnswer.CANCELLED if ended is OutcomeStatus.CANCELLED else CancelAnswer.ENDED), ended
