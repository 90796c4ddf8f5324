"""What a Response, and an error, does to the state: the steps of the events that are about the whole."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from msgspec import Raw
from msgspec.structs import replace

from streamfold.fold.anomaly import AnomalyKind
from streamfold.fold.state import Document, StreamError, without_text, written
from streamfold.fold.target import GROWS, Target, type_of
from streamfold.fold.tree import NULL, Array, Node, Object, Path, being, edit, encode, find, opened, text_of
from streamfold.schema import Head, ResponseStatus, is_terminal_status, read_head
from streamfold.schema import event as wire

# A Response replaces the one before it, field by field, and its output replaces the folded items. But a terminal one that
# is not completed may come from a server that has given up on the answer, and hold less than was streamed. What it lacks
# is then kept: a missing item, a missing part, the end of a text.

STATUS_OF: Mapping[type, str] = {
    wire.ResponseCreated: ResponseStatus.IN_PROGRESS,
    wire.ResponseQueued: ResponseStatus.QUEUED,
    wire.ResponseInProgress: ResponseStatus.IN_PROGRESS,
    wire.ResponseCompleted: ResponseStatus.COMPLETED,
    wire.ResponseIncomplete: ResponseStatus.INCOMPLETE,
    wire.ResponseFailed: ResponseStatus.FAILED,
    wire.ResponseCancelled: ResponseStatus.CANCELLED,
}
"""The status that an event's name says, for a Response without one."""

OPEN = frozenset({wire.ResponseCreated, wire.ResponseQueued, wire.ResponseInProgress})
ENDS = frozenset(STATUS_OF) - OPEN

# An event of these types must have the id of the first Response. The others show whether a server's ids drift.
HAS_FIRST_ID = ENDS | {wire.ResponseCreated}


def take_snapshot(document: Document, event: wire.ResponseEvent, at: int) -> Document:
    """Every field becomes the snapshot's; folded output stays if the snapshot has none."""
    head = read_head(event.response)
    if head is None:  # not an object, which no decoder lets through; or nested almost too deeply to be read
        return document.note(AnomalyKind.MISFIT, at)
    if head.id is not None and head.id != document.response_id:
        if is_other(document, event, head):
            return replace(document, is_foreign=True)
        document = _with_id(document, head.id)
    response: Raw | Object = event.response
    status = head.status
    if not status:
        status = STATUS_OF[type(event)]
        response = _with_status(event.response, status)
        document = document.note(AnomalyKind.STATUS_ASSUMED, at)
    is_end = type(event) in ENDS
    return _with_response(document, response, status, head, at, keeps=is_end and status != ResponseStatus.COMPLETED)


def _with_id(document: Document, response_id: str) -> Document:
    """The document after a Response with an id that is not the first one's, because it is the first, or ids drift."""
    if document.response_id is None:
        return replace(document, response_id=response_id)
    return replace(document, ids_drift=True)


def _with_status(response: Raw, status: str) -> Object:
    fields = opened(response)
    return Object({**(fields if isinstance(fields, Object) else {}), "status": Raw(b'"%b"' % status.encode())})


def take_terminal(document: Document, event: wire.ResponseEvent, at: int) -> Document:
    """The Response becomes the terminal one, which is final."""
    taken = take_snapshot(document, event, at)
    return taken if taken.is_foreign else _ended(taken, document, at)


def take_answer(document: Document, response: Raw, at: int) -> Document:
    """The Response becomes one that came outside the stream; if its status is terminal, as `take_terminal` does."""
    head = read_head(response)
    if head is None:
        return document.note(AnomalyKind.MISFIT, at)
    keeps = is_terminal_status(head.status) and head.status != ResponseStatus.COMPLETED
    taken = _with_response(document, response, head.status or None, head, at, keeps=keeps)
    return _ended(taken, document, at) if is_terminal_status(taken.status) else taken


def _with_response(
    document: Document, response: Raw | Object, status: str | None, head: Head, at: int, *, keeps: bool
) -> Document:
    if head.output:
        document = _with_output(document, head.output, at, keeps=keeps)
    return replace(document, head=response, status=status)


def _ended(taken: Document, before: Document, at: int) -> Document:
    if before.is_closed:
        taken = taken.note(AnomalyKind.TERMINAL_REPEATED, at)
    if taken.output and taken.output is before.output:
        taken = taken.note(AnomalyKind.OUTPUT_KEPT, at)
    return taken if taken.is_closed else replace(taken, is_closed=True)


def is_other(document: Document, event: wire.ResponseEvent, head: Head) -> bool:
    """Whether the event belongs to another response than the one that is folded.

    The id says so, unless ids drift on this server. A terminal Response that holds what was folded is this one too,
    whatever its id: a server may change the id only there.
    """
    if document.ids_drift or None in (document.response_id, head.id) or head.id == document.response_id:
        return False
    if type(event) not in HAS_FIRST_ID:
        return False
    if isinstance(event, wire.ResponseCreated):
        return True
    folded = written(document).output
    return not _has_text(None, folded) or _has_text(head.output, folded)


def record_error(document: Document, event: wire.ErrorEvent, at: int) -> Document:
    """The error is kept beside the Response, which only a `response.failed` event changes."""
    nested = opened(event.error)
    flat = {"code": event.code, "message": event.message, "param": event.param}
    if not isinstance(nested, Object):
        return replace(document, error=StreamError(**flat))
    facts = {name: _fact(nested.get(name)) for name in StreamError.__struct_fields__}
    facts["message"] = facts["message"] or _fact(nested.get("detail"))
    return replace(document, error=StreamError(**facts))


def _fact(node: Node | None) -> str | None:
    """The text of a node, or its JSON if it is not text, such as a numeric code; None for nothing and null."""
    if node is None or node == NULL:
        return None
    text = text_of(node)
    return encode(node).decode() if text is None else str(text) or None


# Less than the fold

# Texts are compared by their length alone: a server that filters a text replaces it, and a shorter one is then less than
# the reader has seen. Items are matched by id, and by type where ids drift; parts by their place.

Keys: TypeAlias = tuple[str, ...]


def _texts() -> Mapping[str, Mapping[Keys, list[Keys]]]:
    """For each type of item its lists, and where in their parts texts stand; an item without a list is its own part."""
    texts: dict[str, dict[Keys, list[Keys]]] = {}
    printed = [Target("shell_call_output", ("output",), tail=(name,)) for name in ("stdout", "stderr")]
    for target in (*dict.fromkeys(GROWS.values()), *printed):
        texts.setdefault(target.item_type, {}).setdefault(target.list_path, []).append(target.tail)
    return texts


TEXTS = _texts()


def _with_output(document: Document, sent: list[Raw], at: int, *, keeps: bool) -> Document:
    """The document with this output. keeps: Also with what that lacks of the folded one."""
    folded, document = written(document).output, without_text(document)
    output: list[Node] = [*sent]
    if folded and sent != [folded[index] for index in sorted(folded)]:
        if keeps:
            output, is_kept, is_lost = _merged(sent, folded)
        else:
            is_kept, is_lost = False, _has_text(sent, folded)
        document = document.note(AnomalyKind.OUTPUT_KEPT, at) if is_kept else document
        document = document.note(AnomalyKind.TEXT_LOST, at) if is_lost else document
    return replace(document, output=Array(enumerate(output)), closed=frozenset())


def _merged(sent: list[Raw], folded: Array) -> tuple[list[Node], bool, bool]:
    """The items as sent with what they lack; whether anything was kept, and whether a text had to be left out."""
    is_kept = is_lost = False
    groups: list[list[Node]] = [[]]  # the items that were not sent follow those before them
    groups.extend([each] for each in sent)
    place = -1
    for item, found in _pairs(sent, folded):
        if found is None:
            groups[place + 1].append(item)
            is_kept = True
            continue
        place = found
        for path, node, has_text in list(_shortfalls(sent[found], item)):
            edited = None if node is None else edit(groups[found + 1][0], path, being(node))
            if edited is None:
                is_lost = is_lost or has_text
            else:
                groups[found + 1][0] = edited
                is_kept = True
    return [item for group in groups for item in group], is_kept, is_lost


def _has_text(sent: list[Raw] | None, folded: Array) -> bool:
    """Whether any folded text is longer than in the items as sent."""
    sent = sent or []
    for item, found in _pairs(sent, folded):
        if any(has_text for _, _, has_text in _shortfalls(None if found is None else sent[found], item)):
            return True
    return False


def _pairs(sent: list[Raw], folded: Array) -> Iterator[tuple[Node, int | None]]:
    """Each folded item, and its place among the items as sent: that of its id, else the next one of its type."""
    items = [folded[index] for index in sorted(folded)]
    places = {_id_of(each): place for place, each in reversed(list(enumerate(sent)))}
    places.pop("", None)
    by_id = [places.pop(_id_of(item), None) for item in items]
    left = sorted({*range(len(sent))} - {*by_id})
    for item, found in zip(items, by_id, strict=True):
        place = found
        if place is None:
            kind = type_of(item)
            place = next((each for each in left if type_of(sent[each]) == kind), None)
            left = sorted({*left} - {place})
        yield item, place


def _id_of(item: Node) -> str:
    return str(text_of(find(item, ("id",))) or "")


def _shortfalls(sent: Node | None, folded: Node) -> Iterator[tuple[Path, Node | None, bool]]:
    """Where the item as sent has less than the folded one: the path, what belongs there, and whether that has text.

    What belongs there is None if the place is taken by a part of another type.
    """
    for list_path, tails in TEXTS.get(type_of(folded), {}).items():
        for path, part in _parts(folded, list_path):
            there = find(sent, path)
            if path and (there is None or there == NULL):
                yield path, part, any(_length(part, tail) for tail in tails)
                continue
            has_room = type_of(there) == type_of(part)
            for tail in tails:
                if _length(part, tail) > _length(there, tail):
                    yield (*path, *tail), find(part, tail) if has_room else None, True


def _length(part: Node | None, tail: Keys) -> int:
    """How many characters the text has that is at this place of a part; 0 if it is not text."""
    text = text_of(find(part, tail))
    return 0 if text is None else len(str(text))


def _parts(item: Node, list_path: tuple[str, ...]) -> list[tuple[Path, Node]]:
    """The parts of an item with their paths, closed up; the item itself if it has no list."""
    if not list_path:
        return [((), item)]
    parts = opened(find(item, list_path))
    if not isinstance(parts, Array):
        return []
    return [((*list_path, place), parts[index]) for place, index in enumerate(sorted(parts))]
