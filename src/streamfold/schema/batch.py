"""The Batch object, and which of its statuses are terminal.

In      a Batch's JSON, decoded by `streamfold.schema.body.decode_batch`
Out     a frozen Batch; a field is None where it was null or not sent
Units   times are Unix seconds; counts are requests of the batch's input file
Source  docs/reference/bodies.md
"""

from enum import StrEnum

from msgspec import Struct

from streamfold.schema.item import JSON, Number
from streamfold.schema.response import NamesOfFields, Usage

__all__ = [
    "TERMINAL_BATCH_STATUSES",
    "Batch",
    "BatchError",
    "BatchErrors",
    "BatchStatus",
    "RequestCounts",
    "is_terminal_batch_status",
]


class BatchStatus(StrEnum):
    """The eight statuses of a Batch. The wire may hold others: `Batch.status` is any string."""

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
"""The statuses after which a batch no longer changes. `cancelling` is not one: it may last minutes."""


def is_terminal_batch_status(status: str | None) -> bool:
    """Whether a Batch of this status is over. An unknown status, or none, is not."""
    return status in TERMINAL_BATCH_STATUSES


class RequestCounts(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """How many requests there are, and how many have ended, in which way."""

    total: int | None = None
    completed: int | None = None
    failed: int | None = None


class BatchError(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What is wrong with the input file, and in which of its lines."""

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

    Only `status` tells how it stands; the times do not: a batch that is still `cancelling` may have a completed_at,
    an output file and all its requests done.
    rejected: names of fields that were sent with a value that does not validate; here they have their default.
    It is no field of the wire.
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
