"""Follows one response to its end: facts go in with their time, events and actions come out.

Pure: no I/O, no clock, no randomness of its own. The comment in `session/drive.py` shows its life as states and facts.
"""

from collections.abc import Callable
from math import inf

from streamfold.errors import FrameTooLarge
from streamfold.fold import State, with_response
from streamfold.schema import ResponseEvent
from streamfold.session.answer import Answer, CallFailure, Ended, StillOpen, read_no_stream, read_retrieved
from streamfold.session.cancel import CancelTracker
from streamfold.session.drive import Action, Agenda, Call, Cancel, Retrieve, Timer
from streamfold.session.outcome import CancelResult, Conflict, Outcome, OutcomeStatus, Proof, Repair, RepairKind
from streamfold.session.patience import Patience
from streamfold.session.reassembler import Applied, Reassembler
from streamfold.session.reconcile import Conclude, FollowOn, Leave
from streamfold.session.repairs import Repairs

LEFT = "its cancel was not confirmed, so the connection was closed: it may continue at the gateway, and be billed"


class Session:
    """Follow one response.

    Args:
        response_id: The response's id; None if the stream will contain it, as after a POST.
        random: Returns a random number in [0, 1) for each wait.
        now: The time at which it begins, in seconds, from a clock that only moves forward.
        starting_after: The sequence number to follow from, without a state before it.
        state: The state to continue from.
        patience: The limits.
        is_connected: Whether the stream is open already.
        is_background: Whether the response was created to run in the background; None if that is not known. What its
            Response says counts for more.

    Attributes:
        is_reading: Whether the stream is open.
        is_steady: Whether the next chunk brings only events: there is nothing to do and nothing to wait for.
        outcome: How the response ended; None while it is open.
    """

    def __init__(
        self,
        response_id: str | None = None,
        *,
        random: Callable[[], float],
        now: float,
        starting_after: int | None = None,
        state: State | None = None,
        patience: Patience | None = None,
        is_connected: bool = False,
        is_background: bool | None = None,
    ) -> None:
        self.patience: Patience = patience or Patience()
        self.response_id = response_id
        self.outcome: Outcome | None = None
        self.is_reading: bool = is_connected
        self.is_steady: bool = False
        start = state or State.under(self.patience.sequence_policy)
        self._agenda = Agenda(now=now, total_seconds=self.patience.total_seconds)
        self._timers = self._agenda.timers
        self._reassembler = Reassembler(start, patience=self.patience, starting_after=starting_after)
        self._repairs = Repairs(self._agenda, self._reassembler, patience=self.patience, random=random)
        self._cancel = CancelTracker(
            self._agenda, patience=self.patience, random=random, seconds=self.patience.cancel_seconds
        )
        self._cancel.receive_background(is_background)
        self._is_connecting = not is_connected
        self._lost = ""  # why nothing more can be learned, while a cancel's answer may still report the end
        if start.is_terminal:
            self._conclude(OutcomeStatus.of(start), Proof.TERMINAL_EVENT)
        elif not is_connected:
            self._agenda.add(self._repairs.connect)

    # What a driver asks

    @property
    def state(self) -> State:
        """Everything known now."""
        return self._reassembler.state if self.outcome is None else self.outcome.state

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs so far."""
        return self._repairs.taken

    @property
    def cancel_result(self) -> CancelResult | None:
        """The result of a cancel; None while it is open, and if none was requested."""
        return self._cancel.result

    @property
    def wants_stream(self) -> bool:
        """Whether a stream should be open, or on its way."""
        return self.is_reading or self._is_connecting

    @property
    def needs_driver(self) -> bool:
        """Whether `actions` has anything new to say."""
        return self._agenda.has_news

    def actions(self) -> list[Action]:
        """Return what to do now, each action once, in order; `drive` turns them into steps."""
        return self._agenda.take(self._repairs.connect)

    # Facts

    def receive_connected(self, *, now: float) -> None:
        """The stream answered, and its bytes come next."""
        self._agenda.now = now
        if self.outcome is None:
            self.is_reading, self._is_connecting, self.is_steady = True, False, False
            self._timers.drop(Timer.CONNECT)
            self._reassembler.begin(is_replay=self._repairs.trying is RepairKind.REPLAY)
            self._cancel.receive_end(has_ended=False)

    def receive_chunk(self, chunk: bytes, *, now: float) -> list[Applied]:
        """The stream brought bytes, cut anywhere. Returns their new events, in order."""
        if not self.is_reading:
            self._agenda.now = now
            return []
        reassembler = self._reassembler
        before = reassembler.state
        try:
            applied = reassembler.feed(chunk)
        except FrameTooLarge as error:
            self._agenda.now = now
            self._fail_stream(CallFailure(str(error), max_attempts=1))
            return []
        if self.is_steady and reassembler.is_plain and not reassembler.is_over:
            return applied  # no timer runs, so the time does not matter
        self._agenda.now = now
        self._take_in(applied, before)
        return applied

    def _take_in(self, applied: list[Applied], before: State) -> None:
        """See what a chunk of a stream that is not steady means. before: The state before it."""
        reassembler = self._reassembler
        if self.response_id is None and reassembler.response_id is not None:
            self.response_id = reassembler.response_id
            self._cancel.send()
        if applied:
            self._lost = ""
            self._timers.drop(Timer.GAP)  # that gap is filled; another one has its own time
            self._repairs.progress()
            if reassembler.state.is_terminal:
                reassembler.note_end([before, *(each.state for each in applied)][-2])
                self._take_end(OutcomeStatus.of(reassembler.state))
                return
        self._watch_gap()
        is_idle = not (self._timers or self._agenda.has_calls or reassembler.has_gap)
        self.is_steady = is_idle and reassembler.has_progressed and self.response_id is not None

    def receive_eof(self, *, now: float) -> None:
        """The stream ended, cleanly as far as HTTP can say."""
        self._agenda.now = now
        if not self.is_reading:
            return
        self.is_reading = self.is_steady = False
        self._cancel.receive_end()
        self._reconsider()
        if self.outcome is not None or self._reassembler.state.is_terminal:
            return
        if self._reassembler.has_progressed or not self._accept_end(self._reassembler.end_out_of_turn):
            self._fail_stream(CallFailure("the stream ended before its terminal event", max_attempts=2))

    def receive_answer(self, call: Call, answer: Answer, *, now: float) -> None:
        """A call was answered; a Connect with something other than a stream."""
        self._receive_result(call, answer, now)

    def receive_failure(self, call: Call, reason: str, *, now: float) -> None:
        """A call brought no answer, or the stream that a Connect opened broke."""
        self._receive_result(call, CallFailure(reason), now)

    def _receive_result(self, call: Call, result: Answer | CallFailure, now: float) -> None:
        self._agenda.now = now
        if self.outcome is not None:
            return
        self.is_steady = False
        self._cancel.receive_background(self._reassembler.is_background)
        match call:
            case Cancel():
                if self._cancel.receive_result(result):
                    self._reconsider()
            case Retrieve():
                self._agenda.end_retrieve()
                self._receive_retrieved(result)
            case _:
                if self._end_connection() and not self._reassembler.is_over:
                    self._receive_no_stream(result)

    def receive_final(self, body: bytes, *, now: float) -> None:
        """Another process that followed the response to its end reports its final Response."""
        self._agenda.now = now
        read = read_retrieved(Answer(200, body=body), self._reassembler.state)
        if self.outcome is None and isinstance(read, Ended):
            self._take_retrieved(read, asked_at=inf)

    def receive_time(self, *, now: float) -> None:
        """Time has passed: it is `now`. Do what is due."""
        for timer in self._agenda.due(now):
            self._fall_due(timer)

    def receive_cancel(self, *, now: float) -> None:
        """The caller wants the response cancelled. A second request changes nothing."""
        self._agenda.now = now
        if self.outcome is not None:
            self._cancel.request_late(is_proven=self.outcome.proof is not None)
        elif self._cancel.request():
            self.is_steady = False
            self._cancel.receive_background(self._reassembler.is_background)
            if self.response_id is not None:  # else it is sent once the stream says the id
                self._cancel.send()

    def receive_stopped_reading(self, *, now: float) -> None:
        """The caller stops reading, but still wants the result of its cancel."""
        self._agenda.now = now
        self._end_connection()
        self._cancel.receive_stopped_reading()
        self._reconsider()

    def receive_notice(self, *, now: float) -> None:
        """Another source, such as a webhook, reports that the status changed: a pending GET is made at once."""
        self._agenda.now = now
        if self.outcome is None and not self.is_reading and self.response_id is not None and self._can_ask:
            self._timers.drop(Timer.POLL)
            self._agenda.retrieve()

    def receive_leave(self, *, now: float, reason: str = "the caller disconnected before its end") -> None:
        """The caller disconnects. The response may continue without us; a cancel has the result that is known by now."""
        self._agenda.now = now
        if self.outcome is None:
            self._cancel.receive_deadline()
            self._reconsider()
        if self.outcome is None:
            self._conclude(OutcomeStatus.ABANDONED, None, reason=reason)

    # The stream

    def _accept_end(self, event: ResponseEvent | None) -> bool:
        """Take the Response of a terminal event that never came into order. Returns whether there was such an event."""
        if event is None:
            return False
        self._timers.drop(Timer.GAP)
        self._reassembler.adopt(self._reassembler.adopted(event))
        self._take_end(OutcomeStatus.of(self._reassembler.final))
        return True

    def _take_end(self, status: OutcomeStatus) -> None:
        if self._cancel.receive_event(status):
            self._reconsider()
        else:
            self._conclude(status, Proof.TERMINAL_EVENT)

    def _watch_gap(self) -> None:
        """A missing event may only be late: wait a little, and hold what came after it."""
        if not self._reassembler.has_gap or self.response_id is None:
            return  # without the id no repair is possible, but the stream may still bring it
        if self._reassembler.is_full:
            self._fall_due(Timer.GAP)
        else:
            self._timers.setdefault(Timer.GAP, self._agenda.now + self.patience.gap_seconds)

    def _end_connection(self) -> bool:
        """There is no connection any more. Returns whether there was one, or one on its way."""
        was_wanted = self.wants_stream
        self.is_reading = self._is_connecting = self.is_steady = False
        return was_wanted

    def _fail_stream(self, failure: CallFailure) -> None:
        self.is_reading = self.is_steady = False
        self._repairs.fail_stream(failure)
        self._repair(failure)

    def _fail_retrieve(self, failure: CallFailure) -> None:
        self._cancel.receive_nothing(asked_at=self._agenda.asked_at)
        if self._cancel.has_left or (not self._can_ask and (self._has_stream or self._cancel.is_settling)):
            self._reconsider()
        elif not self._has_stream and not self._cancel.is_settling:
            self._repairs.policy.fail(RepairKind.RETRIEVE)
            self._repair(failure)
        elif self._cancel.wants_proof:
            self._timers[Timer.POLL] = self._agenda.now + max(failure.retry_after_seconds, self.patience.poll_seconds)

    def _repair(self, failure: CallFailure) -> None:
        self._timers.drop(Timer.GAP)
        if self._cancel.is_settling:
            return  # the GET that checks its end says whether there is anything left to repair
        if self.response_id is None:
            self._lose(f"{failure.reason}; the stream never said the response's id")
        elif not self._repairs.begin_next(failure):
            self._lose(failure.reason)

    def _receive_no_stream(self, result: Answer | CallFailure) -> None:
        if isinstance(result, Answer) and result.is_success and result.is_json:
            self._repairs.refuse_streams("the gateway answered with the Response itself")
            self._receive_retrieved(result, is_stream=True)
        else:
            self._fail_stream(read_no_stream(result, trying=self._repairs.trying))

    def _receive_retrieved(self, result: Answer | CallFailure, *, is_stream: bool = False) -> None:
        """A GET was answered. is_stream: Whether it asked for the stream, whose end is final unless a cancel is open."""
        read = read_retrieved(result, self._reassembler.state)
        if isinstance(read, CallFailure):
            self._repairs.policy.refuse(*read.refused)
            if read.refused:
                self._timers.drop(Timer.POLL)
            if self._repairs.policy.next(can_resume=True) is None:
                self._timers.drop(Timer.CONNECT)
            self._fail_retrieve(read)
        elif isinstance(read, StillOpen):
            self._cancel.receive_running(asked_at=self._agenda.asked_at)
            self._keep_asking(read.status)
            self._cancel.receive_background(read.is_background)
            self._reconsider()
        else:
            asked_at = inf if is_stream and not self._cancel.is_requested else self._agenda.asked_at
            self._take_retrieved(read, asked_at=asked_at)

    def _take_retrieved(self, ended: Ended, *, asked_at: float) -> None:
        self._cancel.receive_retrieved(OutcomeStatus.of(ended.state), ended.body, asked_at=asked_at)
        self._reconsider()

    @property
    def _has_stream(self) -> bool:
        """Whether a stream is open, will be, or has brought the end: a GET is then only made beside it."""
        has_end = self._reassembler.is_over or self._reassembler.final.is_terminal
        return self.wants_stream or Timer.CONNECT in self._timers or has_end

    @property
    def _can_ask(self) -> bool:
        return self.response_id is not None and not self._repairs.policy.is_refused(RepairKind.RETRIEVE)

    def _keep_asking(self, status: str) -> None:
        """The Response still runs: try its stream again if that may work, and ask again later."""
        self._timers.drop(Timer.STALLED, Timer.POLL)  # what runs is not stalled, and it was asked just now
        self._lost = ""  # a gateway that answers this can be asked again
        if self._cancel.has_left:
            return
        if not self._has_stream:
            self._repairs.reopen(status)
        if not self._has_stream or self._cancel.wants_proof:
            self._timers[Timer.POLL] = self._agenda.now + self.patience.poll_seconds

    def _fall_due(self, timer: Timer) -> None:
        match timer:
            case Timer.CONNECT:
                self._is_connecting = True
                self._agenda.add(self._repairs.connect)
            case Timer.POLL:
                self._agenda.retrieve()
            case Timer.CANCEL:
                self._cancel.send()
            case Timer.CANCEL_GRACE | Timer.CANCEL_DEADLINE:
                self._cancel.receive_time_up(timer)
                self._reconsider()
            case Timer.GAP if not self._reassembler.believe():
                self._fail_stream(CallFailure(f"an event is missing after {self._reassembler.after}", max_attempts=2))
            case Timer.STALLED:
                self._lose(f"nothing new came for {self.patience.stalled_seconds:g} s")
            case Timer.TOTAL:
                self._timers.drop(Timer.CANCEL_DEADLINE)
                self._lose(f"it did not end within {self.patience.total_seconds:g} s")
            case _:
                pass

    # The end

    def _reconsider(self) -> None:
        """Act on what the evidence says of the cancel by now."""
        match self._cancel.decide(can_ask=self._can_ask):
            case Conclude() as verdict:
                if verdict.proof in {Proof.RETRIEVED, Proof.CANCEL_ANSWER}:
                    self._reassembler.adopt(with_response(self._reassembler.state, self._cancel.body))
                reason = "" if verdict.proof else LEFT
                self._conclude(verdict.status, verdict.proof, conflicts=verdict.conflicts, reason=reason)
            case Leave():
                self._end_connection()
                self._cancel.receive_left()
                self._reconsider()
            case FollowOn() if self._lost:
                self._conclude_lost(self._lost)
            case _:
                pass

    def _lose(self, reason: str) -> None:
        """Nothing more can be learned, unless it is known already, or the answer to a cancel may still report it."""
        self._lost = reason
        if self._cancel.is_awaited:
            return
        self._cancel.receive_deadline()
        self._reconsider()
        if self.outcome is None:
            self._conclude_lost(reason)

    def _conclude_lost(self, reason: str) -> None:
        if not self._accept_end(self._reassembler.any_end):
            self._conclude(OutcomeStatus.LOST, None, reason=reason)

    def _conclude(
        self, status: OutcomeStatus, proof: Proof | None, *, conflicts: tuple[Conflict, ...] = (), reason: str = ""
    ) -> None:
        self._cancel.give_up()
        self._agenda.finish()
        reassembler = self._reassembler
        self.outcome = Outcome(
            status=status,
            state=reassembler.final_state(is_proven=proof is not None),
            proof=proof,
            cancel=self._cancel.result,
            repairs=self.repairs,
            conflicts=conflicts,
            is_compacted=reassembler.is_compacted,
            compacted_after=reassembler.compacted_after,
            reason=reason,
            response_id=self.response_id,
        )
        self.is_reading = self._is_connecting = self.is_steady = False
