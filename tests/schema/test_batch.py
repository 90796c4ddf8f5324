"""The Batch: its fields, and which statuses end it; its times do not."""

from typing import Any

import msgspec
import pytest

from streamfold.schema.batch import (
    TERMINAL_BATCH_STATUSES,
    Batch,
    BatchError,
    BatchErrors,
    BatchStatus,
    RequestCounts,
    is_terminal_batch_status,
)
from streamfold.schema.response import Usage

FIELDS = """
    id object endpoint input_file_id completion_window status created_at request_counts max_concurrency errors
    output_file_id error_file_id in_progress_at expires_at finalizing_at completed_at failed_at expired_at
    cancelling_at cancelled_at metadata model usage
""".split()


def decode(value: dict[str, Any]) -> Batch:
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
    assert Batch.__struct_fields__ == (*FIELDS, "rejected")


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_may_be_null(name: str) -> None:
    assert decode({name: None}) == Batch()


def test_times_and_counts_do_not_tell_the_status() -> None:
    counts = {"total": 3, "completed": 3, "failed": 0}
    batch = decode({"status": "cancelling", "completed_at": 9, "cancelling_at": 9, "request_counts": counts})
    assert batch.request_counts == RequestCounts(total=3, completed=3, failed=0)
    assert batch.completed_at == 9
    assert not is_terminal_batch_status(batch.status)


def test_max_concurrency_and_request_counts_may_be_absent() -> None:
    batch = decode({"id": "batch_1", "object": "batch", "status": "validating"})
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
def test_a_field_decodes_to_its_type(name: str, sent: object, expected: object) -> None:
    assert getattr(decode({name: sent}), name) == expected


def test_no_bytes_of_a_server_can_fill_rejected() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode({"rejected": ["status"]})
