"""A state saved as bytes, so that a replay can start there."""

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, MsgspecError, Raw, Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import asdict

from streamfold.errors import MalformedCheckpoint
from streamfold.fold.anomaly import Anomaly
from streamfold.fold.dropped import followed, remembered
from streamfold.fold.state import Document, GrowingText, SequencePolicy, State, StreamError, TypeRun, settled
from streamfold.fold.target import MAX_INDEX
from streamfold.fold.text import NO_TEXT, Text
from streamfold.fold.tree import Array, Elements, Node, Object, opened, whole_characters

# A checkpoint is one JSON object, readable, and of one version (decision 0005). Opened values are saved as opened: an
# array with holes comes back with its holes, so that later events find the indexes they name.
VERSION = 1


class _Saved(Struct, frozen=True, tag="streamfold.checkpoint"):
    """The content of a checkpoint; nodes as `_saved` writes them."""

    version: int
    cursor: int | None
    head: Raw
    output: Raw
    status: str | None
    error: dict[str, str | None]
    anomalies: tuple[Anomaly, ...]
    policy: SequencePolicy
    is_numbered: bool
    is_closed: bool
    is_mixed: bool = False
    uncounted: int = 0
    closed: tuple[tuple[str | int, ...], ...] = ()
    response_id: str | None = None
    ids_drift: bool = False
    is_foreign: bool = False
    runs: tuple[tuple[int, str], ...] = ()


class _SavedNode(Struct, frozen=True, omit_defaults=True):
    """One node of a tree. The field that is set is its kind."""

    raw: Raw = Raw()
    text: str | None = None
    elements: Raw = Raw()
    fields: dict[str, Raw] | None = None
    values: dict[Annotated[int, Meta(ge=0, le=MAX_INDEX)], Raw] | None = None


_encode = Encoder().encode
_decode = Decoder(_Saved).decode
_decode_node = Decoder(_SavedNode).decode


def checkpoint(state: State) -> bytes:
    """Return the state as bytes. `restore` gives an equal one, to which later events apply in the same way."""
    try:
        return _encoded(state, str)
    except UnicodeEncodeError:  # half of a surrogate pair, which no server can send
        return _encoded(state, whole_characters)


def _encoded(state: State, text: Callable[[str], str]) -> bytes:
    document = settled(state)
    words = {} if document.error is None else asdict(document.error)
    return _encode(
        _Saved(
            version=VERSION,
            cursor=state.cursor,
            head=Raw(b"null") if document.head is None else _saved(document.head, text),
            output=_saved(document.output, text),
            status=None if document.status is None else text(document.status),
            error={name: word and text(word) for name, word in words.items()},
            anomalies=document.anomalies,
            policy=document.policy,
            is_numbered=document.is_numbered,
            is_closed=document.is_closed,
            is_mixed=document.is_mixed,
            uncounted=document.uncounted,
            closed=tuple(sorted(document.closed, key=str)),
            response_id=None if document.response_id is None else text(document.response_id),
            ids_drift=document.ids_drift,
            is_foreign=document.is_foreign,
            runs=tuple((run.first, text(run.type)) for run in remembered(state.focus.run))[::-1],
        )
    )


def restore(data: bytes) -> State:
    """Return the state that `checkpoint` saved.

    Raises:
        MalformedCheckpoint: The bytes are not a checkpoint, or one of another version. Fold again from the events.
    """
    try:
        data.decode()  # what is not read here is shown again later as it is
        saved = _decode(data)
        if saved.version != VERSION:
            raise MalformedCheckpoint(f"its version is {saved.version}, and this streamfold reads version {VERSION}")
        head, output = (_restored(node) if node != Raw(b"null") else None for node in (saved.head, saved.output))
    except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedCheckpoint(str(error)) from error
    if (
        not isinstance(output, Array)
        or not isinstance(head, Raw | Object | None)
        or not isinstance(opened(head), Object | None)
    ):
        raise MalformedCheckpoint("its Response is not an object")
    document = Document(
        head=head,
        output=output,
        status=saved.status,
        error=StreamError(**saved.error) if saved.error else None,
        anomalies=saved.anomalies,
        policy=saved.policy,
        is_numbered=saved.is_numbered,
        is_closed=saved.is_closed,
        is_mixed=saved.is_mixed,
        uncounted=saved.uncounted,
        closed=frozenset(saved.closed),
        response_id=saved.response_id,
        ids_drift=saved.ids_drift,
        is_foreign=saved.is_foreign,
    )
    run: TypeRun | None = None
    for first, name in saved.runs:
        run = followed(run, first, name)
    return State(saved.cursor, GrowingText(document, run=run))


def _saved(node: Node, text: Callable[[str], str]) -> Raw:
    match node:
        case Text():
            saved = _SavedNode(text=text(str(node)))
        case Elements():
            saved = _SavedNode(elements=Raw(f"[{text(str(node.json))}]".encode()))
        case Object():
            saved = _SavedNode(fields={key: _saved(value, text) for key, value in node.items()})
        case Array():
            saved = _SavedNode(values={index: _saved(value, text) for index, value in node.items()})
        case _:
            saved = _SavedNode(raw=node)
    return Raw(_encode(saved))


def _restored(data: Raw) -> Node:
    saved = _decode_node(data)
    if saved.fields is not None:
        return Object({key: _restored(value) for key, value in saved.fields.items()})
    if saved.values is not None:
        return Array({index: _restored(value) for index, value in saved.values.items()})
    if saved.text is not None:
        return NO_TEXT.push(saved.text)
    if bytes(saved.elements).startswith(b"["):
        return Elements(NO_TEXT.push(bytes(saved.elements)[1:-1].decode()))
    if not bytes(saved.raw):
        raise MalformedCheckpoint("one of its nodes holds nothing")
    return saved.raw
