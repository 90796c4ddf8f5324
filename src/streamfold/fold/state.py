"""All that is known of one response after the events up to a cursor; immutable.

In      nothing: `reduce` makes every State but the first
Out     State, and what it is made of: a Document (what is settled) and a Focus (the text that grows now)
Units   the cursor is a sequence number; indexes count from 0
Source  docs/explanation/state.md, decision 0004

Most events of a stream add a few characters to the text that the event before added to. Such an event costs one
small State: it holds its own fragment and the State before it, and shares the Focus. After every block of such
fragments, and at any other event, they are joined into the text, so no chain is longer than a block. The text stays
beside the output, and is written into it only where somebody reads it there: most texts are replaced, as a whole, by
the event that ends them.
"""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Raw, Struct, field
from msgspec.structs import replace

from streamfold.fold.anomaly import Anomaly, AnomalyKind, noted
from streamfold.fold.sequence import SequencePolicy
from streamfold.fold.text import Text
from streamfold.fold.tree import Array, Node, Object, Path, edit, find, opened, text_of
from streamfold.schema import is_terminal_status

__all__ = ["Document", "Focus", "State", "StreamError", "grown", "output_texts", "settled", "without_text", "written"]


class StreamError(Struct, frozen=True, gc=False):
    """What an `error` event said, flat or nested on the wire. The stream's own words, kept beside the Response."""

    code: str | None = None
    message: str | None = None
    param: str | None = None
    type: str | None = None


class Document(Struct, frozen=True, gc=False):
    """The Response so far, opened only where events touched it, and what is known beside it.

    head: the last Response that came, None before the first; its own output is passed over where `output` has items.
    output: the items by index. is_numbered: a sequence number was read on the wire. is_closed: a terminal event was
    applied. path, text: where in `output` a text grows, and how far it has; some text stands there, an older one. The
    path is empty where none grows.
    """

    head: Raw | Object | None = None
    output: Array = field(default_factory=Array)
    status: str | None = None
    error: StreamError | None = None
    anomalies: tuple[Anomaly, ...] = ()
    policy: SequencePolicy = SequencePolicy.STRICT
    is_numbered: bool = False
    is_closed: bool = False
    path: Path = ()
    text: Text = Text()

    def note(self, kind: AnomalyKind, at: int) -> "Document":
        """The document with one more anomaly of this kind."""
        return replace(self, anomalies=noted(self.anomalies, kind, at))


class Focus(Struct, frozen=True, gc=False):
    """A document, and which events add to the text that grows in it.

    grows: the event type that adds to it; None where no text grows. output_index, index: where such an event must
    point; index_of reads the latter from it, and is None where the item has one such text.
    """

    document: Document
    grows: type | None = None
    output_index: int | None = None
    index_of: Callable[[object], Any] | None = None
    index: int | None = None


NOTHING = Focus(Document())


class State(Struct, frozen=True, gc=False, eq=False):
    """All that is known of one response after the events up to `cursor`.

    `State()` has seen nothing. Only `reduce` makes others. Two are equal when they hold the same cursor and the same
    Response. `focus`, `previous` and `fragment` are how the growing text is shared; read the properties instead.
    """

    cursor: int | None = None
    focus: Focus = NOTHING
    previous: "State | None" = None
    fragment: str = ""

    @classmethod
    def under(cls, policy: SequencePolicy) -> "State":
        """A state that has seen nothing, for a gateway whose sequence numbers are to be read in this way."""
        return cls(focus=Focus(Document(policy=policy)))

    @property
    def status(self) -> str | None:
        """The status in the last Response that came; None before the first. Never guessed from an event's name."""
        return self.focus.document.status

    @property
    def is_terminal(self) -> bool:
        """Whether `status` is one after which nothing more comes."""
        return is_terminal_status(self.status)

    @property
    def is_numbered(self) -> bool:
        """Whether the events had sequence numbers of their own, so that the cursor is the server's."""
        return self.focus.document.is_numbered

    @property
    def output_text(self) -> str:
        """The text of all output_text parts of all messages, joined, in the order of their indexes."""
        return "".join(str(text) for _, text in output_texts(settled(self).output))

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """What was tolerated so far, a kind each; empty on a clean stream."""
        return self.focus.document.anomalies

    @property
    def error(self) -> StreamError | None:
        """What the last `error` event said; None if there was none."""
        return self.focus.document.error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.cursor == other.cursor and settled(self) == settled(other)

    def __ne__(self, other: object) -> bool:  # Struct brings its own, which compares how the text is shared
        return not self == other

    def __hash__(self) -> int:
        return hash((State, self.cursor))

    def __repr__(self) -> str:
        return f"<State cursor={self.cursor} status={self.status} items={len(self.focus.document.output)}>"


def grown(state: State) -> Document:
    """The state's document, its text grown by the fragments that were added since it was last joined."""
    document = state.focus.document
    at: State | None = state
    if state.previous is None:
        return document
    fragments: list[str] = []
    while at is not None:  # the first of the chain has an empty fragment
        fragments.append(at.fragment)
        at = at.previous
    fragments.reverse()
    return replace(document, text=document.text.push("".join(fragments)))


def written(document: Document) -> Document:
    """The document with the growing text written into the output: no text grows in it."""
    if not document.path:
        return document
    text = document.text
    return replace(without_text(document), output=edit(document.output, document.path, lambda _: text))


def without_text(document: Document) -> Document:
    """The document where what grew is replaced, and so forgotten."""
    return replace(document, path=(), text=Text())


def settled(state: State) -> Document:
    """The state's document with all that is known in its place."""
    return written(grown(state))


def output_texts(output: Array) -> Iterator[tuple[Path, Text]]:
    """The text of each output_text part of each message, with its path, in the order of the indexes."""
    for item_index, item in _in_order(output):
        if _type_of(item) == "message":
            for part_index, part in _in_order(find(item, ("content",))):
                if _type_of(part) == "output_text":
                    path = (item_index, "content", part_index, "text")
                    yield path, text_of(find(part, ("text",))) or Text()


def _in_order(node: Node | None) -> Iterator[tuple[int, Node | None]]:
    array = opened(node)
    if isinstance(array, Array):
        yield from ((index, opened(array[index])) for index in sorted(array))


def _type_of(node: Node | None) -> str:
    return str(text_of(find(node, ("type",))) or "")
