"""One response, followed to its end: facts go in with their time, events and actions come out.

In      what happened: connected, chunk, end of stream, answer, failure, time, a cancel asked for
Out     events with the state after each; actions for the shell; at the end one Outcome
Units   seconds of any clock that only goes forward; sequence numbers
Errors  none for anything that a peer sent: it is recorded, and answered with actions
Source  docs/explanation/repair.md and docs/explanation/cancel.md

Pure: no I/O, no clock, no chance. `receive_*` tells what happened; `receive_chunk` gives the events that were new, and
`actions` says what to do.
"""

from collections.abc import Callable

from streamfold.errors import FrameTooLarge
from streamfold.fold import State, adopt
from streamfold.schema import ResponseEvent
from streamfold.session.action import Call, Connect
from streamfold.session.answer import Answer
from streamfold.session.cancelling import Cancelling
from streamfold.session.compaction import lacks_text
from streamfold.session.following import Following
from streamfold.session.intake import Applied, Intake
from streamfold.session.ladder import Ladder
from streamfold.session.outcome import CancelResult, Conflict, Outcome, OutcomeStatus, Proof, Repair, RepairKind
from streamfold.session.patience import Patience
from streamfold.session.reconcile import Conclude
from streamfold.session.timer import Timer
from streamfold.session.verdict import STREAMS, Setback, StillOpen, read_no_stream, read_retrieved

__all__ = ["Session"]

FOREGROUND = "a foreground response can only be left: it may go on at the gateway, and be billed"


class Session(Following):
    """Follow one response.

    is_reading: whether the stream is open. is_steady: whether events are all that its next chunk brings: nothing is
    to be done, and nothing is waited for.
    response_id: None where the stream itself will tell it, as that of a POST. starting_after: the number to follow
    from, without a state before it. state: where to go on from. is_connected: whether the stream is already open.
    chance: gives a random number in [0, 1) for each wait. now: the time at which it begins.
    """

    def __init__(
        self,
        response_id: str | None = None,
        *,
        chance: Callable[[], float],
        now: float,
        starting_after: int | None = None,
        state: State | None = None,
        patience: Patience | None = None,
        is_connected: bool = False,
    ) -> None:
        super().__init__(patience=patience, chance=chance, now=now)
        self.response_id = response_id
        self.outcome: Outcome | None = None
        self.repairs: tuple[Repair, ...] = ()
        self.is_reading: bool = is_connected
        self.is_steady: bool = False
        start = state or State.under(self.patience.sequence_policy)
        self._intake = Intake(start, patience=self.patience, starting_after=starting_after)
        self._final = start  # the state, once a Response from outside the stream was adopted
        self._ladder = Ladder(self.patience.max_attempts)
        self._trying = RepairKind.RESUME if self._intake.can_resume else RepairKind.REPLAY
        if not is_connected:
            self._actions = [self._connection]
        self._is_connecting = not is_connected
        self._compacted: tuple[int | None] | None = None
        self._asked_until = now  # before then the gateway wants no connection
        if start.is_terminal:
            self._conclude(OutcomeStatus(start.status or ""), Proof.TERMINAL_EVENT)

    # What the shell asks

    @property
    def state(self) -> State:
        """All that is known now."""
        return self._intake.state if self.outcome is None else self.outcome.state

    # Facts

    def receive_connected(self, *, now: float) -> None:
        """The stream answered, and its bytes come next."""
        self._now = now
        if self.outcome is None:
            self.is_reading, self._is_connecting, self.is_steady = True, False, False
            self._timers.drop(Timer.CONNECT)
            self._intake.begin(is_replay=self._trying is RepairKind.REPLAY)
            if self._cancelling is not None:
                self._cancelling.receive_end(has_ended=False)

    def receive_chunk(self, chunk: bytes, *, now: float) -> list[Applied]:
        """Bytes of the stream, cut anywhere. Returns: what they brought that is new, in order."""
        self._now = now
        if not self.is_reading:
            return []
        intake = self._intake
        before, had_progressed = intake.state, intake.has_progressed
        try:
            applied = intake.feed(chunk)
        except FrameTooLarge as error:
            self._fail_stream(str(error), most=1)
            return []
        if self.is_steady and intake.is_plain and not intake.is_over:
            return applied
        if self.response_id is None and intake.response_id is not None:
            self.response_id = intake.response_id
            self._send_cancel()
        if applied:
            if not had_progressed:
                self._ladder.progress()
                self._timers.drop(Timer.STALLED)
                self._lost = ""
            if self._timers:
                self._timers.drop(Timer.GAP)  # that hole is filled; another one has its own time
            if intake.state.is_terminal:
                self._receive_terminal(applied[-2].state if len(applied) > 1 else before)
                return applied
        if intake.has_gap:
            self.is_steady = False
            self._watch_gap()
        else:
            is_known = intake.has_progressed and self.response_id is not None
            self.is_steady = is_known and not self._timers and not self._actions
        return applied

    def receive_eof(self, *, now: float) -> None:
        """The stream ended, cleanly as far as HTTP can tell."""
        self._now = now
        if not self.is_reading:
            return
        self.is_reading = self.is_steady = False
        if self._cancelling is not None:
            self._cancelling.receive_end()
            self._reconsider()
        if self.outcome is not None or self._intake.state.is_terminal:
            return
        if self._intake.has_progressed or not self._accept_end(self._intake.end_out_of_turn):
            self._fail_stream("the stream ended before its terminal event", most=2)

    def receive_cancel(self, *, now: float) -> None:
        """The caller wants the response cancelled. A second wish changes nothing."""
        self._now = now
        if self.outcome is not None:
            self._answer_late_cancel(is_proven=self.outcome.proof is not None)
        elif self._cancelling is None:
            self.is_steady = False
            self._cancelling = Cancelling()
            self._send_cancel()

    def receive_hang_up(self, *, now: float) -> None:
        """The caller reads no further, though what a cancel comes to is still asked for."""
        self._now = now
        self._end_connection()
        self._timers.drop(Timer.CONNECT, Timer.GAP)
        if self._cancelling is not None:
            self._cancelling.receive_end()
            self._reconsider()

    def receive_notice(self, *, now: float) -> None:
        """Word came from elsewhere, as by a webhook, that the status changed: a GET need not wait any longer."""
        self._now = now
        if self.outcome is None and not self.is_reading and self.response_id is not None and self._can_ask:
            self._timers.drop(Timer.POLL)
            self._retrieve()

    def receive_leave(self, *, now: float, reason: str = "it was left before its end") -> None:
        """The caller goes. The response may go on without us; of a cancel, what is known by now has to do."""
        self._now = now
        if self._cancelling is not None and self.outcome is None:
            self._cancelling.receive_time_up()
            self._reconsider()
        if self.outcome is None:
            self._conclude(OutcomeStatus.ABANDONED, None, reason=reason)

    # The stream

    def _receive_terminal(self, before: State) -> None:
        self._timers.drop(Timer.GAP)
        if self._intake.floor is None:  # else nothing is known of what the caller has
            self._note_compaction(before, self._intake.state)
        self._take_end(OutcomeStatus(self._intake.state.status or ""))

    def _accept_end(self, event: ResponseEvent | None) -> bool:
        """A terminal event whose turn never comes: its Response is the last word. Returns: whether there was one."""
        if event is None:
            return False
        self._timers.drop(Timer.GAP)
        self._adopt(self._intake.adopted(event))
        self._take_end(OutcomeStatus(self._final.status or ""))
        return True

    def _take_end(self, status: OutcomeStatus) -> None:
        if self._cancelling is None or not self._cancelling.attempts:  # it ended before a cancel could be sent
            self.cancel_result = None if self._cancelling is None else CancelResult.ALREADY_TERMINAL
            self._conclude(status, Proof.TERMINAL_EVENT)
        else:
            self._cancelling.receive_event(status)
            self._reconsider()

    def _watch_gap(self) -> None:
        """An event that is missing may only be late: wait a little, with what came after it held."""
        if self.response_id is None:
            return  # nothing can be repaired without it: what is left of the stream may yet tell it, and the end
        if self._intake.is_full:
            self._fall_due(Timer.GAP)
        else:
            self._timers.setdefault(Timer.GAP, self._now + self.patience.gap_seconds)

    # Repairs

    def _fail_stream(self, reason: str, *, asked: float = 0.0, most: int | None = None) -> None:
        """The stream is no more. most: where more attempts than so many are no use."""
        self.is_reading = self.is_steady = False
        if not self._intake.has_progressed:
            self._ladder.fail(self._trying, most=most)
        self._mend(reason, asked=asked)

    def _mend(self, reason: str, *, asked: float = 0.0) -> None:
        """Take the next step of the ladder, after a wait."""
        self._timers.drop(Timer.GAP)
        kind = self._ladder.next(can_resume=self._intake.can_resume)
        if kind is None or self.response_id is None:
            self._lose(reason if self.response_id else f"{reason}; the response's id was never told")
        else:
            asked = max(asked, self._intake.reconnection_seconds)
            self._asked_until = self._now + self.patience.backoff.seconds(0, chance=0.0, asked=asked)
            wait = self.patience.backoff.seconds(self._ladder.attempts(kind), chance=self._chance(), asked=asked)
            self._timers.setdefault(Timer.STALLED, self._now + self.patience.stalled_seconds)
            self._step(kind, reason, wait)

    def _step(self, kind: RepairKind, reason: str, wait: float) -> None:
        self._note_repair(kind, reason)
        self._intake.has_progressed = False
        if kind is RepairKind.RETRIEVE:
            self._timers[Timer.POLL] = self._now + wait
        else:
            self._trying = kind
            self._timers[Timer.CONNECT] = max(self._now + wait, self._asked_until)

    def _note_repair(self, kind: RepairKind, reason: str) -> None:
        self.repairs += (Repair(kind, reason, self._intake.after, self._now),)

    def _fail_connect(self, reason: str) -> None:
        if self._end_connection() and not self._intake.is_over:
            self._fail_stream(reason)

    def _receive_connect_answer(self, answer: Answer) -> None:
        if self._end_connection():
            self._receive_no_stream(answer)

    def _end_connection(self) -> bool:
        """The connection is no more. Returns: whether there was one, or one on its way."""
        was_there = self.is_reading or self._is_connecting
        self.is_reading = self._is_connecting = self.is_steady = False
        return was_there

    def _receive_no_stream(self, answer: Answer) -> None:
        """Something else than a stream came where a stream was asked for."""
        if answer.is_success and answer.is_json:  # the Response itself: this gateway does not stream it
            self._ladder.refuse(*STREAMS)
            self._note_repair(RepairKind.RETRIEVE, "the gateway answered with the Response itself")
            self._receive_retrieved(answer)
            return
        setback = read_no_stream(answer, trying=self._trying)
        self._ladder.refuse(*setback.refused)
        self._fail_stream(setback.reason, asked=setback.asked_seconds, most=setback.most)

    def _receive_retrieved(self, answer: Answer) -> None:
        read = read_retrieved(answer, self._intake.state)
        if isinstance(read, Setback):
            self._ladder.refuse(*read.refused)
            if read.refused:
                self._timers.drop(Timer.POLL)
            if self._ladder.next(can_resume=True) is None:
                self._timers.drop(Timer.CONNECT)
            self._fail_retrieve(read.reason, asked=read.asked_seconds)
        elif isinstance(read, StillOpen):
            self._keep_asking(read.status)
            if self._cancelling is not None:
                self._cancelling.receive_background(read.is_background)
                self._reconsider()
        elif self._cancelling is not None:
            self._cancelling.receive_retrieved(OutcomeStatus(read.state.status or ""), read.body)
            self._reconsider()
        else:
            self._adopt(read.state)
            self._conclude(OutcomeStatus(read.state.status or ""), Proof.RETRIEVED)

    @property
    def _has_stream(self) -> bool:
        """Whether a stream is open, will be, or has told the end: a GET is then only asked beside it."""
        is_coming = self._is_connecting or Timer.CONNECT in self._timers
        return self.is_reading or is_coming or self._intake.is_over or self._final.is_terminal

    def _keep_asking(self, status: str) -> None:
        """The Response still runs: go on with its stream where one may yet be had, and ask again later."""
        wait = self.patience.poll_seconds
        self._timers.drop(Timer.STALLED, Timer.POLL)  # what runs is not stalled; and it was asked just now
        self._lost = ""  # and whoever tells so can be asked again
        if not self._has_stream:
            self._ladder.give_another_try()
            kind = self._ladder.next(can_resume=self._intake.can_resume)
            if kind is not None and kind in STREAMS:
                self._step(kind, f"the Response is {status}", wait)
        if not self._has_stream or (self._cancelling is not None and self.cancel_result is None):
            self._timers[Timer.POLL] = self._now + wait

    def _fail_retrieve(self, reason: str, *, asked: float = 0.0) -> None:
        if not self._has_stream:
            self._ladder.fail(RepairKind.RETRIEVE)
            self._mend(reason, asked=asked)
        elif self._cancelling is not None and self._ladder.is_refused(RepairKind.RETRIEVE):
            self._reconsider()
        elif self._cancelling is not None and self.cancel_result is None:
            self._timers[Timer.POLL] = self._now + max(asked, self.patience.poll_seconds)

    # A cancel, time, and the end

    def _send_cancel(self, *, seconds: float | None = None) -> None:
        if self.response_id is not None:  # else it is sent once the stream told the id
            super()._send_cancel(seconds=seconds)

    @property
    def _is_background(self) -> bool | None:
        return self._intake.is_background

    @property
    def _is_over(self) -> bool:
        return self.outcome is not None

    @property
    def _can_ask(self) -> bool:
        return not self._ladder.is_refused(RepairKind.RETRIEVE)

    def _conclude_cancel(self, verdict: Conclude, body: bytes) -> None:
        if verdict.proof in {Proof.RETRIEVED, Proof.CANCEL_ANSWER}:
            self._adopt(adopt(self._intake.state, body))
        reason = "" if verdict.proof else FOREGROUND
        self._conclude(verdict.status, verdict.proof, conflicts=verdict.conflicts, reason=reason)

    def _conclude_lost(self, reason: str) -> None:
        if not self._accept_end(self._intake.any_end):
            self._conclude(OutcomeStatus.LOST, None, reason=reason)

    def _call_of(self, timer: Timer) -> Call | None:
        return self._connection if timer is Timer.CONNECT else super()._call_of(timer)

    def _fall_due(self, timer: Timer) -> None:
        match timer:
            case Timer.CONNECT:
                self._is_connecting = True
                self._actions.append(self._connection)
            case Timer.GAP if not self._intake.believe():
                self._fail_stream(f"an event is missing after {self._intake.after}", most=2)
            case Timer.STALLED:
                self._lose(f"nothing new came for {self.patience.stalled_seconds:g} s")
            case _:
                super()._fall_due(timer)

    @property
    def _connection(self) -> Connect:
        return Connect(self._intake.after if self._trying is RepairKind.RESUME else None)

    def _adopt(self, state: State) -> None:
        """A Response that came outside the stream, or from beyond a hole, is the last word."""
        if not self._intake.state.is_terminal:
            self._note_compaction(self._intake.state, state)
        self._final = state

    def _note_compaction(self, before: State, after: State) -> None:
        if lacks_text(before, after):
            self._compacted = (self._intake.floor if before.cursor is None else before.cursor,)

    def _conclude(
        self, status: OutcomeStatus, proof: Proof | None, *, conflicts: tuple[Conflict, ...] = (), reason: str = ""
    ) -> None:
        self._end()
        adopted = self._final if self._final.is_terminal and proof is not None else self._intake.state
        self.outcome = Outcome(
            status=status,
            state=adopted,
            proof=proof,
            cancel=self.cancel_result,
            repairs=self.repairs,
            conflicts=conflicts,
            is_compacted=self._compacted is not None,
            compacted_after=self._compacted[0] if self._compacted else None,
            reason=reason,
        )
        self.is_reading = self.is_steady = False
