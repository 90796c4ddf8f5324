"""The differences between MKA1, OpenAI and Open Responses as values, so that no `if` asks for a server's name.

A field is None if no source states it, which is never the same as no. MKA1's values come from its documentation, or
from its SDK if the documentation says nothing; no stream of it was recorded. "protocol" names sections of the protocol
reference.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct


class DoneMarker(StrEnum):
    """What a server of the dialect does with `data: [DONE]` at the end of a stream."""

    REQUIRED = "required"
    OPTIONAL = "optional"  # not sent by the original, but accepted by its SDK
    FORBIDDEN = "forbidden"  # the SDK raises on it


class FinishedReplay(StrEnum):
    """What you get if you stream a Response that is over."""

    TERMINAL_EVENT = "terminal_event"
    ALL_EVENTS = "all_events"


class WebhookScheme(StrEnum):
    """How the gateway signs a webhook."""

    MKA1 = "mka1"  # one header, over just the body
    STANDARD = "standard"  # Standard Webhooks: three headers, over id, time and body


class Dialect(Struct, frozen=True, kw_only=True):
    """How one family of servers behaves on the wire; docs/reference/dialects.md says what each value means."""

    # Paths and queries
    name: str  # the key in DIALECTS
    path_prefix: str | None = None  # what precedes `/responses` (protocol 4)
    include_parameter: str | None = None  # the query's name for each value of `include` (protocol 15, 16.5)
    can_retrieve: bool  # whether its schema has these calls at all (protocol 6)
    can_cancel: bool  # whether its schema has these calls at all (protocol 6)
    lowest_starting_after: int | None = None  # protocol 5

    # Streams
    content_type: str  # protocol 12
    done_marker: DoneMarker  # protocol 12, 16.1
    names_events: bool | None = None  # whether every block has an `event:` line equal to the `type` (protocol 12)
    first_sequence_number: int | None = None  # protocol 13.1
    # the type of the data event that keeps a stream open and takes a number (protocol 12, 16.11)
    keepalive_event: str | None = None
    # whether deltas carry `obfuscation` unless it is switched off (protocol 5, 12)
    obfuscates_by_default: bool | None = None
    nests_error_event: bool  # whether the `error` event holds `{"error": {...}}` on the wire (protocol 12, 16.7)
    has_cancelled_event: bool  # whether `response.cancelled` is a stream event (protocol 6, 16.6)
    # whether function_call_arguments.done carries the function's `name` (protocol 16.9)
    arguments_done_has_name: bool | None = None
    reasoning_event_prefix: str  # `.delta` and `.done` follow it (protocol 16.9)
    # the silence in seconds after which the dialect's SDK gives up (protocol 10, 16.2)
    sdk_read_timeout_seconds: float | None = None

    # Resuming
    # whether the Response must be created with background=true (protocol 4, 13.6, 16.8)
    resume_needs_background: bool | None = None
    resume_needs_stream: bool | None = None  # whether it must be created with stream=true (protocol 13.6, 16.8)
    # its age in seconds after which it can no longer be streamed (protocol 13.7)
    resume_window_seconds: int | None = None
    finished_replay: FinishedReplay | None = None  # protocol 13.5

    # Cancel (protocol 6): the status of a refusal
    cancel_terminal_status: int | None = None  # of a Response that is completed, failed or incomplete
    cancel_foreground_status: int | None = None  # of one that does not run in the background
    cancel_unknown_status: int | None = None  # of an id that does not exist
    is_cancel_repeatable: bool | None = None  # whether cancelling a cancelled Response gives that Response again

    # Requests (protocol 4)
    max_tool_calls_range: tuple[int, int] | None = None  # smallest and largest
    # what the documentation says; MKA1's SDK sends 64 of its own (protocol 16.10)
    max_tool_calls_default: int | None = None
    truncation_default: str | None = None
    verbosity_default: str | None = None  # protocol 1
    min_max_output_tokens: int | None = None  # the smallest `max_output_tokens`
    background_needs_store: bool | None = None  # whether background=true is refused with store=false (protocol 4)
    # whether it has POST .../responses/compact (protocol 8), POST .../responses/input_tokens, GET .../models
    can_compact: bool | None = None
    can_count_input_tokens: bool | None = None
    can_list_models: bool | None = None

    # Objects
    sends_output_text: bool  # whether `output_text` is a field of the Response (protocol 1, 16.9)
    required_fields: frozenset[str]  # keys that every Response must have (protocol 1)
    never_null_fields: frozenset[str]  # those of them that null is refused for (protocol 1)
    item_types: frozenset[str]  # output item types, without prefixed extensions (protocol 2)
    compaction_has_content: bool | None = None  # whether a compaction item has `content` (protocol 2)
    allows_item_extensions: bool  # whether an item's type may be `prefix:name` (protocol 2)
    requires_max_concurrency: bool | None = None  # whether every Batch has it (protocol 7)
    usage_has_cache_writes: bool | None = None  # whether the usage counts `cache_write_tokens`
    served_tier: str | None = None  # the `service_tier` of an ended Response that was created with `auto`

    # Serving
    cancels_on_disconnect: bool | None = None  # whether a foreground Response is cancelled when its client disconnects
    rate_limit_error_is_text: bool  # whether `error` in the body of a 429 is the message alone (protocol 9)
    webhook_scheme: WebhookScheme | None = None  # how webhooks are signed (protocol 11)
    # whether `data` of a webhook is the whole Response, instead of its id (protocol 11)
    webhook_holds_response: bool | None = None


_OPEN_RESPONSES_ITEMS = frozenset({"message", "reasoning", "function_call", "function_call_output", "compaction"})

# On both MKA1 and OpenAI.
_TOOL_ITEMS = frozenset(
    {
        "code_interpreter_call",
        "computer_call",
        "computer_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "file_search_call",
        "image_generation_call",
        "local_shell_call",
        "local_shell_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "shell_call",
        "shell_call_output",
        "web_search_call",
    }
)

_OPENAI_ONLY_ITEMS = frozenset(
    {
        "additional_tools",
        "apply_patch_call",
        "apply_patch_call_output",
        "program",
        "program_output",
        "tool_search_call",
        "tool_search_output",
    }
)

# Required by all three, though OpenAI lets `metadata` be null.
_SHARED_NEVER_NULL = frozenset({"id", "created_at", "model", "output", "parallel_tool_calls", "tool_choice", "tools"})
_SHARED_NULLABLE = frozenset({"error", "incomplete_details", "instructions"})
_LIMITS_AND_PREVIOUS = frozenset({"max_output_tokens", "max_tool_calls", "previous_response_id"})
_STATE_AND_SETTINGS = frozenset({"status", "background", "metadata", "store", "text", "truncation"})
_SAMPLING = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs"})

_MKA1_NEVER_NULL = _SHARED_NEVER_NULL | _STATE_AND_SETTINGS | {"usage"}
_OPENAI_NEVER_NULL = _SHARED_NEVER_NULL | {"object"}
_OPEN_RESPONSES_NEVER_NULL = _SHARED_NEVER_NULL | _STATE_AND_SETTINGS | _SAMPLING | {"object", "service_tier"}


MKA1 = Dialect(
    name="mka1",
    path_prefix="/api/v1/llm",
    include_parameter="include",
    can_retrieve=True,
    can_cancel=True,
    lowest_starting_after=-(2**53 - 1),
    content_type="text/event-stream",
    done_marker=DoneMarker.FORBIDDEN,
    nests_error_event=False,
    has_cancelled_event=True,
    arguments_done_has_name=True,
    reasoning_event_prefix="response.reasoning_text",
    sdk_read_timeout_seconds=5.0,
    resume_needs_background=True,
    resume_needs_stream=False,
    finished_replay=FinishedReplay.TERMINAL_EVENT,
    max_tool_calls_range=(1, 300),
    max_tool_calls_default=30,
    truncation_default="auto",
    verbosity_default="medium",
    min_max_output_tokens=1,
    can_compact=True,
    can_list_models=True,
    sends_output_text=True,
    required_fields=_MKA1_NEVER_NULL | _SHARED_NULLABLE | _LIMITS_AND_PREVIOUS | {"completed_at", "user"},
    never_null_fields=_MKA1_NEVER_NULL,
    item_types=_OPEN_RESPONSES_ITEMS | _TOOL_ITEMS | {"item_reference", "output_audio"},
    compaction_has_content=True,
    allows_item_extensions=False,
    requires_max_concurrency=True,
    cancels_on_disconnect=False,
    rate_limit_error_is_text=True,
    webhook_scheme=WebhookScheme.MKA1,
    webhook_holds_response=True,
)

OPENAI = Dialect(
    name="openai",
    path_prefix="/v1",
    include_parameter="include[]",
    can_retrieve=True,
    can_cancel=True,
    content_type="text/event-stream; charset=utf-8",
    done_marker=DoneMarker.OPTIONAL,
    names_events=True,
    first_sequence_number=0,
    keepalive_event="keepalive",
    obfuscates_by_default=True,
    nests_error_event=True,
    has_cancelled_event=False,
    arguments_done_has_name=False,
    reasoning_event_prefix="response.reasoning_text",
    sdk_read_timeout_seconds=600.0,
    resume_needs_background=True,
    resume_needs_stream=True,
    resume_window_seconds=300,
    finished_replay=FinishedReplay.ALL_EVENTS,
    cancel_terminal_status=400,
    cancel_foreground_status=400,
    cancel_unknown_status=404,
    is_cancel_repeatable=True,
    truncation_default="disabled",
    background_needs_store=True,
    can_compact=True,
    can_count_input_tokens=True,
    can_list_models=True,
    sends_output_text=False,
    required_fields=_OPENAI_NEVER_NULL | _SHARED_NULLABLE | {"metadata"},
    never_null_fields=_OPENAI_NEVER_NULL,
    item_types=_OPEN_RESPONSES_ITEMS | _TOOL_ITEMS | _OPENAI_ONLY_ITEMS,
    compaction_has_content=False,
    allows_item_extensions=False,
    requires_max_concurrency=False,
    usage_has_cache_writes=True,
    served_tier="default",
    cancels_on_disconnect=True,
    rate_limit_error_is_text=False,
    webhook_scheme=WebhookScheme.STANDARD,
    webhook_holds_response=False,
)

OPEN_RESPONSES = Dialect(
    name="open_responses",
    can_retrieve=False,
    can_cancel=False,
    lowest_starting_after=0,
    content_type="text/event-stream",
    done_marker=DoneMarker.REQUIRED,
    names_events=True,
    nests_error_event=True,
    has_cancelled_event=False,
    reasoning_event_prefix="response.reasoning",
    min_max_output_tokens=16,
    sends_output_text=False,
    required_fields=_OPEN_RESPONSES_NEVER_NULL
    | _SHARED_NULLABLE
    | _LIMITS_AND_PREVIOUS
    | {"completed_at", "reasoning", "usage", "prompt_cache_key", "safety_identifier"},
    never_null_fields=_OPEN_RESPONSES_NEVER_NULL,
    item_types=_OPEN_RESPONSES_ITEMS,
    allows_item_extensions=True,
    rate_limit_error_is_text=False,
)

DIALECTS: Mapping[str, Dialect] = MappingProxyType({each.name: each for each in (MKA1, OPENAI, OPEN_RESPONSES)})
"""The dialects by name: `mka1`, `openai`, `open_responses`."""
