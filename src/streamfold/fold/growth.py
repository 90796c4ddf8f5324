"""The output text of one response, in the pieces by which it grows."""

from typing import Any

from streamfold.fold.place import path_of_added
from streamfold.fold.state import State, output_texts, settled
from streamfold.fold.tree import Path
from streamfold.schema import (
    ContentPartAdded,
    ContentPartDone,
    Event,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    ResponseEvent,
)

# Theory of operation. A state knows its whole output text, but building it costs time in proportion to its length, so
# `take` avoids that for nearly every event. A delta that continues a text makes a state that points to the one before
# it and holds only its own fragment (see state.py). If that earlier state is the one seen last, the fragment is all
# that is new: it is the next piece if the text it belongs to ends the output text, and nothing if it belongs to
# something else, such as reasoning or arguments. Every other state is compared as a whole: its text normally begins
# with what was returned, and the rest is the next piece. This happens at each item or part, and once per block of
# fragments, so the cost stays far below one comparison per delta.
#
# Read from its middle, a text is first known by its end (`_is_tail`), and the event that ends it then brings it whole.
# What came before the first event must be no piece, and no state says which part that is: the events do. A text whose
# item or part was added after the start is new as a whole; any other one is new only by its deltas.
#
# Some servers count `content_index` up with every event, so that each delta opens a part, and a `done` event puts the whole
# text into one part. What says the same again is kept out of the pieces (`_repeats`) until the item is sent whole.


class TextGrowth:
    """Turns the states of one response into the new pieces of its output text.

    Joined, the pieces are the `output_text` of the last state taken, unless `has_changed`. States may be skipped:
    the next piece then covers them all. Given the events too, it leaves out a part that only repeats the others of its
    item until that item is sent whole.

    Args:
        starts_midway: Set this if the stream is read from its middle, so that text before the first event is not
            wanted. Joined, the pieces are then the end of `output_text`. `take` needs the events too.

    Attributes:
        has_changed: Whether the last state's text no longer begins with what was returned, for example because a
            later event replaced it, or because nobody can say which part of it is new. No pieces come while this is
            true; `restart` gives the text as it now is.

    Example:
        growth = TextGrowth()
        for state in states(events):
            print(growth.take(state), end="")
    """

    def __init__(self, *, starts_midway: bool = False) -> None:
        self.has_changed: bool = False
        self._starts_midway = starts_midway
        self._is_tail = starts_midway
        self._begun: set[tuple[str | int, ...]] = set()  # the items and parts that were added since the start
        self._is_inside = False  # whether an event of an item came
        self._repeats: set[Path] = set()  # parts that only say again what the parts before them said
        self._given: list[str] = []
        self._state = State()
        # What a fragment added to the last state means: True, it continues the output text; False, it belongs to
        # something else; None, only a comparison can say.
        self._continues_text: bool | None = None

    @property
    def given(self) -> str:
        """All pieces since the start or the last `restart`, joined."""
        self._given = ["".join(self._given)]
        return self._given[0]

    def take(self, state: State, event: Event | None = None) -> str:
        """Return the text that this state adds; an empty string if it adds none.

        Args:
            state: The state.
            event: The event that led to it; None if it came from outside the stream. Needed only if `starts_midway`.
        """
        if state.previous is self._state and self._continues_text is not None:
            self._state = state
            if not self._continues_text:
                return ""
            self._given.append(state.fragment)
            return state.fragment
        last, self._state = self._state, state
        before, document = last.focus.document, state.focus.document
        if self._continues_text is False and document.output is before.output and document.path == before.path:
            return ""  # only a text that is not output text can have grown
        if isinstance(event, OutputTextDone | ContentPartDone):
            self._note_repeat(last, state, event)
        elif event is None or isinstance(event, OutputItemDone | ResponseEvent):
            self._repeats.clear()
        return self._compare(state, event)

    def _note_repeat(self, before: State, after: State, event: OutputTextDone | ContentPartDone) -> None:
        """See whether a `done` event put into one part what several parts of its item had said before."""
        path: Any = (event.output_index, "content", event.content_index, "text")  # none, if an index is missing
        known = {each: str(text) for each, text in output_texts(settled(before).output) if each[0] == path[0]}
        parts = {each: text for each, text in known.items() if text and each not in self._repeats}
        now = dict(output_texts(settled(after).output))
        if parts and str(now.get(path, "")) == "".join(parts.values()):
            self._repeats |= {path} if path not in known else {*parts} - {path}

    def restart(self) -> str:
        """Start again: return the whole text of the last state."""
        self._given.clear()
        self._repeats.clear()
        self._is_tail = False
        return self._compare(self._state, None)

    def _compare(self, state: State, event: Event | None) -> str:
        found = output_texts(settled(state).output)
        texts = [(path, str(text)) for path, text in found if path not in self._repeats]
        text, given = "".join(each for _, each in texts), self.given
        piece = text[len(given) :] if text.startswith(given) else None
        if piece is None and self._starts_midway and text.endswith(given):
            piece = ""
        if self._is_tail:
            piece = self._piece_of_tail(texts, event, piece)
        self.has_changed = piece is None
        self._continues_text = self._meaning_of_fragments(state, texts)
        if piece is None:
            return ""
        self._given = [text]
        return piece

    def _piece_of_tail(
        self, texts: list[tuple[tuple[str | int, ...], str]], event: Event | None, piece: str | None
    ) -> str | None:
        """The piece of a state while only the end of the text is known; None if nobody can say what is new."""
        text, given = "".join(each for _, each in texts), self.given
        self._is_inside |= hasattr(event, "output_index")
        if isinstance(event, OutputItemAdded | ContentPartAdded):
            self._begun.add(path_of_added(self._state.focus.document, event))
        if text == given or isinstance(event, OutputTextDelta | OutputItemAdded | ContentPartAdded):
            return piece
        self._is_tail = False  # this state has the text whole
        if not given:
            return "".join(each for path, each in texts if self._is_new(path)) if self._is_inside else None
        is_new = self._is_new(next((path for path, each in texts if each), ()))
        return "" if not is_new and text.endswith(given) else piece

    def _is_new(self, path: tuple[str | int, ...]) -> bool:
        return path[:1] in self._begun or path[:3] in self._begun

    def _meaning_of_fragments(self, state: State, texts: list[tuple[tuple[str | int, ...], str]]) -> bool | None:
        path = state.focus.document.path
        paths = [each for each, _ in texts]
        if path not in paths:
            return False
        is_last = not any(text for _, text in texts[paths.index(path) + 1 :])
        return True if is_last and not self.has_changed else None
