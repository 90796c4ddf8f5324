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
        """What was taken in, and waits for the reader's turn."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes, and nothing is kept."""
        ...

    async def read(self) -> Sequence[Applied]:
        """What the next chunk brings: often nothing."""
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

    def __init__(self, response: Followed) -> None:
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
