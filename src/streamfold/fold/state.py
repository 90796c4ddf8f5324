"""Everything known about one response after the events up to a cursor; immutable."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

from msgspec import Raw, Struct, field
from msgspec.structs import replace

from streamfold.fold.anomaly import Anomaly, AnomalyKind, noted
from streamfold.fold.target import Target, type_of
from streamfold.fold.text import NO_TEXT, Text
from streamfold.fold.tree import Array, Node, Object, Path, edit, find, opened, text_of
from streamfold.schema import is_terminal_status

# Theory of operation. Most events of a stream add a few characters to the text to which the event before added. Such
# an event costs one small State, which holds only its own fragment and a reference to the State before it:
#
#     GrowingText --- Document          what is settled: the Response, opened where events touched it; anomalies
#         ^  ^  ^
#         |  |  +------------ State 130, fragment " blue"  --previous--> State 129
#         |  +--------------- State 129, fragment " is"    --previous--> State 128
#         +------------------ State 128, fragment ""
#
# All States of a chain share the GrowingText, which says where the text stands and which events continue it. After a
# block of fragments, and at any other event, `grown` joins the chain into a new Document. So a State is small, no
# chain is longer than a block, and keeping every State of a stream is cheap.
#
# The growing text stays beside the output and is written into it (`written`) only when it is read there: most
# texts are replaced as a whole by the event that ends them, and writing each delta into the tree would copy the path
# to it every time. `settled` does both, and is what snapshots and comparisons use. Decision 0004 has the measurements.


class SequencePolicy(StrEnum):
    """How far to trust a gateway's sequence numbers."""

    STRICT = "strict"
    """They rise by one, as on every recorded gateway that has them. A skipped number is a gap."""
    RENUMBER = "renumber"
    """They rise, but not by one, because the gateway leaves events out. Their order counts; skipped numbers do not."""
    ARRIVAL = "arrival"
    """They mean nothing. Events are counted from 0 as they arrive, and duplicates cannot be recognized."""


class StreamError(Struct, frozen=True, gc=False):
    """The content of an `error` event, flat or nested on the wire; kept beside the Response. Each field may be None."""

    code: str | None = None
    message: str | None = None
    param: str | None = None
    type: str | None = None


class Document(Struct, frozen=True, gc=False):
    """The Response so far, opened only where events touched it, and everything else that is known.

    Attributes:
        head: The last Response that arrived; None before the first. Its own output is ignored if `output` has items.
        output: The items by index.
        is_numbered: A sequence number was read on the wire.
        is_closed: A terminal event was applied.
        is_mixed: Some events of the Response had a number, and some had none.
        uncounted: How many of the numbers up to the cursor are not of an event that counts; see `State.counted`.
        path: Where in `output` a text grows; empty if none does. An older version of the text is there.
        text: The text that grows there.
        target: Where the events point to that continue it; None if no text grows.
        closed: The paths of the items and parts that a done event closed.
        response_id: The id in the first Response of the stream; None until one came.
        ids_drift: A later Response of the stream had another id, so that ids say nothing on this server.
        is_foreign: The stream has moved on to another response. Nothing of that one is applied.
    """

    head: Raw | Object | None = None
    output: Array = field(default_factory=Array)
    status: str | None = None
    error: StreamError | None = None
    anomalies: tuple[Anomaly, ...] = ()
    policy: SequencePolicy = SequencePolicy.STRICT
    is_numbered: bool = False
    is_closed: bool = False
    is_mixed: bool = False
    uncounted: int = 0
    path: Path = ()
    text: Text = NO_TEXT
    target: Target | None = None
    closed: frozenset[Path] = frozenset()
    response_id: str | None = None
    ids_drift: bool = False
    is_foreign: bool = False

    def note(self, kind: AnomalyKind, at: int) -> "Document":
        """The document with one more anomaly of this kind."""
        return replace(self, anomalies=noted(self.anomalies, kind, at))


class TypeRun(Struct, frozen=True, gc=False):
    """Consecutive events of one type, and the run before them.

    Attributes:
        first: The number of the first of these events.
        type: Their type.
        before: The run before; None if nothing is remembered of it.
        count: How many runs are remembered, with this one.
    """

    first: int
    type: str
    before: "TypeRun | None" = None
    count: int = 1


class GrowingText(Struct, frozen=True, gc=False):
    """A document, and which events continue the text that grows in it.

    Attributes:
        document: What is settled.
        grows: The event type that continues the text; None if no text grows.
        output_index: The item to which such an event must point.
        index: The part to which it must point.
        index_of: Reads that index from the event; None if the item has only one such text.
        run: The types of the last events by their numbers; None if no event had a number.
    """

    document: Document
    grows: type | None = None
    output_index: int | None = None
    index_of: Callable[[object], Any] | None = None
    index: int | None = None
    run: TypeRun | None = None


NOTHING = GrowingText(Document())


class State(Struct, frozen=True, gc=False, eq=False):
    """Everything known about one response after the events up to `cursor`.

    `State()` has seen nothing; `reduce` makes all others. Two states are equal if they have the same cursor and the
    same Response. `focus`, `previous` and `fragment` are internal: they share the growing text between states.
    """

    cursor: int | None = None
    focus: GrowingText = NOTHING
    previous: "State | None" = None
    fragment: str = ""

    @classmethod
    def under(cls, policy: SequencePolicy) -> "State":
        """Return a state that has seen nothing, for a gateway whose sequence numbers follow this policy."""
        return cls(focus=GrowingText(Document(policy=policy)))

    @property
    def status(self) -> str | None:
        """The status in the last Response that arrived; None before the first. If it had none, its event's name says it."""
        return self.focus.document.status

    @property
    def is_terminal(self) -> bool:
        """Whether `status` is one after which nothing changes."""
        return is_terminal_status(self.status)

    @property
    def is_numbered(self) -> bool:
        """Whether the events had sequence numbers, so that the server knows the cursor."""
        return self.focus.document.is_numbered

    @property
    def is_mixed(self) -> bool:
        """Whether only some events had sequence numbers, so that the cursor does not say which events were applied."""
        return self.focus.document.is_mixed

    @property
    def counted(self) -> int:
        """How many events led here, without those that come by the clock or that another stream may not bring again.

        Keepalives, errors and events of unknown types do not count; an event that was damaged on its way does. A stream
        without numbers is read again by skipping this many.
        """
        return 0 if self.cursor is None else self.cursor + 1 - self.focus.document.uncounted

    @property
    def output_text(self) -> str:
        """The text of all output_text parts of all messages, joined, in the order of their indexes."""
        return "".join(str(text) for _, text in output_texts(settled(self).output))

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """What was tolerated so far, one entry per kind; empty on a clean stream."""
        return self.focus.document.anomalies

    @property
    def error(self) -> StreamError | None:
        """The content of the last `error` event, whatever its shape; None without one."""
        return self.focus.document.error

    @property
    def is_foreign(self) -> bool:
        """Whether the stream has moved on to another response, of which nothing is applied. See `rejoin`."""
        return self.focus.document.is_foreign

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.cursor == other.cursor and _shown(self) == _shown(other)

    def __ne__(self, other: object) -> bool:  # Struct defines its own, which compares how the text is shared
        return not self == other

    def __hash__(self) -> int:
        return hash((State, self.cursor))

    def __repr__(self) -> str:
        return f"<State cursor={self.cursor} status={self.status} items={len(self.focus.document.output)}>"


def grown(state: State) -> Document:
    """The state's document, with the fragments of the chain joined into its text."""
    document = state.focus.document
    at: State | None = state
    if state.previous is None:
        return document
    fragments: list[str] = []
    while at is not None:  # the first State of the chain has an empty fragment
        fragments.append(at.fragment)
        at = at.previous
    fragments.reverse()
    return replace(document, text=document.text.push("".join(fragments)))


def written(document: Document) -> Document:
    """The document with the growing text written into the output; no text grows in it any more."""
    if not document.path:
        return document
    text = document.text
    output = edit(document.output, document.path, lambda _: text)
    return replace(document, output=output, path=(), text=NO_TEXT, target=None)


def without_text(document: Document) -> Document:
    """The document without the growing text, which is about to be replaced."""
    if not document.path:
        return document
    return replace(document, path=(), text=NO_TEXT, target=None)


def settled(state: State) -> Document:
    """The state's document with everything in its place."""
    return written(grown(state))


def _shown(state: State) -> Document:
    """What two equal states have in common: everything but which of their events count."""
    return replace(settled(state), uncounted=0)


def output_texts(output: Array) -> Iterator[tuple[Path, Text]]:
    """The text of each output_text part of each message, with its path, in the order of the indexes."""
    for item_index, item in _in_order(output):
        if type_of(item) == "message":
            for part_index, part in _in_order(find(item, ("content",))):
                if type_of(part) == "output_text":
                    path = (item_index, "content", part_index, "text")
                    yield path, text_of(find(part, ("text",))) or NO_TEXT


def _in_order(node: Node | None) -> Iterator[tuple[int, Node | None]]:
    array = opened(node)
    if isinstance(array, Array):
        yield from ((index, opened(array[index])) for index in sorted(array))
