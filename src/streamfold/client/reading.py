"""Ways to read a followed response: a state after each event, or its text as it grows.

In      a response that is followed
Out     States, Text: each to be iterated once
Units   events; characters
Errors  none of its own
Source  docs/reference/client.md

Classes, not generators: a generator that is left in the middle must be closed by its loop, and trio warns of it.
"""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from streamfold.fold import State
from streamfold.schema import ContentPartDone, OutputItemDone, OutputTextDelta, OutputTextDone
from streamfold.session import Applied

__all__ = ["Followed", "States", "Text", "take_all"]


class Followed(Protocol):
    """What is used of a followed response. given: the state after the last event that was handed to its reader."""

    given: State

    @property
    def state(self) -> State:
        """The newest state."""
        ...

    @property
    def kept(self) -> deque[Applied]:
        """What another task took in for the reader."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes, and nothing is kept."""
        ...

    async def read(self) -> Sequence[Applied]:
        """What the next chunk brings: often nothing."""
        ...

    async def next_applied(self) -> Sequence[Applied]:
        """All that was applied since the last time; empty at the end."""
        ...


def take_all(kept: deque[Applied]) -> Sequence[Applied]:
    """What is kept, which is kept no longer."""
    taken = tuple(kept)
    kept.clear()
    return taken


class States:
    """A state after each event; the final one last, whoever told it."""

    def __init__(self, response: Followed, *, coalesced: bool) -> None:
        self._response = response
        self._is_coalesced = coalesced
        self._ready: deque[Applied] = deque()
        self._last: State | None = None

    def __aiter__(self) -> "States":
        return self

    async def __anext__(self) -> State:
        ready, response = self._ready, self._response
        while not ready:
            # Not `next_applied`: a layer of coroutines between the reader and the socket costs each event 0.1 µs.
            applied = take_all(response.kept) if response.kept else await response.read()
            if len(applied) == 1 or (applied and self._is_coalesced):  # it need not wait for its turn
                self._last = response.given = applied[-1].state
                return self._last
            if applied:
                ready.extend(applied)
            elif response.has_ended:
                if response.state is self._last:
                    raise StopAsyncIteration
                self._last = response.state
                return self._last
        self._last = response.given = ready.popleft().state
        return self._last


# Text that no delta brought comes whole, with one of these.
WHOLE_TEXT = (OutputTextDone, ContentPartDone, OutputItemDone)


class Text:
    """Pieces of the output text, as they come; whatever only a later event or the end told comes with that."""

    def __init__(self, response: Followed) -> None:
        self._response = response
        self._ready: deque[str] = deque()
        self._given: list[str] = []
        self._is_ended = False

    def __aiter__(self) -> "Text":
        return self

    async def __anext__(self) -> str:
        while not self._ready:
            if self._is_ended:
                raise StopAsyncIteration
            applied = await self._response.next_applied()
            for each in applied:
                if type(each.event) is OutputTextDelta:
                    self._give(each.event.delta)
                elif isinstance(each.event, WHOLE_TEXT):
                    self._catch_up(each.state)
            if not applied:
                self._is_ended = True
                self._catch_up(self._response.state)
        return self._ready.popleft()

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
