"""Ways to read a followed response: a state after each event, or its text as it grows."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from streamfold.client.misuse import AsyncOnly
from streamfold.errors import TextChanged
from streamfold.fold import State, TextGrowth
from streamfold.schema import Event
from streamfold.session import Applied, Outcome

# These are classes and not generators: a generator that is left in the middle must be closed by its event loop, and trio
# warns of that.


REPLACED = "a later event replaced text that was already delivered"
UNPLACED = "it came only with the end, and nobody can say which of it comes after the cursor"


class Source(Protocol):
    """What a reader needs of a followed response."""

    given: State
    kept: deque[Applied]

    @property
    def state(self) -> State:
        """The state after the last event that was delivered; at the end the final one."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come, and nothing is kept for the reader."""
        ...

    @property
    def read(self) -> Callable[[], Awaitable[Sequence[Applied]]]:
        """Reads one more chunk, or waits until something else changed."""
        ...

    async def outcome(self) -> Outcome:
        """How it ended."""
        ...


class States(AsyncOnly):
    """A state after each event; the final one last, wherever it came from."""

    usage = "use `async for state in response.states()`"

    def __init__(self, response: Source, *, coalesced: bool) -> None:
        self._response = response
        self._is_coalesced = coalesced
        self._last: State | None = None

    def __aiter__(self) -> "States":
        return self

    async def __anext__(self) -> State:
        response = self._response
        kept = response.kept
        while not kept:
            applied = await response.read()
            if len(applied) == 1 or (applied and self._is_coalesced):  # it need not wait for its turn
                self._last = response.given = applied[-1].state
                return self._last
            if applied:
                kept.extend(applied)
            elif response.has_ended:
                if response.state is self._last:
                    raise StopAsyncIteration
                self._last = response.state
                return self._last
        if self._is_coalesced:
            self._last = response.given = kept[-1].state
            kept.clear()
        else:
            self._last = response.given = kept.popleft().state
        return self._last


class Text(AsyncOnly):
    """Pieces of the output text, as they arrive. Text that no delta brought comes with the first event that holds it.

    Args:
        response: The response.
        growth: What turns its states into pieces; it has taken the state before the first event.
        strict: Whether to raise at the end if the pieces are not the whole answer.
    """

    usage = "use `async for piece in response.text()`"

    def __init__(self, response: Source, growth: TextGrowth, *, strict: bool = True) -> None:
        self._response = response
        self._growth = growth
        self._is_strict = strict
        self._is_ended = False

    @property
    def has_changed(self) -> bool:
        """Whether a later event replaced text that was already delivered, so that the pieces do not add up."""
        return self._growth.has_changed

    def __aiter__(self) -> "Text":
        return self

    async def __anext__(self) -> str:
        response, growth = self._response, self._growth
        kept = response.kept
        while not self._is_ended:
            event: Event | None = None
            if kept:
                one = kept.popleft()
                event, state = one.event, one.state
                response.given = state
            elif response.has_ended:
                self._is_ended = True
                state = response.state
            else:
                kept.extend(await response.read())
                continue
            if piece := growth.take(state, event):
                return piece
        if self._is_strict:
            self._is_strict = False  # it is raised once
            await self._raise_if_bad()
        raise StopAsyncIteration

    async def _raise_if_bad(self) -> None:
        outcome = await self._response.outcome()
        outcome.raise_for_status()
        if self.has_changed:
            reason = REPLACED if self._growth.given else UNPLACED
            raise TextChanged(outcome.response_id, str(outcome.status), reason)
