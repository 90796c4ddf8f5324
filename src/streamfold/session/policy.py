"""Policies of a session: which events are held after a gap, which a replay repeats, and whether text was never seen."""

from collections.abc import Sequence

from msgspec import Raw
from msgspec.json import Decoder, encode

from streamfold.fold import State, is_counted, snapshot_json, with_response
from streamfold.schema import (
    UNDECODABLE,
    Event,
    Head,
    ResponseEvent,
    UnknownEvent,
    is_terminal_status,
    is_usable_id,
    read_head,
    read_text,
)

# `Window` holds events from after a gap until the missing event arrives. It is bounded, and refuses the newest events
# first: a resume brings them again.
#
# `has_unseen_text` answers what sequence numbers cannot. A server may drop its buffer and send one synthetic terminal
# event numbered as the next one, so numbers without a gap do not prove that every event was seen
# (docs/explanation/repair.md).


class Window:
    """Holds at most `max_events` events, and `max_bytes` of their data, until they come into order."""

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._held: dict[int, tuple[Event, bytes]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def add(self, number: int, event: Event, data: bytes) -> bool:
        """Hold an event; the first one with a number stays. Returns False if the window is full."""
        if number in self._held:
            return True
        if len(self._held) >= self._max_events or self._bytes + len(data) > self._max_bytes:
            return False
        self._held[number] = event, data
        self._bytes += len(data)
        return True

    def take(self, number: int) -> tuple[Event, bytes] | None:
        """Remove and return the event with this number; None if it is not held."""
        taken = self._held.pop(number, None)
        if taken is not None:
            self._bytes -= len(taken[1])
        return taken

    def drop_to(self, number: int) -> None:
        """Forget the events up to this number: they were applied another way."""
        for old in [each for each in self._held if each <= number]:
            self.take(old)

    def clear(self) -> None:
        """Forget every event."""
        self._held.clear()
        self._bytes = 0

    def first(self) -> int | None:
        """The lowest number that is held; None if none is."""
        return min(self._held, default=None)

    def last(self) -> Event | None:
        """The held event with the highest number; None if none is held."""
        return self._held[max(self._held)][0] if self._held else None


def is_torn(event: Event) -> bool:
    """Whether the event could not be read at all, not even its number."""
    return type(event) is UnknownEvent and event.sequence_number is None and bool(event.error)


def adopted(state: State, event: ResponseEvent) -> State:
    """The state with this event's Response as its own. One without a status has that of its event's name, if it is an end."""
    response, name = bytes(event.response), event.wire_type.rpartition(".")[2]
    head = read_head(response)
    if is_terminal_status(name) and (head is None or not head.status):
        fields = fields_of(response) | {"status": Raw(b'"%b"' % name.encode())}
        response = encode(fields)
    return with_response(state, response)


def usable_head(response: bytes | Raw) -> Head | None:
    """The head of a Response whose id a call can name; None if it has none, or one whose bytes were broken on their way."""
    head = read_head(response)
    is_usable = head is not None and is_usable_id(head.id) and "\N{REPLACEMENT CHARACTER}" not in head.id
    return head if is_usable else None


# Unseen text. Numbers in the JSON are never read: one that no float can hold must not hide the text.
_decode_object = Decoder(dict[str, Raw]).decode
_decode_array = Decoder(list[Raw]).decode

# The fields that deltas fill: protocol reference 2. They are at most as deep as output, item, list, part, object.
TEXTS = frozenset({"arguments", "code", "diff", "input", "refusal", "text", "transcript"})
DEEPEST = 6


APPLIED, DAMAGED = -1, -2  # no numbers of events


class Repeated:
    """Which events of a replay were applied before, where the numbers alone do not say so.

    In a stream without numbers they are as many as were counted. Where only some events have numbers, those say more: what
    comes before the event that has the cursor's number was applied. What came after it is remembered here, in its order. A
    number beyond the cursor is always new.
    """

    def __init__(self, cursor: int | None) -> None:
        self._left = 0  # how many are still skipped
        self._until: int | None = None  # the number before which all are
        self._damaged_first = 0  # before the first event that was applied
        # What came after the event with this number: the number of an event that is held, DAMAGED, or APPLIED without a
        # number; and what of it a replay still brings. None if a state was given, which does not say it.
        self._at = cursor
        self._came: list[int] | None = None if cursor is not None else []
        self._rest: list[int] = []

    @property
    def is_skipping(self) -> bool:
        """Whether a replay is not past what was applied."""
        return self._left > 0 or self._until is not None or len(self._rest) > 0

    def begin(self, state: State, *, is_counted_past: bool) -> None:
        """Another connection is open. is_counted_past: Whether it brings everything, and numbers do not say what is new."""
        self._left, self._until, self._rest = 0, None, []
        if not is_counted_past:
            return
        self._move(state.cursor)
        if state.is_numbered and self._came is not None:
            while self._came and self._came[-1] != APPLIED:
                self._came.pop()  # nothing was applied after it, so a replay brings it in order
            self._until, self._rest = state.cursor, [*self._came]
        else:
            self._left = state.counted + self._damaged_first

    def note_applied(self, event: Event, before: State) -> None:
        """An event was applied. before: The state before it."""
        if event.sequence_number is None and before.is_numbered and is_counted(event):
            self.note(before.cursor, APPLIED)

    def note(self, cursor: int | None, what: int) -> None:
        """An event came that the cursor does not say. cursor: The one before it. what: Its number, APPLIED or DAMAGED."""
        self._move(cursor)
        self._damaged_first += cursor is None and what == DAMAGED
        if self._came is not None and cursor is not None:
            self._came.append(what)

    def _move(self, cursor: int | None) -> None:
        """The cursor has moved: forget what came up to it. What came after a gap that is filled now came after it."""
        if cursor == self._at:
            return
        self._at, came = cursor, self._came or []
        held = [place for place, what in enumerate(came) if what >= 0]
        passed = [place for place in held if came[place] <= (cursor or 0)]
        self._came = came[passed[-1] + 1 :] if passed else came if held else []

    def is_new(self, event: Event, cursor: int | None) -> bool:
        """Whether this event of a replay was not applied before. cursor: None if numbers say nothing."""
        number = event.sequence_number
        if self._until is not None:
            if number is None or number < self._until:
                return number is not None  # its number says that it is a duplicate
            self._until = None
        if self._left:
            self._left -= is_counted(event)
            return False
        if number is not None:
            self._pass(number, cursor or 0)
            return True
        is_repeated = len(self._rest) > 0
        if is_repeated and is_counted(event):
            self._rest.pop(0)
        return not is_repeated

    def _pass(self, number: int, cursor: int) -> None:
        """A number came, known or new: it may be what was held or damaged."""
        if number > cursor and self._rest and self._rest[0] in {number, DAMAGED}:
            self._rest.pop(0)
        if number == cursor + 1:  # what is still to come follows this number
            self._at, self._came = number, [*self._rest]


def has_unseen_text(before: State, after: State) -> bool:
    """Whether the output has more text, or more items, in `after` than in `before`."""
    return has_more_output(snapshot_json(before), snapshot_json(after))


def has_more_output(before: bytes, after: bytes) -> bool:
    """Whether the output of a Response, as JSON, has more text, or more items, in `after` than in `before`."""
    (items, text), (more_items, more_text) = _amount(before), _amount(after)
    return more_items > items or more_text > text


def _amount(response: bytes) -> tuple[int, int]:
    output = fields_of(response).get("output", Raw(b"null"))
    return len(_array(output)), _characters(output, DEEPEST)


def _characters(value: Raw, levels: int) -> int:
    if not levels:
        return 0
    if values := _array(value):
        return sum(_characters(each, levels - 1) for each in values)
    fields = fields_of(value)
    return sum(
        len(read_text(each) or "") if name in TEXTS else _characters(each, levels - 1) for name, each in fields.items()
    )


def fields_of(value: bytes | Raw) -> dict[str, Raw]:
    """Return the fields of a JSON object, each still JSON; none if it is not an object."""
    try:
        return _decode_object(value)
    except UNDECODABLE:
        return {}


def _array(value: Raw) -> Sequence[Raw]:
    try:
        return _decode_array(value)
    except UNDECODABLE:
        return ()
