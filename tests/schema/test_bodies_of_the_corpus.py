"""The recorded bodies, and all that the recorded streams carry, decode typed; what does not is named and counted here."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from streamfold.schema.body import decode_annotation, decode_batch, decode_item, decode_part, decode_response
from streamfold.schema.item import KnownAnnotation, KnownItem, KnownPart, UnknownItem
from streamfold.schema.response import Batch, Response, is_terminal_status

Fields = dict[str, Raw]

read_fields = msgspec.json.Decoder(Fields).decode
read_list = msgspec.json.Decoder(list[Raw]).decode


@pytest.fixture(scope="module")
def bodies(corpus: Path) -> dict[str, bytes]:
    folder = corpus / "recordings"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.json"))}


@pytest.fixture(scope="module")
def events(corpus: Path) -> list[Fields]:
    return [event for path in sorted((corpus / "recordings").rglob("*.sse")) for event in events_of(path.read_bytes())]


def events_of(stream: bytes) -> Iterator[Fields]:
    for block in stream.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = b"\n".join(line.removeprefix(b"data:") for line in block.split(b"\n") if line.startswith(b"data:"))
        if data.strip() not in (b"", b"[DONE]"):
            yield read_fields(data)


def kind_of(body: bytes) -> str:
    """What the body says that it is, or the names of its fields."""
    fields = read_fields(body)
    return msgspec.json.decode(fields["object"], type=str) if "object" in fields else " ".join(sorted(fields))


def of_kind(bodies: dict[str, bytes], kind: str) -> list[bytes]:
    return [body for body in bodies.values() if kind_of(body) == kind]


def untyped(value: Any) -> Iterator[str]:
    """The type and name of each value within an item or a part that is of no known type."""
    if not isinstance(value, KnownItem | KnownPart | KnownAnnotation):
        yield f"{type(value).__name__} {value.wire_type}"
    for name in ("content", "summary", "annotations"):
        inner = getattr(value, name, None)
        for each in inner if isinstance(inner, tuple) else ():
            yield from untyped(each)


def untyped_in(responses: list[Response]) -> Counter[str]:
    return Counter(name for response in responses for item in response.output for name in untyped(item))


@pytest.fixture(scope="module")
def responses(bodies: dict[str, bytes]) -> list[Response]:
    return [decode_response(body) for body in of_kind(bodies, "response")]


@pytest.fixture(scope="module")
def streamed(events: list[Fields]) -> list[Response]:
    return [decode_response(event["response"]) for event in events if "response" in event]


def test_the_recorded_bodies_are_of_these_kinds(bodies: dict[str, bytes]) -> None:
    assert Counter(map(kind_of, bodies.values())) == {
        "response": 114,
        "batch": 6,
        "list": 5,  # four of batches, one of input items
        "response.deleted": 2,
        "error": 10,  # the body of an HTTP error
        "code error": 1,  # the same from xAI, where `error` is a string
        "detail": 1,  # the same from ChatGPT
    }


def test_recorded_responses_decode_with_nothing_rejected(responses: list[Response]) -> None:
    assert len(responses) == 114
    assert {name for response in responses for name in response.rejected} == set()


def test_items_of_recorded_responses_decode_typed(responses: list[Response]) -> None:
    # xAI's own tool, in none of the three schemas and in one body.
    assert untyped_in(responses) == {"UnknownItem x_search_call": 1}


def test_an_item_that_no_schema_names_keeps_its_bytes(responses: list[Response]) -> None:
    (unknown,) = (item for response in responses for item in response.output if isinstance(item, UnknownItem))
    assert msgspec.json.decode(unknown.data)["name"] == "x_semantic_search"


def test_recorded_batches_decode_with_nothing_rejected(bodies: dict[str, bytes]) -> None:
    lists = [read_list(read_fields(body)["data"]) for body in of_kind(bodies, "list")]
    listed = [each for data in lists for each in data if "object" in read_fields(each)]
    batches: list[Batch] = [decode_batch(body) for body in (*of_kind(bodies, "batch"), *listed)]
    assert len(batches) == 86
    assert {name for batch in batches for name in batch.rejected} == set()


def test_recorded_input_items_decode_typed_but_for_their_parts(bodies: dict[str, bytes]) -> None:
    lists = [read_list(read_fields(body)["data"]) for body in of_kind(bodies, "list")]
    items = [decode_item(each) for data in lists for each in data if "object" not in read_fields(each)]
    # Parts of a request: a Response has none.
    assert Counter(name for item in items for name in untyped(item)) == {"UnknownPart input_text": 2}


def test_a_recorded_error_is_an_object_that_says_nothing_of_a_response(bodies: dict[str, bytes]) -> None:
    for kind in ("error", "code error", "detail"):
        for body in of_kind(bodies, kind):
            response = decode_response(body)
            assert (response.id, response.object, response.status) == (None, None, None)


def test_recorded_streams_carry_responses_that_decode_typed(streamed: list[Response]) -> None:
    assert len(streamed) == 639
    assert {name for response in streamed for name in response.rejected} == set()
    assert untyped_in(streamed) == {}


def test_recorded_streams_end_in_these_statuses(streamed: list[Response]) -> None:
    statuses = Counter(response.status for response in streamed if is_terminal_status(response.status))
    assert statuses == {"completed": 198, "incomplete": 12, "failed": 2}


def test_recorded_streams_carry_items_that_decode_typed(events: list[Fields]) -> None:
    items = [decode_item(event["item"]) for event in events if "item" in event]
    assert len(items) == 804
    assert Counter(name for item in items for name in untyped(item)) == {}


def test_recorded_streams_carry_parts_that_decode_typed(events: list[Fields]) -> None:
    parts = [decode_part(event["part"]) for event in events if "part" in event]
    assert len(parts) == 442
    assert Counter(name for part in parts for name in untyped(part)) == {}


def test_recorded_streams_carry_annotations_that_decode_typed(events: list[Fields]) -> None:
    annotations = [decode_annotation(event["annotation"]) for event in events if "annotation" in event]
    assert len(annotations) == 65
    assert Counter(name for annotation in annotations for name in untyped(annotation)) == {}


def test_taking_a_recorded_response_apart_gives_the_same_fields(bodies: dict[str, bytes]) -> None:
    for body in of_kind(bodies, "response"):
        # A field that no recording has, with a value that does not validate, closes the fast path.
        apart = decode_response(b'{"resolved_model": 5, ' + body.lstrip()[1:])
        assert apart == msgspec.structs.replace(decode_response(body), rejected=("resolved_model",))
