"""A state saved as bytes, so that a replay may start there.

In      a State, or the bytes of one
Out     bytes: one JSON object, readable, and of one version; or the State again
Errors  MalformedCheckpoint for bytes that are none, or of another version
Source  decision 0005

Opened values keep how they were opened: an array with holes comes back with its holes, so that later events find
the indexes they speak of.
"""

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder, Encoder

from streamfold.errors import MalformedCheckpoint
from streamfold.fold.anomaly import Anomaly
from streamfold.fold.sequence import SequencePolicy
from streamfold.fold.state import Document, Focus, State, StreamError, settled
from streamfold.fold.text import Text
from streamfold.fold.tree import Array, Elements, Node, Object

__all__ = ["checkpoint", "restore"]

VERSION = 1


class _Saved(Struct, frozen=True, tag="streamfold.checkpoint"):
    """What a checkpoint holds; nodes as _saved_node writes them."""

    version: int
    cursor: int | None
    head: Raw
    output: Raw
    status: str | None
    error: StreamError | None
    anomalies: tuple[Anomaly, ...]
    policy: SequencePolicy
    is_numbered: bool
    is_closed: bool


class _SavedNode(Struct, frozen=True, omit_defaults=True):
    """One node of a tree; the field that is set tells its kind."""

    raw: Raw = Raw()
    text: str | None = None
    elements: str | None = None
    fields: dict[str, Raw] | None = None
    values: dict[int, Raw] | None = None


_encode = Encoder().encode
_decode = Decoder(_Saved).decode
_decode_node = Decoder(_SavedNode).decode


def checkpoint(state: State) -> bytes:
    """The state as bytes. `restore` gives an equal one, on which later events fold alike."""
    document = settled(state)
    return _encode(
        _Saved(
            version=VERSION,
            cursor=state.cursor,
            head=Raw(b"null") if document.head is None else _saved(document.head),
            output=_saved(document.output),
            status=document.status,
            error=document.error,
            anomalies=document.anomalies,
            policy=document.policy,
            is_numbered=document.is_numbered,
            is_closed=document.is_closed,
        )
    )


def restore(data: bytes) -> State:
    """The state that `checkpoint` saved.

    Raises: MalformedCheckpoint if the bytes are no checkpoint, or one of another version.
    """
    try:
        saved = _decode(data)
        if saved.version != VERSION:
            raise MalformedCheckpoint(f"its version is {saved.version}, and this streamfold reads version {VERSION}")
        head, output = (_restored(node) if node != Raw(b"null") else None for node in (saved.head, saved.output))
    except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedCheckpoint(str(error)) from error
    if not isinstance(output, Array) or not isinstance(head, Object | None):
        raise MalformedCheckpoint("its Response is no Response")
    document = Document(
        head=head,
        output=output,
        status=saved.status,
        error=saved.error,
        anomalies=saved.anomalies,
        policy=saved.policy,
        is_numbered=saved.is_numbered,
        is_closed=saved.is_closed,
    )
    return State(saved.cursor, Focus(document))


def _saved(node: Node) -> Raw:
    match node:
        case Text():
            saved = _SavedNode(text=str(node))
        case Elements():
            saved = _SavedNode(elements=str(node.json))
        case Object():
            saved = _SavedNode(fields={key: _saved(value) for key, value in node.items()})
        case Array():
            saved = _SavedNode(values={index: _saved(value) for index, value in node.items()})
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
        return Text().push(saved.text)
    if saved.elements is not None:
        return Elements(Text().push(saved.elements))
    return saved.raw
