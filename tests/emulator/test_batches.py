"""Batches: their statuses as the clock moves them, and their cancel."""

import json
from typing import Any

import pytest

from streamfold.emulator import CANCEL_RULES, Emulator, Options
from streamfold.schema import decode_batch
from tests.emulator.inprocess import BOTH, MKA1, OPENAI, Answer, HandClock, ask

pytestmark = pytest.mark.anyio


class Bench:
    """An emulator with one batch of three requests, each stage ten seconds long."""

    def __init__(self, prefix: str = MKA1, **options: Any) -> None:
        self.clock = HandClock()
        settings = Options(batch_stage_seconds=10, batch_cancel_seconds=2, **options)
        self.app = Emulator(settings, clock=self.clock)
        self.path = f"{prefix}/batches"
        self.id = ""

    async def create(self, **fields: Any) -> Answer:
        asked = {"input_file_id": "file_1", "endpoint": "/v1/responses", "completion_window": "24h", **fields}
        answer = await ask(self.app, "POST", self.path, asked)
        self.id = answer.json.get("id", "")
        return answer

    async def after(self, seconds: float) -> dict[str, Any]:
        self.clock.advance(seconds)
        return (await ask(self.app, "GET", f"{self.path}/{self.id}")).json

    async def cancel(self) -> Answer:
        return await ask(self.app, "POST", f"{self.path}/{self.id}/cancel")


@pytest.mark.parametrize("prefix", BOTH)
async def test_a_batch_goes_its_way_by_the_clock(prefix: str) -> None:
    bench = Bench(prefix)
    found = [(await bench.create()).json, *[await bench.after(each) for each in (9, 1, 10, 10, 1000)]]
    assert [each["status"] for each in found] == [
        "validating",
        "validating",
        "in_progress",
        "finalizing",
        "completed",
        "completed",
    ]
    assert found[-1]["in_progress_at"] == found[0]["created_at"] + 10
    assert found[-1]["completed_at"] == found[0]["created_at"] + 30
    assert found[-1]["output_file_id"]


async def test_its_requests_are_done_one_after_the_other() -> None:
    bench = Bench()
    counts = [(await bench.create()).json["request_counts"]["completed"]]
    counts += [(await bench.after(each))["request_counts"]["completed"] for each in (10, 4, 3, 3, 10)]
    assert counts == [0, 0, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("file", "status", "field"), [("file_fail", "failed", "failed_at"), ("file_expire", "expired", "expired_at")]
)
async def test_a_word_in_the_file_makes_it_end_otherwise(file: str, status: str, field: str) -> None:
    bench = Bench()
    await bench.create(input_file_id=file)
    ended = await bench.after(100)
    assert ended["status"] == status
    assert ended[field]
    assert bool(ended["errors"]) == (status == "failed")


@pytest.mark.parametrize(("prefix", "has_limit"), [(MKA1, True), (OPENAI, False)])
async def test_the_limit_of_requests_at_a_time_is_mka1s(prefix: str, has_limit: bool) -> None:
    batch = (await Bench(prefix).create(metadata={"a": "b"})).json
    assert ("max_concurrency" in batch) is has_limit
    assert batch["metadata"] == {"a": "b"}


async def test_a_batch_decodes_typed() -> None:
    bench = Bench()
    await bench.create()
    batch = decode_batch(json.dumps(await bench.after(15)).encode())
    assert (batch.status, batch.rejected) == ("in_progress", ())


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize("after", [0, 12, 22])
async def test_a_cancel_is_first_cancelling_and_soon_cancelled(prefix: str, after: float) -> None:
    bench = Bench(prefix)
    await bench.create()
    await bench.after(after)
    answer = await bench.cancel()
    assert (answer.status, answer.json["status"]) == (200, "cancelling")
    assert (await bench.after(1.9))["status"] == "cancelling"
    ended = await bench.after(0.1)
    assert ended["status"] == "cancelled"
    assert ended["cancelled_at"] == ended["cancelling_at"] + 2
    assert ended["completed_at"] is None


async def test_what_was_done_before_the_cancel_stays_done() -> None:
    bench = Bench()
    await bench.create()
    await bench.after(17)
    await bench.cancel()
    ended = await bench.after(100)
    assert ended["request_counts"] == {"total": 3, "completed": 2, "failed": 0}
    assert ended["output_file_id"]


async def test_a_cancel_may_be_repeated() -> None:
    bench = Bench()
    await bench.create()
    first = await bench.cancel()
    await bench.after(1)
    assert (await bench.cancel()).json["cancelling_at"] == first.json["cancelling_at"]
    await bench.after(10)
    assert (await bench.cancel()).json["status"] == "cancelled"


@pytest.mark.parametrize("dialect", CANCEL_RULES)
async def test_what_is_over_is_refused_as_the_dialect_does(dialect: str) -> None:
    bench = Bench(cancel=dialect)
    await bench.create()
    await bench.after(100)
    answer = await bench.cancel()
    assert answer.status == {"conflict409": 409, "finished200": 200}.get(dialect, 400)


async def test_a_batch_may_complete_although_it_was_cancelled() -> None:
    bench = Bench(cancel="completes-anyway")
    await bench.create()
    await bench.after(17)
    assert (await bench.cancel()).json["status"] == "cancelling"
    ended = await bench.after(2)
    assert (ended["status"], ended["request_counts"]["completed"]) == ("completed", 3)


async def test_batches_are_listed_newest_first() -> None:
    bench = Bench()
    first, second = (await bench.create()).json["id"], (await bench.create()).json["id"]
    found = (await ask(bench.app, "GET", bench.path)).json
    assert [each["id"] for each in found["data"]] == [second, first]
    assert (await ask(bench.app, "GET", f"{bench.path}?limit=0")).status == 400


async def test_a_bad_create_names_its_field() -> None:
    answer = await Bench().create(endpoint="/v1/nothing")
    assert (answer.status, answer.error["param"]) == (400, "endpoint")


async def test_another_tenants_batch_is_not_found() -> None:
    bench = Bench()
    await bench.create()
    for method, path in (("GET", ""), ("POST", "/cancel")):
        answer = await ask(bench.app, method, f"{bench.path}/{bench.id}{path}", authorization="Bearer other")
        assert (answer.status, answer.error["param"]) == (404, "batch_id")


async def test_stages_without_time_are_over_at_once() -> None:
    app = Emulator(Options(batch_stage_seconds=0, batch_cancel_seconds=0), clock=HandClock())
    asked = {"input_file_id": "file_1", "endpoint": "/v1/responses", "completion_window": "24h"}
    assert (await ask(app, "POST", f"{MKA1}/batches", asked)).json["status"] == "completed"
