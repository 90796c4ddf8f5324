"""The two objects that the API returns, Response and Batch, and which of their statuses are terminal.

A field is None if it was null or not sent: a stream that has only begun has sent few. Times are Unix seconds.
"""

from enum import StrEnum
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from streamfold.schema.item import JSON, Item, Number, UnknownItem


class ResponseStatus(StrEnum):
    """The six statuses of a Response. A server may send others: `Response.status` is any string."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    CANCELLED = "cancelled"


TERMINAL_RESPONSE_STATUSES = frozenset(
    {ResponseStatus.COMPLETED, ResponseStatus.FAILED, ResponseStatus.INCOMPLETE, ResponseStatus.CANCELLED}
)
"""The statuses after which nothing changes, except on servers that break this rule."""


def is_terminal_status(status: str | None) -> bool:
    """Whether a Response of this status is over. False for a status that is not known, and for None."""
    return status in TERMINAL_RESPONSE_STATUSES


class InputTokensDetails(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Input tokens read from, or written to, the prompt cache."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputTokensDetails(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Output tokens spent on reasoning."""

    reasoning_tokens: int | None = None


class Usage(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The tokens used. MKA1 always sends it; OpenAI sends null until the terminal event."""

    input_tokens: int | None = None
    input_tokens_details: InputTokensDetails | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputTokensDetails | None = None
    total_tokens: int | None = None


class ResponseError(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Why a Response failed. Not the body of an HTTP error, and not the stream's `error` event."""

    code: str | int | None = None
    message: str | None = None
    type: str | None = None
    param: str | None = None
    misalignment: JSON = None


class IncompleteDetails(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Why a Response is incomplete: `max_output_tokens`, `content_filter`, `max_messages`, `steered`."""

    reason: str | None = None
    type: str | None = None


class ReasoningConfig(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """How much the model was asked to think, and to show of it."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


class TextConfig(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The format and length asked for: `format` is `{type: text | json_object | json_schema, ...}`."""

    format: JSON = None
    verbosity: str | None = None


# msgspec checks a constraint only when it decodes: our own code can fill this field, a server cannot.
NamesOfFields: TypeAlias = Annotated[tuple[str, ...], Meta(max_length=0)]


class Response(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One Response as the server shows it, at any moment of its life.

    Fields that no schema names are left out; `snapshot_json` and the bytes keep them.

    Attributes:
        rejected: The names of fields whose value does not validate; they have their default here. Not on the wire.
    """

    id: str | None = None
    object: str | None = None
    created_at: Number | None = None
    completed_at: Number | None = None
    status: str | None = None
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    background: bool | None = None
    instructions: str | tuple[JSON, ...] | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, JSON] | None = None
    model: str | None = None
    output: tuple[Item | UnknownItem, ...] = ()
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    reasoning: ReasoningConfig | str | None = None  # mistral.rs puts the reasoning itself here, as text
    service_tier: str | None = None
    store: bool | None = None
    text: TextConfig | None = None
    tool_choice: JSON = None
    tools: tuple[JSON, ...] | None = None
    truncation: str | None = None
    usage: Usage | None = None
    user: str | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    top_logprobs: int | None = None
    conversation: JSON = None
    prompt: JSON = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    # MKA1 only; the resolved ones are absent until a route is known
    context_management: tuple[JSON, ...] | None = None
    resolved_model: str | None = None
    resolved_provider: str | None = None
    resolved_serving_location: str | None = None
    # OpenAI only
    access_programs: JSON = None
    image: JSON = None
    input_transformations: tuple[JSON, ...] | None = None
    moderation: JSON = None  # in the terminal event only
    prompt_cache_options: JSON = None
    prompt_cache_diagnostics: JSON = None
    prompt_cache_retention: str | None = None
    tool_usage: JSON = None
    # Azure only
    content_filters: tuple[JSON, ...] | None = None

    rejected: NamesOfFields = ()

    @property
    def output_text(self) -> str:
        """The text of all output_text parts of all messages, joined; the same on every dialect."""
        messages = (item for item in self.output if item.type == "message")
        return "".join(part.text for message in messages for part in message.content if part.type == "output_text")


class BatchStatus(StrEnum):
    """The eight statuses of a Batch. A server may send others: `Batch.status` is any string."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


TERMINAL_BATCH_STATUSES = frozenset(
    {BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.EXPIRED, BatchStatus.CANCELLED}
)
"""The statuses after which a batch no longer changes. `cancelling`, which may take minutes, is not one."""


def is_terminal_batch_status(status: str | None) -> bool:
    """Whether a Batch of this status is over. False for a status that is not known, and for None."""
    return status in TERMINAL_BATCH_STATUSES


class RequestCounts(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """How many requests there are, and how many completed or failed."""

    total: int | None = None
    completed: int | None = None
    failed: int | None = None


class BatchError(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What is wrong with the input file, and on which line."""

    code: str | None = None
    message: str | None = None
    param: str | None = None
    line: int | None = None


class BatchErrors(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The list of a Batch's errors."""

    object: str | None = None
    data: tuple[BatchError, ...] | None = None


class Batch(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One batch of requests as the server shows it.

    Use `status` to find out whether it is over, never the times: a batch that is still `cancelling` may already have
    a completed_at, an output file and no request left to run.

    Attributes:
        rejected: The names of fields whose value does not validate; they have their default here. Not on the wire.
    """

    id: str | None = None
    object: str | None = None
    endpoint: str | None = None
    input_file_id: str | None = None
    completion_window: str | None = None
    status: str | None = None
    created_at: Number | None = None
    request_counts: RequestCounts | None = None
    max_concurrency: int | None = None  # MKA1 only, and not in all of its versions
    errors: BatchErrors | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: Number | None = None
    expires_at: Number | None = None
    finalizing_at: Number | None = None
    completed_at: Number | None = None
    failed_at: Number | None = None
    expired_at: Number | None = None
    cancelling_at: Number | None = None
    cancelled_at: Number | None = None
    metadata: dict[str, JSON] | None = None
    # OpenAI only
    model: str | None = None
    usage: Usage | None = None

    rejected: NamesOfFields = ()
