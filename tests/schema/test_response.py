"""The Response and the Batch: their fields, what a missing one reads as, and which statuses end them."""

from typing import Any

import msgspec
import pytest

from streamfold.schema.item import Message, OutputText, UnknownItem
from streamfold.schema.response import (
    TERMINAL_BATCH_STATUSES,
    TERMINAL_RESPONSE_STATUSES,
    Batch,
    BatchError,
    BatchErrors,
    BatchStatus,
    IncompleteDetails,
    InputTokensDetails,
    OutputTokensDetails,
    ReasoningConfig,
    RequestCounts,
    Response,
    ResponseError,
    ResponseStatus,
    TextConfig,
    Usage,
    is_terminal_batch_status,
    is_terminal_status,
)

# The keys that the protocol reference lists for the Response object, of all three columns and of Azure, but for
# output_text, which is a property.
FIELDS = """
    id object created_at completed_at status error incomplete_details background instructions max_output_tokens
    max_tool_calls metadata model output parallel_tool_calls previous_response_id reasoning service_tier
    store text tool_choice tools truncation usage user temperature top_p presence_penalty frequency_penalty
    top_logprobs conversation prompt prompt_cache_key safety_identifier context_management resolved_model
    resolved_provider resolved_serving_location access_programs image input_transformations moderation
    prompt_cache_options prompt_cache_diagnostics prompt_cache_retention tool_usage content_filters
""".split()


def decode(value: dict[str, Any]) -> Response:
    return msgspec.json.decode(msgspec.json.encode(value), type=Response)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param("queued", False, id="waits"),
        pytest.param("in_progress", False, id="runs"),
        pytest.param("completed", True, id="answered"),
        pytest.param("failed", True, id="failed"),
        pytest.param("incomplete", True, id="cut short"),
        pytest.param("cancelled", True, id="cancelled"),
        pytest.param("warming_up", False, id="unknown"),
        pytest.param(None, False, id="not seen"),
    ],
)
def test_a_status_tells_whether_the_response_is_over(status: str | None, expected: bool) -> None:
    assert is_terminal_status(status) is expected


def test_four_of_the_six_statuses_are_terminal() -> None:
    assert len(ResponseStatus) == 6
    assert set(ResponseStatus) - TERMINAL_RESPONSE_STATUSES == {"queued", "in_progress"}


def test_a_response_has_every_field_of_the_protocol() -> None:
    assert Response.__struct_fields__ == (*FIELDS, "rejected")


def test_an_empty_object_is_a_response_that_says_nothing() -> None:
    response = decode({})
    assert {getattr(response, name) for name in FIELDS} == {None, ()}
    assert response.rejected == ()


def test_what_was_not_sent_is_not_encoded() -> None:
    sent = {"id": "resp_1", "status": "queued", "output": [{"type": "message"}]}
    assert msgspec.json.decode(msgspec.json.encode(decode(sent))) == sent


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "output"])
def test_every_field_but_the_output_may_be_null(name: str) -> None:
    assert decode({name: None}) == Response()


def test_a_cancelled_response_of_mka1_is_empty_and_has_a_usage_of_zeros() -> None:
    usage = {"input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0, "total_tokens": 0}
    response = decode({"status": "cancelled", "completed_at": 2, "output": [], "output_text": "", "usage": usage})
    assert is_terminal_status(response.status)
    assert (response.completed_at, response.output, response.output_text, response.error) == (2, (), "", None)
    assert response.usage == Usage(
        input_tokens=0, input_tokens_details=InputTokensDetails(cached_tokens=0), output_tokens=0, total_tokens=0
    )


def test_a_completed_response_of_mka1_holds_the_text_twice() -> None:
    part = {"type": "output_text", "text": "Lahore", "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": [part], "status": "completed"}
    response = decode({"output": [message], "output_text": "Lahore"})
    assert response.output == (
        Message(id="msg_1", role="assistant", status="completed", content=(OutputText(text="Lahore"),)),
    )
    assert response.output_text == "Lahore"


def test_output_text_joins_the_text_parts_of_all_messages_and_nothing_else() -> None:
    text = [{"type": "output_text", "text": text} for text in ("Hel", "lo")]
    output = [
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "message", "content": [text[0], {"type": "refusal", "refusal": "no"}, text[1]]},
        {"type": "function_call", "arguments": "{}"},
        {"type": "message", "content": [{"type": "output_text", "text": "!"}]},
    ]
    assert decode({"output": output}).output_text == "Hello!"


def test_output_text_does_not_need_what_the_server_sends() -> None:
    assert decode({"output_text": "old"}).output_text == ""


@pytest.mark.parametrize(
    ("name", "sent", "expected"),
    [
        pytest.param("created_at", 1735689600, 1735689600, id="whole seconds"),
        pytest.param("created_at", 1735689600.5, 1735689600.5, id="seconds with a fraction"),
        pytest.param("instructions", "be brief", "be brief", id="instructions as text"),
        pytest.param("instructions", [{"role": "user"}], ({"role": "user"},), id="instructions as items"),
        pytest.param("reasoning", {"effort": "low", "summary": None}, ReasoningConfig(effort="low"), id="reasoning"),
        pytest.param("reasoning", "hm", "hm", id="reasoning as text, mistral.rs"),
        pytest.param("text", {"format": {"type": "text"}}, TextConfig(format={"type": "text"}), id="format of text"),
        pytest.param("tool_choice", "auto", "auto", id="tool choice by name"),
        pytest.param("tool_choice", {"type": "function"}, {"type": "function"}, id="tool choice as object"),
        pytest.param("error", {"code": "x", "message": "y"}, ResponseError(code="x", message="y"), id="error"),
        pytest.param("error", {"code": 429}, ResponseError(code=429), id="error with a number for a code"),
        pytest.param("incomplete_details", {"reason": "steered"}, IncompleteDetails(reason="steered"), id="incomplete"),
        pytest.param("metadata", {"k": "v"}, {"k": "v"}, id="metadata"),
        pytest.param("status", "warming_up", "warming_up", id="unknown status"),
        pytest.param(
            "usage",
            {"output_tokens_details": {"reasoning_tokens": 3}, "num_sources_used": 1},
            Usage(output_tokens_details=OutputTokensDetails(reasoning_tokens=3)),
            id="usage with a field of xAI",
        ),
    ],
)
def test_a_field_decodes_to_its_type(name: str, sent: object, expected: object) -> None:
    assert getattr(decode({name: sent}), name) == expected


def test_an_unknown_item_may_stand_in_the_output() -> None:
    unknown = UnknownItem("new_call", b"{}", "why")
    assert Response(output=(unknown,)).output == (unknown,)


def test_no_bytes_of_a_server_can_fill_rejected() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode({"rejected": ["status"]})


# The Batch: its fields, and which statuses end it; its times do not

BATCH_FIELDS = """
    id object endpoint input_file_id completion_window status created_at request_counts max_concurrency errors
    output_file_id error_file_id in_progress_at expires_at finalizing_at completed_at failed_at expired_at
    cancelling_at cancelled_at metadata model usage
""".split()


def decode_a_batch(value: dict[str, Any]) -> Batch:
    return msgspec.json.decode(msgspec.json.encode(value), type=Batch)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param("validating", False, id="its file is read"),
        pytest.param("in_progress", False, id="runs"),
        pytest.param("finalizing", False, id="results are written"),
        pytest.param("cancelling", False, id="a cancel is not yet a cancelled batch"),
        pytest.param("completed", True, id="done"),
        pytest.param("failed", True, id="failed"),
        pytest.param("expired", True, id="its window ended"),
        pytest.param("cancelled", True, id="cancelled"),
        pytest.param("warming_up", False, id="unknown"),
        pytest.param(None, False, id="not seen"),
    ],
)
def test_a_status_tells_whether_the_batch_is_over(status: str | None, expected: bool) -> None:
    assert is_terminal_batch_status(status) is expected


def test_four_of_the_eight_statuses_are_terminal() -> None:
    assert len(BatchStatus) == 8
    assert set(BatchStatus) - TERMINAL_BATCH_STATUSES == {"validating", "in_progress", "finalizing", "cancelling"}


def test_a_batch_has_every_field_of_the_protocol() -> None:
    assert Batch.__struct_fields__ == (*BATCH_FIELDS, "rejected")


@pytest.mark.parametrize("name", BATCH_FIELDS)
def test_every_field_may_be_null(name: str) -> None:
    assert decode_a_batch({name: None}) == Batch()


def test_times_and_counts_do_not_tell_the_status() -> None:
    counts = {"total": 3, "completed": 3, "failed": 0}
    batch = decode_a_batch({"status": "cancelling", "completed_at": 9, "cancelling_at": 9, "request_counts": counts})
    assert batch.request_counts == RequestCounts(total=3, completed=3, failed=0)
    assert batch.completed_at == 9
    assert not is_terminal_batch_status(batch.status)


def test_max_concurrency_and_request_counts_may_be_absent() -> None:
    batch = decode_a_batch({"id": "batch_1", "object": "batch", "status": "validating"})
    assert (batch.max_concurrency, batch.request_counts) == (None, None)


@pytest.mark.parametrize(
    ("name", "sent", "expected"),
    [
        pytest.param("max_concurrency", 8, 8, id="concurrency, MKA1"),
        pytest.param("usage", {"total_tokens": 5}, Usage(total_tokens=5), id="usage, OpenAI"),
        pytest.param("metadata", {"k": "v"}, {"k": "v"}, id="metadata"),
        pytest.param(
            "errors",
            {"object": "list", "data": [{"code": "c", "message": "m", "param": None, "line": 7}]},
            BatchErrors(object="list", data=(BatchError(code="c", message="m", line=7),)),
            id="errors by line",
        ),
    ],
)
def test_a_field_decodes_to_its_type_of_a_batch(name: str, sent: object, expected: object) -> None:
    assert getattr(decode_a_batch({name: sent}), name) == expected


def test_no_bytes_of_a_server_can_fill_rejected_of_a_batch() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_a_batch({"rejected": ["status"]})
