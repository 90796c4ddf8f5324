"""Dialects: the differences that the protocol reference states, and nothing where it is silent."""

from typing import Any

import msgspec.structs
import pytest

from streamfold.schema.dialect import DIALECTS, MKA1, OPEN_RESPONSES, OPENAI, Dialect, DoneMarker, FinishedReplay

EACH_DIALECT = pytest.mark.parametrize("dialect", [pytest.param(each, id=each.name) for each in DIALECTS.values()])


def test_a_dialect_is_found_by_its_name() -> None:
    assert dict(DIALECTS) == {"mka1": MKA1, "openai": OPENAI, "open_responses": OPEN_RESPONSES}


@EACH_DIALECT
def test_a_dialect_cannot_be_changed(dialect: Any) -> None:
    with pytest.raises(AttributeError):
        dialect.name = "other"


def test_the_table_of_dialects_cannot_be_changed() -> None:
    assert not hasattr(DIALECTS, "__setitem__")


def test_a_value_that_a_dialect_leaves_out_is_not_stated() -> None:
    assert {field.default for field in msgspec.structs.fields(Dialect)} == {None, msgspec.NODEFAULT}


@pytest.mark.parametrize(
    ("name", "mka1", "openai", "open_responses"),
    [
        pytest.param("path_prefix", "/api/v1/llm", "/v1", None, id="paths"),
        pytest.param("include_parameter", "include", "include[]", None, id="lists in queries"),
        pytest.param("can_cancel", True, True, False, id="calls"),
        pytest.param(
            "done_marker", DoneMarker.FORBIDDEN, DoneMarker.OPTIONAL, DoneMarker.REQUIRED, id="the end of a stream"
        ),
        pytest.param("has_cancelled_event", True, False, False, id="end of a cancelled stream"),
        pytest.param("nests_error_event", False, True, True, id="shape of the error event"),
        pytest.param("arguments_done_has_name", True, False, None, id="name in arguments.done"),
        pytest.param("keepalive_event", None, "keepalive", None, id="keep-alive that takes a number"),
        pytest.param("first_sequence_number", None, 0, None, id="first number"),
        pytest.param("resume_needs_stream", False, True, None, id="resuming what was not streamed"),
        pytest.param("resume_window_seconds", None, 300, None, id="five minutes"),
        pytest.param(
            "finished_replay", FinishedReplay.TERMINAL_EVENT, FinishedReplay.ALL_EVENTS, None, id="replay when over"
        ),
        pytest.param("cancel_terminal_status", None, 400, None, id="too late a cancel"),
        pytest.param("cancel_unknown_status", None, 404, None, id="cancel of nothing"),
        pytest.param("max_tool_calls_range", (1, 300), None, None, id="tool calls"),
        pytest.param("truncation_default", "auto", "disabled", None, id="truncation"),
        pytest.param("sdk_read_timeout_seconds", 5.0, 600.0, None, id="patience of the SDK"),
        pytest.param("sends_output_text", True, False, False, id="output_text"),
    ],
)
def test_dialects_differ_as_the_protocol_says(name: str, mka1: object, openai: object, open_responses: object) -> None:
    assert [getattr(each, name) for each in (MKA1, OPENAI, OPEN_RESPONSES)] == [mka1, openai, open_responses]


@EACH_DIALECT
def test_a_field_that_refuses_null_is_required(dialect: Dialect) -> None:
    assert dialect.never_null_fields < dialect.required_fields


@pytest.mark.parametrize(
    ("dialect", "nullable"),
    [
        pytest.param(
            MKA1,
            "completed_at error incomplete_details instructions max_output_tokens max_tool_calls previous_response_id user",
            id="mka1",
        ),
        pytest.param(OPENAI, "error incomplete_details instructions metadata", id="openai"),
        pytest.param(
            OPEN_RESPONSES,
            "completed_at error incomplete_details instructions max_output_tokens max_tool_calls previous_response_id "
            "prompt_cache_key reasoning safety_identifier usage",
            id="open_responses",
        ),
    ],
)
def test_these_fields_are_required_and_may_be_null(dialect: Dialect, nullable: str) -> None:
    assert sorted(dialect.required_fields - dialect.never_null_fields) == nullable.split()


def test_mka1_refuses_a_usage_that_openai_sends_as_null() -> None:
    assert "usage" in MKA1.never_null_fields
    assert "usage" not in OPENAI.required_fields


@pytest.mark.parametrize(
    ("item_type", "known_to"),
    [
        pytest.param("message", {"mka1", "openai", "open_responses"}, id="everywhere"),
        pytest.param("shell_call", {"mka1", "openai"}, id="tools"),
        pytest.param("output_audio", {"mka1"}, id="MKA1 only"),
        pytest.param("apply_patch_call", {"openai"}, id="OpenAI only"),
        pytest.param("x_search_call", set(), id="nowhere"),
    ],
)
def test_item_types_are_known_to_some_dialects(item_type: str, known_to: set[str]) -> None:
    assert {name for name, dialect in DIALECTS.items() if item_type in dialect.item_types} == known_to
