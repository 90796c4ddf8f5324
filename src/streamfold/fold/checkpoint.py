"""A state saved as bytes, so that a replay may start there.

In      a State, or the bytes of one
Out     bytes: one JSON object, readable, and of one version; or the State again
Errors  MalformedCheckpoint for bytes that are none, or of another version
Source  decision 0005

Opened values keep how they were opened: an array with holes comes back with its holes, so that later events find
the indexes they speak of.
"""

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, MsgspecError, Raw, Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import asdict

from streamfold.errors import MalformedCheckpoint
from streamfold.fold.anomaly import Anomaly
from streamfold.fold.place import MAX_INDEX
from streamfold.fold.sequence import SequencePolicy
from streamfold.fold.state import Document, Focus, State, StreamError, settled
from streamfold.fold.text import Text
from streamfold.fold.tree import Array, Elements, Node, Object, opened, whole_characters

__all__ = ["checkpoint", "restore"]

VERSION = 1


class _Saved(Struct, frozen=True, tag="streamfold.checkpoint"):
    """What a checkpoint holds; nodes as _saved_node writes them."""

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


class _SavedNode(Struct, frozen=True, omit_defaults=True):
    """One node of a tree; the field that is set tells its kind."""

    raw: Raw = Raw()
    text: str | None = None
    elements: Raw = Raw()
    fields: dict[str, Raw] | None = None
    values: dict[Annotated[int, Meta(ge=0, le=MAX_INDEX)], Raw] | None = None


_encode = Encoder().encode
_decode = Decoder(_Saved).decode
_decode_node = Decoder(_SavedNode).decode


def checkpoint(state: State) -> bytes:
    """The state as bytes. `restore` gives an equal one, on which later events fold alike."""
    try:
        return _encoded(state, str)
    except UnicodeEncodeError:  # half of a surrogate pair, which only an event made by hand can hold
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
        )
    )


def restore(data: bytes) -> State:
    """The state that `checkpoint` saved.

    Raises: MalformedCheckpoint if the bytes are no checkpoint, or one of another version.
    """
    try:
        data.decode()  # for what stays as it is, unread, is shown again as it is
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
        raise MalformedCheckpoint("its Response is no Response")
    document = Document(
        head=head,
        output=output,
        status=saved.status,
        error=StreamError(**saved.error) if saved.error else None,
        anomalies=saved.anomalies,
        policy=saved.policy,
        is_numbered=saved.is_numbered,
        is_closed=saved.is_closed,
    )
    return State(saved.cursor, Focus(document))


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
        return Text().push(saved.text)
    if bytes(saved.elements).startswith(b"["):
        return Elements(Text().push(bytes(saved.elements)[1:-1].decode()))
    if not bytes(saved.raw):
        raise MalformedCheckpoint("one of its nodes holds nothing")
    return saved.raw
