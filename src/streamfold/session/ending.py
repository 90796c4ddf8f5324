"""How a response ends: what proves it, which Response is the final one, and whether its events were all seen."""

from collections.abc import Callable
from math import inf

from streamfold.fold import AnomalyKind, State, with_response
from streamfold.schema import ResponseEvent
from streamfold.session.answer import Ended, ErrorWords, Retrieved, error_words
from streamfold.session.cancel import CancelTracker
from streamfold.session.drive import Timer
from streamfold.session.outcome import Conflict, Duplicates, Outcome, OutcomeStatus, Proof, RepairKind
from streamfold.session.policy import adopted, has_unseen_text
from streamfold.session.reconcile import Conclude, FollowOn, Leave
from streamfold.session.repairs import Repairs

LEFT = "its cancel was not confirmed, so the connection was closed: it may continue at the gateway, and be billed"


class Conclusion:
    """How one response ends.

    Args:
        repairs: The repairs of its stream.
        cancel: Its cancel.
        hide: Takes what must not be shown out of the reason, the code and the id.
        close: Closes its stream.

    Attributes:
        outcome: How it ended; None while it is open.
        response_id: Its id; None until it has arrived.
        lost: Why nothing more can be learned, while the answer to a cancel may still report the end.
        final: The state of a Response that came from outside the stream, once there is one.
    """

    def __init__(
        self, repairs: Repairs, cancel: CancelTracker, *, hide: Callable[[str], str], close: Callable[[], object]
    ) -> None:
        self.outcome: Outcome | None = None
        self.response_id: str | None = None
        self.lost: str = ""
        self.final: State = repairs.reassembler.state
        self._repairs = repairs
        self._reassembler = repairs.reassembler
        self._agenda = repairs.agenda
        self._cancel = cancel
        self._hide = hide
        self._close = close
        self._failed: OutcomeStatus | None = None  # while the stream is read on, because an `error` may say why
        self._is_compacted = False
        self._compacted_after: int | None = None

    @property
    def can_ask(self) -> bool:
        """Whether a GET may still be answered."""
        return self.response_id is not None and not self._repairs.policy.is_refused(RepairKind.RETRIEVE)

    # The final Response

    def adopt(self, state: State) -> None:
        """Take the Response of this state, which came from outside the stream or from after a gap, as the final one."""
        if not self._reassembler.state.is_terminal:
            self._note_unseen(self._reassembler.state, state)
        self.final = state

    def compare(self, before: State, after: State) -> None:
        """The terminal event was applied in order. See whether its Response holds more than the events before it."""
        if self._reassembler.floor is None:  # else the text before it was never asked for
            self._note_unseen(before, after)

    def _note_unseen(self, before: State, after: State) -> None:
        if has_unseen_text(before, after):
            self._is_compacted = True
            self._compacted_after = self._reassembler.floor if before.cursor is None else before.cursor

    # Terminal events

    def take(self, status: OutcomeStatus, *, may_follow: bool) -> None:
        """A terminal event came. may_follow: Whether its stream is open, so that more may follow."""
        if self._cancel.receive_event(status):
            self.reconsider()
        elif status is OutcomeStatus.FAILED and may_follow:
            self._failed = status
            self._agenda.timers[Timer.GAP] = self._agenda.now + self._repairs.patience.gap_seconds
        else:
            self.conclude(status, Proof.TERMINAL_EVENT)

    def accept(self, event: ResponseEvent | None) -> bool:
        """Take the Response of a terminal event that never came into order. Returns whether there was such an event."""
        if event is None:
            return False
        self._agenda.timers.drop(Timer.GAP)
        self.adopt(adopted(self._reassembler.state, event))
        self.take(OutcomeStatus.of(self.final), may_follow=False)
        return True

    @property
    def is_reading_on(self) -> bool:
        """Whether the end has come, and the stream is only read for the `error` that may follow."""
        return self._failed is not None and self.outcome is None

    def stop_reading_on(self) -> None:
        """Nothing more is waited for after the terminal event, if that has come."""
        if self._failed is not None and self.outcome is None:
            self._reassembler.close()
            self.conclude(self._failed, Proof.TERMINAL_EVENT)

    def take_retrieved(self, ended: Ended, *, is_final: bool = False) -> None:
        """A Response that has ended came from outside the stream. is_final: Whether no GET need check it."""
        asked_at = inf if is_final else self._agenda.asked_at
        self._cancel.receive_retrieved(OutcomeStatus.of(ended.state), ended.body, asked_at=asked_at)
        self.reconsider()

    def take_final(self, found: Retrieved) -> None:
        """Another process that followed the response to its end has found this."""
        if self.outcome is None and isinstance(found, Ended):
            self.take_retrieved(found, is_final=True)

    # Verdicts

    def reconsider(self) -> None:
        """Act on what the evidence says of the cancel by now."""
        match self._cancel.decide(can_ask=self.can_ask):
            case Conclude() as verdict:
                if verdict.proof in {Proof.RETRIEVED, Proof.CANCEL_ANSWER}:
                    self.adopt(with_response(self._reassembler.state, self._cancel.body))
                reason = "" if verdict.proof else LEFT
                self.conclude(verdict.status, verdict.proof, conflicts=verdict.conflicts, reason=reason)
            case Leave():
                self._close()
                self._cancel.receive_left()
                self.reconsider()
            case FollowOn() if self.lost:
                self._conclude_lost(self.lost)
            case _:
                pass

    def stall(self, reason: str) -> None:
        """Nothing new came for so long that it is given up. A cancel is not sent again either."""
        self._cancel.receive_stalled()
        self.lose(reason)

    def lose(self, reason: str) -> None:
        """Nothing more can be learned, unless it is known already, or the answer to a cancel may still report it."""
        self.lost = reason
        if self._cancel.is_awaited:
            return
        self._cancel.receive_deadline()
        self.reconsider()
        if self.outcome is None:
            self._conclude_lost(reason)

    def _conclude_lost(self, reason: str) -> None:
        if not self.accept(self._reassembler.any_end):
            self.conclude(OutcomeStatus.LOST, None, reason=reason)

    def conclude(
        self, status: OutcomeStatus, proof: Proof | None, *, conflicts: tuple[Conflict, ...] = (), reason: str = ""
    ) -> None:
        """The response has ended like this, as far as anybody can know."""
        self._cancel.give_up()
        self._agenda.finish()
        state = self.final if proof and self.final.is_terminal else self._reassembler.state
        said = ErrorWords() if status is OutcomeStatus.COMPLETED else error_words(state, hide=self._hide)
        self.outcome = Outcome(
            status=status,
            state=state,
            proof=proof,
            cancel=self._cancel.result,
            repairs=self._repairs.taken,
            conflicts=conflicts,
            is_compacted=self._is_compacted,
            compacted_after=self._compacted_after,
            duplicates=Duplicates(
                self._reassembler.duplicates,
                any(each.kind is AnomalyKind.DUPLICATE_DIFFERS for each in self._reassembler.state.anomalies),
            ),
            reason=self._hide("; ".join(each for each in (said.message, reason) if each)),
            code=said.code,
            response_id=self.response_id and self._hide(self.response_id),
        )
        self._close()
