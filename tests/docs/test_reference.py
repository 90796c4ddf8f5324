"""The reference says what the code does: names, members, sentences, and what each kind of bad data becomes."""

from enum import Enum
from types import ModuleType

import pytest
from msgspec import Struct
from msgspec.structs import fields

from streamfold import (
    AnomalyKind,
    EventReader,
    FrameTooLarge,
    MalformedBody,
    MalformedCheckpoint,
    NumberNotReached,
    SequenceGap,
    SequencePolicy,
    State,
    StreamfoldError,
    UnknownEvent,
    decode_event,
    errors,
    reduce,
    schema,
    sse,
)
from streamfold.errors import (
    ConnectFailed,
    Disconnected,
    IdleTimeout,
    InvalidArgument,
    InvalidWebhook,
    LeaseHeld,
    LogClosed,
    LogConflict,
    LogGap,
    OutcomeError,
    ProtocolViolation,
    RequestRefused,
    ResponseCancelled,
    ResponseFailed,
    ResponseIncomplete,
    ResponseLost,
    TextChanged,
    TransportError,
    UnexpectedAnswer,
    UnknownStream,
    WriterFenced,
)
from streamfold.fold.reduce import FRAGMENTS_PER_BLOCK
from streamfold.fold.target import MAX_INDEX
from streamfold.fold.text import BLOCKS_PER_PAGE
from streamfold.reader import HELD_BYTES
from streamfold.schema import EVENT_TYPES, event, item, response
from streamfold.sse.frame import MAX_RETRY_DIGITS
from tests.docs.pages import DOCS

REFERENCE = DOCS / "reference"
BATCH_NAMES = {"Batch", "BatchError", "BatchErrors", "BatchStatus", "RequestCounts", "is_terminal_batch_status"}
# What a reader meets in annotations, or in the source.
BASES = {"ClassVar", "KnownAnnotation", "KnownItem", "KnownPart", "Literal", "Named", "Tagged", "Unknown"}


def defined_in(module: ModuleType) -> set[str]:
    """The names of the classes and functions of a module."""
    return {name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}


def read(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


@pytest.mark.parametrize(
    ("page", "names"),
    [
        pytest.param("api.md", sse.__all__, id="sse"),
        pytest.param("api.md", set(schema.__all__) - set(event.__all__) - {"event"}, id="schema"),
        pytest.param("events.md", set(event.__all__) - {"NULL", "Event", "UnknownEvent"}, id="events"),
        pytest.param("errors.md", errors.__all__, id="errors"),
        pytest.param("bodies.md", defined_in(item) - BASES | {"JSON"}, id="items"),
        pytest.param("bodies.md", BATCH_NAMES, id="batch"),
        pytest.param("response.md", defined_in(response) - BATCH_NAMES | {"TERMINAL_RESPONSE_STATUSES"}, id="response"),
    ],
)
def test_every_name_of_a_door_is_on_its_page(page: str, names: object) -> None:
    assert isinstance(names, list | set)
    text = read(page)
    assert [name for name in sorted(names) if f"`{name}`" not in text and f"`{name}(" not in text] == []


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        pytest.param("anomalies.md", AnomalyKind, id="anomalies"),
        pytest.param("wire.md", SequencePolicy, id="policies"),
        pytest.param("response.md", response.ResponseStatus, id="statuses"),
        pytest.param("bodies.md", response.BatchStatus, id="statuses of a batch"),
    ],
)
def test_every_member_is_on_its_page(page: str, kind: type[Enum]) -> None:
    text = read(page)
    assert [member.value for member in kind if f"`{member.value}`" not in text] == []


@pytest.mark.parametrize(
    "kind",
    [
        each
        for each in vars(response).values()
        if isinstance(each, type) and issubclass(each, Struct) and each is not Struct
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_field_of_a_response_is_on_its_page(kind: type[Struct]) -> None:
    text = read("response.md") + read("bodies.md")
    assert [field.name for field in fields(kind) if f"`{field.name}`" not in text] == []


@pytest.mark.parametrize(
    "error",
    [
        FrameTooLarge(64 * 1024 * 1024),
        MalformedBody("Response", "Expected `object`, got `array`"),
        MalformedCheckpoint("its version is 2, and this streamfold reads version 1"),
        SequenceGap(3, 5),
        NumberNotReached(9, 4),
        InvalidArgument("starting_after", "must be a whole number, 0 or more"),
        InvalidWebhook("its signature does not match"),
        RequestRefused(404, "Response not found", "not_found", None, "req_7"),
        UnexpectedAnswer("an event stream", 200, "text/html", None, "<html>hello</html>"),
        TransportError("broken"),
        ConnectFailed("connection refused"),
        IdleTimeout("nothing arrived for 60 seconds"),
        Disconnected("connection reset"),
        ProtocolViolation("bad chunk header"),
        OutcomeError(None, "abandoned"),
        ResponseFailed("resp_1", "failed", "the model crashed", "server_error"),
        ResponseIncomplete("resp_1", "incomplete", "max_output_tokens"),
        ResponseCancelled("resp_1", "cancelled"),
        ResponseLost("resp_1", "lost", "no answer for 600 s"),
        TextChanged("resp_1", "completed"),
        UnknownStream("tenant", "resp_1"),
        LeaseHeld("host-7", 12.34),
        WriterFenced(3, 5),
        LogGap(4, 7),
        LogConflict(4),
        LogClosed(9, 9),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_sentence_of_an_error_is_on_its_page(error: StreamfoldError) -> None:
    assert str(error) in read("errors.md")


def test_the_page_of_events_counts_the_types() -> None:
    assert f"All {len(EVENT_TYPES)} event types" in read("events.md")


# What bad data becomes: the first cell of a row of wire.md, data of that kind, and what the row says

MENDED, UNKNOWN, MISFORMED, UNNUMBERED, TORN = "mended", "unknown", "misformed", "unnumbered", "torn"
DELTA = b'{"type":"response.output_text.delta","sequence_number":1,"output_index":0,"content_index":0,"delta":"a"}'
CREATED = b'{"type":"response.created","sequence_number":1,"response":{}}'


@pytest.mark.parametrize(
    ("kind", "data", "becomes"),
    [
        ("a field that the class does not have", DELTA.replace(b'"delta"', b'"new":1,"delta"'), MENDED),
        ("an unknown `type`", DELTA.replace(b"output_text", b"new"), UNKNOWN),
        ("a known type with a missing field", DELTA.replace(b'"delta":', b'"other":'), MISFORMED),
        ("`null` where an object is required", CREATED.replace(b"{}", b"null"), MISFORMED),
        ("a `sequence_number` that is text", DELTA.replace(b":1,", b':"1",'), UNNUMBERED),
        ("an event without an index", DELTA.replace(b'"content_index":0,', b""), MENDED),
        ("an error in another shape", b'{"error":"too many","sequence_number":1}', MENDED),
        ("a negative or very large `sequence_number`", DELTA.replace(b":1,", b":-1,"), MENDED),
        ("an invalid byte in UTF-8", DELTA.replace(b'"a"', b'"\xff"'), MENDED),
        ("half of a surrogate pair", DELTA.replace(b'"a"', b'"\\ud800"'), MENDED),
        ("a key that comes twice", DELTA.replace(b":1,", b':7,"sequence_number":1,'), MENDED),
        ("a number too large for a float", CREATED.replace(b"{}", b'{"temperature":1e400}'), MENDED),
        ("`NaN`, `Infinity`", DELTA.replace(b'"a"', b"NaN"), TORN),
        ("text after the object", DELTA + b" x", TORN),
        ("an array, a text, a number", b"[]", TORN),
        ("nothing at all", b"", TORN),
        ("an object without a `type` that is text", b'{"type":1,"sequence_number":1}', TORN),
        ("truncated JSON", DELTA[:-1], TORN),
        ("JSON nested deeper", CREATED.replace(b"{}", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), TORN),
    ],
)
def test_bad_data_becomes_what_the_page_says(kind: str, data: bytes, becomes: str) -> None:
    assert kind in read("wire.md")
    found = decode_event(data)
    is_unknown = isinstance(found, UnknownEvent)
    state = reduce(reduce(State(), decode_event(b'{"type":"keepalive","sequence_number":0}')), found)
    is_noted = AnomalyKind.MALFORMED in {anomaly.kind for anomaly in state.anomalies}
    moves = state.cursor == 1
    expected = {
        MENDED: (False, False, True),
        UNKNOWN: (True, False, True),
        MISFORMED: (True, True, True),
        UNNUMBERED: (False, False, False),
        TORN: (True, True, False),
    }[becomes]
    assert (is_unknown, is_noted, moves or b":-1," in data) == expected


def test_the_end_marker_is_no_event_and_changes_no_state() -> None:
    assert EventReader().feed(b"data: [DONE]\n\n") == []
    state = State()
    assert reduce(state, decode_event(b"[DONE]")) is state


# Numbers that a page takes from the code


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("explanation/state.md", f"a multiple of {FRAGMENTS_PER_BLOCK},"),
        ("explanation/state.md", f"{BLOCKS_PER_PAGE} blocks are joined into a page"),
        ("decisions/0004-text-by-shared-fragments.md", f"a multiple of {FRAGMENTS_PER_BLOCK},"),
        ("explanation/reader.md", f"{HELD_BYTES // 1024} KiB and eight such chunks"),
        ("explanation/laws.md", f"an index beyond {MAX_INDEX:,} is refused"),
        ("reference/anomalies.md", f"above {MAX_INDEX:,}"),
        ("reference/events.md", f"outside 0 to {MAX_INDEX:,}"),
        ("reference/wire.md", f"more than {MAX_RETRY_DIGITS} digits"),
        ("how-to/set-limits.md", f"| {MAX_INDEX:,};"),
    ],
)
def test_a_page_has_the_number_of_the_code(page: str, sentence: str) -> None:
    assert sentence in " ".join((DOCS / page).read_text("utf-8").split())
