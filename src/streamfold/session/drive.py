"""What a session wants done, and the one driver that turns it into steps: in an event loop, a thread or virtual time."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from enum import Enum, auto
from math import inf
from typing import Protocol, TypeAlias

from attrs import frozen

from streamfold.session.outcome import Repair

# A session never waits and never calls. It puts actions into its `Agenda`, and `drive` yields them as steps. Every time
# is a second of the driver's own clock, which must only go forward.
#
# Theory of operation. `drive` is a generator, like httpx's `auth_flow`. It turns `session.actions()` into steps, and
# keeps the little that every driver would have to keep otherwise: whether a stream is open, and which repairs were
# reported. It takes no facts. Report what happened to the session itself, with its `receive_*` methods, and then ask
# the generator for the next step:
#
#     for step in drive(session):
#         match step:
#             case Connect():                # open the stream; the last one was closed by an earlier step
#                 ...                        # receive_connected, receive_chunk ..., receive_eof; or receive_failure/_answer
#             case Retrieve() | Cancel():    # send the request
#                 ...                        # receive_answer, or receive_failure
#             case Close():                  # close the stream, or stop opening it: the session reads it no more
#                 ...
#             case Repair():                 # tell your user that the stream is being repaired
#                 ...
#             case Wait(seconds):            # nothing to do until a fact arrives, or for this long (inf: until a fact)
#                 ...                        # receive_time
#
# A driver without tasks carries out each step to its end before it takes the next one. A driver with tasks starts a
# task for each call, leaves the loop at a `Wait`, and continues the same generator whenever it has reported a fact.
# Both are correct, because the generator looks at the session again before each step. It ends when the outcome is
# known, after a `Close` if a stream was open.
#
# The life of a session. Its state is where the response's bytes come from just now:
#
#     state        is_reading  connecting  timer     entered when
#     connecting       no         yes                it begins; a resume or replay is due
#     reading          yes        no                 the stream answered, or was open from the start
#     waiting          no         no       CONNECT   the stream broke; the next attempt has its time
#     polling          no         no       POLL      streams are refused or exhausted: GETs until a terminal status
#     over             no         no                 the outcome is known; no fact changes anything
#
#     connecting --receive_connected--> reading --receive_eof, receive_failure, a gap--> waiting --time--> connecting
#     any --only RETRIEVE is left--> polling --"it still runs", and a stream is worth another try--> waiting
#     any --a terminal event, a GET of what is over, a verdict on a cancel, nothing left to try--> over
#
# A cancel runs in parallel (`CancelTracker`) and never stops the stream: both bring evidence, and a verdict may end the
# session in any state. Until a cancel is proven, GETs are made while a stream is open, too.
#
# Every failure goes one way: `_fail_stream` or `_fail_retrieve` counts it, `_repair` asks `Repairs` for the next step,
# and `_lose` ends the session when no step is left, unless the answer to a cancel may still report the end.

# Actions


@frozen
class Connect:
    """Open the stream, after closing the one that is open.

    starting_after: The cursor to resume after; None for the whole stream.
    """

    starting_after: int | None = None


@frozen
class Retrieve:
    """GET the Response (or the Batch), without its stream."""


@frozen
class Cancel:
    """POST the cancel."""


@frozen
class Wait:
    """Call `receive_time` if nothing else happens for this many seconds.

    An action listed after a Wait is a preview: it will be due when the time is up. Do not carry it out yet.
    """

    seconds: float


@frozen
class Finish:
    """Close whatever is open: the outcome is known."""


Call: TypeAlias = Connect | Retrieve | Cancel
Action: TypeAlias = Call | Wait | Finish


# The driver


@frozen
class Close:
    """Close the stream that is open, or stop opening it."""


Step: TypeAlias = Call | Close | Repair | Wait


class Drivable(Protocol):
    """What `drive` needs of a session: `Session` and `BatchSession` have it."""

    @property
    def outcome(self) -> object: ...

    @property
    def is_reading(self) -> bool: ...

    @property
    def wants_stream(self) -> bool: ...

    @property
    def repairs(self) -> Sequence[Repair]: ...

    def actions(self) -> list[Action]: ...


def drive(session: Drivable) -> Generator[Step, None, None]:
    """Yield the steps that follow a session to its outcome; see the module's text for how to carry them out.

    Args:
        session: The session, new; if it `is_reading` already, its stream is open.
    """
    is_open, reported = session.is_reading, 0
    while True:
        for repair in session.repairs[reported:]:
            reported += 1
            yield repair
        if is_open and not session.wants_stream:
            is_open = False
            yield Close()
        if session.outcome is not None:
            return
        for step in _next_steps(session.actions()):
            if isinstance(step, Connect):
                if is_open:
                    yield Close()
                is_open = True
            yield step
            if session.outcome is not None:  # a driver without tasks learned the end from this call
                break


def _next_steps(actions: Sequence[Action]) -> list[Call | Wait]:
    """The calls to make now, or else the wait."""
    steps: list[Call | Wait] = []
    for action in actions:
        if isinstance(action, Wait):
            return steps or [action]
        if not isinstance(action, Finish):
            steps.append(action)
    return steps or [Wait(inf)]


# What a session keeps its actions in


class Timer(Enum):
    """Everything that a session may wait for."""

    CONNECT = auto()
    POLL = auto()
    CANCEL = auto()
    GAP = auto()
    CANCEL_GRACE = auto()
    CANCEL_DEADLINE = auto()
    STALLED = auto()
    TOTAL = auto()


# What falls due with a timer, where that is a call.
CALLS: Mapping[Timer, Call] = {Timer.POLL: Retrieve(), Timer.CANCEL: Cancel()}


class Timers(dict[Timer, float]):
    """When each timer falls due. A timer that is not in it is not running."""

    @property
    def first(self) -> Timer | None:
        """The timer that falls due first."""
        return min(self, key=self.__getitem__) if self else None

    @property
    def first_at(self) -> float | None:
        """When the first timer falls due."""
        return min(self.values()) if self else None

    def drop(self, *timers: Timer) -> None:
        """Stop these timers, if they run."""
        for timer in timers:
            self.pop(timer, None)

    def bring_forward(self, timer: Timer, until: float) -> None:
        """Let a running timer fall due at `until` at the latest."""
        if timer in self:
            self[timer] = min(until, self[timer])

    def take_due(self, now: float) -> Timer | None:
        """Stop and return the timer that fell due first; None if no timer is due."""
        first = self.first
        if first is None or self[first] > now:
            return None
        del self[first]
        return first


class Agenda:
    """The actions and timers of one session.

    now: The time of the last fact. Timers are set relative to it.
    asked_at: When the last GET was asked for.
    """

    def __init__(self, *, now: float, total_seconds: float | None) -> None:
        self.now: float = now
        self.timers: Timers = Timers()
        self._actions: list[Action] = []
        self._reported_first_at: float | None = None
        self._is_retrieving = False
        self.asked_at: float = now
        if total_seconds is not None:
            self.timers[Timer.TOTAL] = now + total_seconds

    @property
    def has_calls(self) -> bool:
        """Whether a call waits to be made."""
        return bool(self._actions)

    @property
    def has_news(self) -> bool:
        """Whether `take` would return something that it has not returned before."""
        return bool(self._actions) or self.timers.first_at != self._reported_first_at

    def add(self, action: Action) -> None:
        """Have this done next."""
        self._actions.append(action)

    def retrieve(self) -> None:
        """Have a GET made, unless one is on its way: two at once could be answered in either order."""
        if not self._is_retrieving:
            self._is_retrieving = True
            self.asked_at = self.now
            self._actions.append(Retrieve())

    def end_retrieve(self) -> None:
        """The GET was answered, or it failed."""
        self._is_retrieving = False

    def take(self, connect: Connect | None = None) -> list[Action]:
        """Return what to do now, each action once, and the wait for the first timer.

        Args:
            connect: What the CONNECT timer will lead to. The call of the first timer is listed after the Wait.
        """
        actions, self._actions = self._actions, []
        self._reported_first_at = self.timers.first_at
        if (timer := self.timers.first) is not None:
            actions.append(Wait(max(0.0, self.timers[timer] - self.now)))
            call = connect if timer is Timer.CONNECT else CALLS.get(timer)
            actions += [] if call is None else [call]
        return actions

    def due(self, now: float) -> Iterator[Timer]:
        """Stop and yield each timer that fell due, in order, those included that a due timer sets."""
        self.now = now
        while (timer := self.timers.take_due(now)) is not None:
            yield timer

    def finish(self) -> None:
        """The outcome is known: stop every timer, and drop every call that was not made."""
        self.timers.clear()
        self._actions = [Finish()]
