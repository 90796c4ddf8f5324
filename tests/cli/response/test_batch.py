"""`streamfold batch get|cancel|follow ID`."""

import json
from collections.abc import Callable
from typing import cast
from urllib.request import Request, urlopen

import anyio
import pytest

from streamfold.cli.response.batch import _cancel
from streamfold.client import FollowedBatch
from streamfold.errors import UsageError
from streamfold.schema import Batch
from streamfold.session import CancelResult
from tests.cli.conftest import KEY, Gateways, Run

Use = Callable[[str], None]


@pytest.fixture
def make(gateways: Gateways, use: Use) -> Callable[..., str]:
    """Makes a batch. Returns: its id."""

    def make(input_file_id: str = "file_1", **options: object) -> str:
        url = gateways(**options)
        use(url)
        body = {"input_file_id": input_file_id, "endpoint": "/v1/responses", "completion_window": "24h"}
        request = Request(
            f"{url}/api/v1/llm/batches",
            data=json.dumps(body | {"max_concurrency": 1}).encode(),
            headers={"authorization": f"Bearer {KEY}"},
        )
        with urlopen(request) as answer:
            return json.load(answer)["id"]

    return make


def test_a_batch_as_it_stands(make: Callable[..., str], run: Run) -> None:
    batch_id = make(batch_stage_seconds=60)
    ran = run("batch", "get", batch_id)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode() == f"{batch_id}: validating; 0 of 3 requests completed, 0 failed\n"


def test_a_batch_as_json(make: Callable[..., str], run: Run) -> None:
    batch_id = make(batch_stage_seconds=60)
    ran = run("batch", "get", batch_id, "--json")
    assert (ran.document["id"], ran.document["status"]) == (batch_id, "validating")


def test_a_batch_followed_to_its_end(make: Callable[..., str], run: Run) -> None:
    batch_id = make(batch_stage_seconds=0)
    ran = run("batch", "follow", batch_id)
    assert ran.code == 0
    assert ran.out.decode().splitlines() == [
        f"{batch_id}: completed; 3 of 3 requests completed, 0 failed; output file {batch_id.replace('batch', 'file')}",
        f"{batch_id}: completed, confirmed by a GET",
    ]


def test_a_batch_that_failed_is_exit_code_1_and_a_line(make: Callable[..., str], run: Run) -> None:
    batch_id = make("file_fail", batch_stage_seconds=0)
    ran = run("batch", "follow", batch_id)
    assert (ran.code, ran.err) == (1, f"streamfold: {batch_id}: failed, confirmed by a GET\n")
    assert "line 1: This line is not valid JSON." in ran.out.decode()


def test_a_cancel_waits_until_it_is_proven(make: Callable[..., str], run: Run) -> None:
    batch_id = make(batch_stage_seconds=60, batch_cancel_seconds=0.2)
    ran = run("batch", "cancel", batch_id, "--json")
    assert ran.code == 0
    assert ran.lines[-2]["status"] == "cancelled"
    assert {name: ran.outcome[name] for name in ("status", "proof", "cancel", "batch_id")} == {
        "status": "cancelled",
        "proof": "retrieved",
        "cancel": "cancel_won",
        "batch_id": batch_id,
    }
    assert ran.outcome["batch"]["status"] == "cancelled"


def test_a_cancel_of_what_is_over_says_so(make: Callable[..., str], run: Run) -> None:
    batch_id = make(batch_stage_seconds=0)
    ran = run("batch", "cancel", batch_id)
    assert ran.code == 0
    assert ran.out.decode().splitlines()[-1].endswith("it had already ended")


class Cancelled:
    """A batch whose cancel fails, and whose reader fails too, if it `fails`, on its way out."""

    def __init__(self, *, fails: bool) -> None:
        self._fails = fails

    def __aiter__(self) -> "Cancelled":
        return self

    async def __anext__(self) -> Batch:
        try:
            await anyio.sleep_forever()
        finally:
            if self._fails:
                raise BrokenPipeError
        raise StopAsyncIteration

    async def cancel(self) -> CancelResult:
        await anyio.wait_all_tasks_blocked()
        raise UsageError("no")


@pytest.mark.anyio
async def test_what_one_task_met_is_raised_as_it_is_and_what_two_met_together() -> None:
    with pytest.raises(UsageError):
        await _cancel(cast(FollowedBatch, Cancelled(fails=False)), print)
    with pytest.raises(BaseExceptionGroup) as raised:
        await _cancel(cast(FollowedBatch, Cancelled(fails=True)), print)
    assert {type(each) for each in raised.value.exceptions} == {UsageError, BrokenPipeError}
