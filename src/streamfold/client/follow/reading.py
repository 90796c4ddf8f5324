"""Ways to read a followed response: its events, a state after each, or its text as it grows.

In      a response that is followed
Out     Readable, of which it is made; States, Text: each to be iterated once
Units   events; characters
Errors  none of its own
Source  docs/reference/client.md

Classes, not generators: a generator that is left in the middle must be closed by its loop, and trio warns of it.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

from streamfold.fold import State
from streamfold.schema import ContentPartDone, Event, OutputItemDone, OutputTextDelta, OutputTextDone
from streamfold.session import Applied

__all__ = ["Readable", "States", "Text", "take_all"]


class Readable(ABC):
    """What a reader has of a followed response. One at a time: each event is given once.

    kept: what was taken in, and waits for the reader's turn. given: the state after the last event that was given.
    is_iterated: whether anybody wants the events, and not the outcome alone.
    """

    def __init__(self) -> None:
        self.kept: deque[Applied] = deque()
        self.given: State = State()
        self.is_iterated: bool = False

    @property
    @abstractmethod
    def state(self) -> State:
        """The state after the last event that was given to the reader; at the end the final one."""

    @property
    @abstractmethod
    def has_ended(self) -> bool:
        """Whether nothing more comes, and nothing is kept for the reader."""

    @abstractmethod
    async def read(self) -> Sequence[Applied]:
        """Take in one more chunk, or wait until something else changed. Returns: what it brought; often nothing."""

    def __aiter__(self) -> "Readable":
        self.is_iterated = True
        return self

    async def __anext__(self) -> Event:
        """The next event, each once, in order. Ends when the outcome is there."""
        self.is_iterated = True
        kept = self.kept
        while not kept:
            applied = await self.read()
            if not applied and self.has_ended:
                raise StopAsyncIteration
            kept.extend(applied)
        one = kept.popleft()
        self.given = one.state
        return one.event

    async def next_applied(self) -> Sequence[Applied]:
        """All that was applied since the last time, waiting for at least one; empty at the end."""
        self.is_iterated = True
        applied: Sequence[Applied] = ()
        while not applied and not self.has_ended:
            applied = take_all(self.kept) if self.kept else await self.read()
        self.given = applied[-1].state if applied else self.given
        return applied

    def states(self, *, coalesced: bool = False) -> "States":
        """A state after each event, and the final one.

        coalesced: give a slow reader the newest state each time, and none that is older than another he could have.
        """
        self.is_iterated = True
        return States(self, coalesced=coalesced)

    def text(self) -> "Text":
        """The output text, as it comes: joined, it is the final state's `output_text`."""
        self.is_iterated = True
        return Text(self)


def take_all(kept: deque[Applied]) -> Sequence[Applied]:
    """What is kept, which is kept no longer."""
    taken = tuple(kept)
    kept.clear()
    return taken


class States:
    """A state after each event; the final one last, whoever told it."""

    def __init__(self, response: Readable, *, coalesced: bool) -> None:
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
        one = take_all(kept)[-1] if self._is_coalesced else kept.popleft()
        self._last = response.given = one.state
        return self._last


# Text that no delta brought comes whole, with one of these.
WHOLE_TEXT = (OutputTextDone, ContentPartDone, OutputItemDone)


class Text:
    """Pieces of the output text, as they come; whatever only a later event or the end told comes with that."""

    def __init__(self, response: Readable) -> None:
        self._response = response
        self._ready: deque[str] = deque()
        self._given: list[str] = []
        self._is_ended = False

    def __aiter__(self) -> "Text":
        return self

    async def __anext__(self) -> str:
        response = self._response
        kept = response.kept
        while not self._ready:
            if self._is_ended:
                raise StopAsyncIteration
            while not kept and not response.has_ended:
                kept.extend(await response.read())
            if kept:
                self._take(kept.popleft())
            else:
                self._is_ended = True
                self._catch_up(response.state)
        return self._ready.popleft()

    def _take(self, one: Applied) -> None:
        self._response.given = one.state
        if type(one.event) is OutputTextDelta:
            self._give(one.event.delta)
        elif isinstance(one.event, WHOLE_TEXT):
            self._catch_up(one.state)

    def _give(self, piece: str) -> None:
        if piece:
            self._given.append(piece)
            self._ready.append(piece)

    def _catch_up(self, state: State) -> None:
        """Give what the state has beyond what was given. Text that changed behind us cannot be taken back."""
        text, given = state.output_text, "".join(self._given)
        self._given = [given]
        if len(text) > len(given) and text.startswith(given):
            self._give(text[len(given) :])
