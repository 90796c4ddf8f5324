"""Follows one response to its end: facts go in with their time, events and actions come out.

Pure: no I/O, no clock, no randomness of its own. The comment in `session/drive.py` shows its life as states and facts.
"""

from collections.abc import Callable

from streamfold.errors import FrameTooLarge
from streamfold.fold import State
from streamfold.session.answer import Answer, CallFailure, StillOpen, read_no_stream, read_retrieved
from streamfold.session.cancel import CancelTracker
from streamfold.session.drive import Action, Agenda, Call, Cancel, Connect, Retrieve, Timer
from streamfold.session.ending import Conclusion
from streamfold.session.outcome import CancelResult, Outcome, OutcomeStatus, Proof, Repair, RepairKind
from streamfold.session.patience import Patience
from streamfold.session.reassembler import Applied, Reassembler
from streamfold.session.repairs import Repairs, StallTimer

ITSELF = "the gateway answered with the Response itself"


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
        is_background: Whether it was created to run in the background; None if unknown. Its Response counts for more.
        hide: Takes what must not be shown, such as a key, out of the reasons.

    Attributes:
        is_reading: Whether the stream is open.
        is_steady: Whether the next chunk brings only events: there is nothing to do and nothing to wait for.
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
        hide: Callable[[str], str] = str,
    ) -> None:
        self.patience: Patience = patience or Patience()
        patience = self.patience
        self.is_reading: bool = is_connected
        self.is_steady: bool = False
        start = state or State.under(patience.sequence_policy)
        self._agenda = Agenda(now=now, total_seconds=patience.total_seconds)
        self._timers = self._agenda.timers
        self._reassembler = Reassembler(start, patience=patience, starting_after=starting_after)
        self._reassembler.is_background = is_background
        self._repairs = Repairs(self._agenda, self._reassembler, patience=patience, random=random, hide=hide)
        self._cancel = CancelTracker(self._agenda, patience=patience, random=random, seconds=patience.cancel_seconds)
        self._cancel.receive_background(is_background)
        self._is_connecting = not is_connected
        self._ending = Conclusion(self._repairs, self._cancel, hide=hide, close=self._end_connection)
        self._ending.response_id = response_id
        self._stall = StallTimer(self._repairs)
        if start.is_terminal:
            self._ending.conclude(OutcomeStatus.of(start), Proof.TERMINAL_EVENT)
        elif not is_connected:
            self._agenda.add(self._repairs.connect)

    # What a driver asks

    @property
    def outcome(self) -> Outcome | None:
        """How the response ended; None while it is open."""
        return self._ending.outcome

    @property
    def response_id(self) -> str | None:
        """The response's id; None until it has arrived."""
        return self._ending.response_id

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
        if self.outcome is None and self._is_connecting:  # else it was given up
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
        self._take_id()
        if applied:
            self._ending.lost = ""
            self._timers.drop(Timer.GAP)  # that gap is filled; another one has its own time
            if reassembler.has_progressed:
                self._stall.end()
                self._repairs.policy.progress()
            if reassembler.state.is_terminal:
                self._ending.compare([before, *(each.state for each in applied)][-2], reassembler.state)
                self._ending.take(OutcomeStatus.of(reassembler.state), may_follow=self.is_reading)
                return
        if reassembler.state.is_foreign:
            self._fail_stream(CallFailure("another response began in its stream", max_attempts=2))
            return
        self._watch_gap()
        is_idle = not (self._timers or self._agenda.has_calls or reassembler.has_gap)
        self.is_steady = is_idle and reassembler.has_progressed and self.response_id is not None

    def _take_id(self, response: bytes = b"") -> bool:
        """The id may have arrived, in the stream or in a Response: a cancel waits for it. Returns whether it is known."""
        if response:
            self._reassembler.introduce(response)
        if self.response_id is None and self._reassembler.response_id is not None:
            self._ending.response_id = self._reassembler.response_id
            self._cancel.send()
        return self.response_id is not None

    def receive_eof(self, *, now: float) -> None:
        """The stream ended, cleanly as far as HTTP can say."""
        self._agenda.now = now
        if not self.is_reading:
            return
        self.is_reading = self.is_steady = False
        self._ending.stop_reading_on()
        self._cancel.receive_end()
        self._ending.reconsider()
        if self.outcome is not None or self._reassembler.state.is_terminal:
            return
        if self._reassembler.hole is not None:
            self._give_up_gap()  # what is missing does not come any more
        elif self._reassembler.has_progressed or not self._ending.accept(self._reassembler.end_out_of_turn):
            self._fail_stream(CallFailure("the stream ended before its terminal event", max_attempts=2))

    def receive_answer(self, call: Call, answer: Answer, *, now: float) -> None:
        """A call was answered; a Connect with something other than a stream."""
        self._receive_result(call, answer, now)

    def receive_failure(self, call: Call, reason: str, *, now: float) -> None:
        """A call brought no answer, or the stream that a Connect opened broke."""
        has_answered = isinstance(call, Connect) and self.is_reading
        self._receive_result(call, CallFailure(reason, is_outage=not has_answered), now)

    def _receive_result(self, call: Call, result: Answer | CallFailure, now: float) -> None:
        self._agenda.now = now
        if self.outcome is not None:
            return
        self.is_steady = False
        self._cancel.receive_background(self._reassembler.is_background)
        match call:
            case Cancel():
                if self._cancel.receive_result(result):
                    self._ending.reconsider()
            case Retrieve():
                self._agenda.end_retrieve()
                self._receive_retrieved(result)
            case _:
                self._ending.stop_reading_on()
                if self._end_connection() and not self._reassembler.is_over:
                    self._receive_no_stream(result)

    def receive_final(self, body: bytes, *, now: float) -> None:
        """Another process that followed the response to its end reports its final Response."""
        self._agenda.now = now
        self._ending.take_final(read_retrieved(Answer(200, body=body), self._reassembler.state))

    def receive_time(self, *, now: float) -> None:
        """Time has passed: it is `now`. Do what is due."""
        for timer in self._agenda.due(now):
            if timer in {Timer.GAP, Timer.TOTAL}:
                self._ending.stop_reading_on()
            if self.outcome is None:
                self._fall_due(timer)

    def receive_cancel(self, *, now: float) -> None:
        """The caller wants the response cancelled. A second request changes nothing."""
        self._agenda.now = now
        if self._ending.is_reading_on:
            self._cancel.request_late(is_proven=True)
            self._ending.stop_reading_on()
        elif self.outcome is not None:
            self._cancel.request_late(is_proven=self.outcome.proof is not None)
        elif self._cancel.request():
            self.is_steady = False
            self._cancel.receive_background(self._reassembler.is_background)
            if self.response_id is not None:  # else it is sent once the stream says the id
                self._cancel.send()

    def receive_stopped_reading(self, *, now: float) -> None:
        """The caller stops reading, but still wants the result of its cancel."""
        self._agenda.now = now
        self._ending.stop_reading_on()
        self._end_connection()
        self._cancel.receive_stopped_reading()
        self._ending.reconsider()

    def receive_notice(self, *, now: float) -> None:
        """Another source, such as a webhook, reports that the status changed: a pending GET is made at once."""
        self._agenda.now = now
        if self.outcome is None and not self.is_reading and self.response_id is not None and self._ending.can_ask:
            self._timers.drop(Timer.POLL)
            self._agenda.retrieve()

    def receive_leave(self, *, now: float, reason: str = "the caller disconnected before its end") -> None:
        """The caller disconnects. The response may continue without us; a cancel has the result that is known by now."""
        self._agenda.now = now
        self._ending.stop_reading_on()
        if self.outcome is None:
            self._cancel.receive_deadline()
            self._ending.reconsider()
        if self.outcome is None:
            self._ending.conclude(OutcomeStatus.ABANDONED, None, reason=reason)

    # The stream

    def _watch_gap(self) -> None:
        """A missing event may only be late: wait a little, and hold what came after it."""
        if not self._reassembler.has_gap or self.response_id is None:
            return  # without the id no repair is possible, but the stream may still bring it
        if self._reassembler.is_full:
            self._fall_due(Timer.GAP)
        else:
            self._timers.setdefault(Timer.GAP, self._agenda.now + self.patience.gap_seconds)

    def _give_up_gap(self) -> None:
        """What is missing did not come: ask for it in every way, and believe a hole that is there in each."""
        if self._repairs.believe_hole():
            self._stall.end()
            if self.is_reading:
                return  # what is held follows with the next bytes
        missing = f"an event is missing after {self._reassembler.after}"
        self._fail_stream(CallFailure(missing, max_attempts=self._repairs.gap_attempts))

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
        is_alone = not self._has_stream and not self._cancel.is_settling
        if self._stall.is_decided_now and not self._cancel.has_left:
            self._ending.stall(self._stall.reason(failure.reason))
        elif self._cancel.has_left or not (self._ending.can_ask or is_alone):
            self._ending.reconsider()
        elif is_alone:
            self._repairs.policy.fail(RepairKind.RETRIEVE, failure)
            self._repair(failure)
        elif self._cancel.wants_proof:
            self._timers[Timer.POLL] = self._agenda.now + max(failure.retry_after_seconds, self.patience.poll_seconds)

    def _repair(self, failure: CallFailure) -> None:
        self._timers.drop(Timer.GAP)
        if self._cancel.is_settling or self._cancel.has_left:
            return  # the GET that checks its end says whether there is anything left to repair
        if self.response_id is None:
            self._ending.lose(f"{failure.reason}; the stream never said the response's id")
        elif self._repairs.begin_next(failure):
            self._stall.begin()
        else:
            self._ending.lose(failure.reason)

    def _receive_no_stream(self, result: Answer | CallFailure) -> None:
        if not (isinstance(result, Answer) and result.is_success and result.is_json):
            self._fail_stream(read_no_stream(result, trying=self._repairs.trying))
            return
        if self.response_id is not None:
            self._repairs.refuse_streams(ITSELF)
        elif self._take_id(result.body):  # the answer to a POST says nothing about the streams of a GET
            self._repairs.open_at_once(ITSELF)
        self._receive_retrieved(result, is_stream=True)

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
        elif isinstance(read, StillOpen) and self.response_id is None:
            self._repair(CallFailure(ITSELF))
        elif isinstance(read, StillOpen):
            if not is_stream:  # which may have been asked for long ago
                self._cancel.receive_running(asked_at=self._agenda.asked_at)
            self._keep_asking(read)
            self._cancel.receive_background(read.is_background)
            self._ending.reconsider()
        else:
            self._ending.take_retrieved(read, is_final=is_stream and not self._cancel.is_requested)

    @property
    def _has_stream(self) -> bool:
        """Whether a stream is open, will be, or has brought the end: a GET is then only made beside it."""
        has_end = self._reassembler.is_over or self._ending.final.is_terminal
        return self.wants_stream or Timer.CONNECT in self._timers or has_end

    def _keep_asking(self, found: StillOpen) -> None:
        """The Response still runs: try its stream again if that may work, and ask again later."""
        self._timers.drop(Timer.POLL)  # it was asked just now
        self._ending.lost = ""  # a gateway that answers this can be asked again
        if self._cancel.has_left:
            return
        if self._stall.is_stalled(found, is_reading=self.is_reading):
            self._ending.stall(self._stall.reason(f"the Response stays {found.status}, and its connection is gone"))
            return
        if not self._has_stream:
            self._repairs.reopen(found.status)
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
                self._ending.reconsider()
            case Timer.GAP if not self._reassembler.believe():
                self._give_up_gap()
            case Timer.STALLED if self._stall.can_be_decided():
                self._agenda.retrieve()
            case Timer.STALLED:
                self._ending.stall(self._stall.reason())
            case Timer.TOTAL:
                self._timers.drop(Timer.CANCEL_DEADLINE)
                self._ending.lose(f"it did not end within {self.patience.total_seconds:g} s")
            case _:
                pass
