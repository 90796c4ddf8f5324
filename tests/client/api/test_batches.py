"""A batch followed to its end, and cancelled on the way: no network, no sleeping."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from attrs import evolve

from streamfold.client import Gateway, Request
from streamfold.errors import Disconnected, UsageError
from streamfold.session import Backoff, CancelResult, OutcomeStatus, Patience, Proof
from tests.client.stub import Stub, Told, said

pytestmark = pytest.mark.anyio

QUICK = Patience(backoff=Backoff(first_seconds=0.0), poll_seconds=0.0)


def batch(status: str, **fields: Any) -> dict[str, Any]:
    return {"id": "batch_1", "object": "batch", "status": status} | fields


def gateway(answer: Callable[[Request], Told], patience: Patience = QUICK) -> tuple[Gateway, Stub]:
    stub = Stub(answer)
    return Gateway("http://stub", api_key="key", http=stub, patience=patience), stub


def in_turn(*told: Told) -> Callable[[Request], Told]:
    answers = iter(told)
    return lambda request: next(answers)


def cancellable(*after: str, cancel: Callable[[], Told]) -> Callable[[Request], Told]:
    """It is in progress till it is cancelled; then it takes these statuses."""
    statuses = iter(after)
    is_cancelled = False

    def answer(request: Request) -> Told:
        nonlocal is_cancelled
        if request.method == "POST":
            is_cancelled = True
            return cancel()
        return said(batch(next(statuses) if is_cancelled else "in_progress"))

    return answer


async def test_each_batch_that_is_fetched_is_given_till_the_last() -> None:
    statuses = ["validating", "in_progress", "finalizing", "completed"]
    here, stub = gateway(in_turn(*(said(batch(status)) for status in statuses)))
    async with here.batches.follow("batch_1") as followed:
        assert [each.status async for each in followed] == statuses
        outcome = await followed.outcome()
        assert followed.batch is outcome.batch
    assert (outcome.status, outcome.proof, outcome.cancel) == (OutcomeStatus.COMPLETED, Proof.RETRIEVED, None)
    assert len(stub.requests) == 4


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
async def test_every_other_end_is_an_outcome_too(status: str) -> None:
    here, _ = gateway(in_turn(said(batch(status))))
    async with here.batches.follow("batch_1") as followed:
        assert (await followed.outcome()).status == status


async def test_a_busy_gateway_and_a_lost_connection_are_asked_again() -> None:
    here, stub = gateway(
        in_turn(said({}, 503), Told(opening=Disconnected("gone")), said(b"<html>"), said(batch("completed")))
    )
    async with here.batches.follow("batch_1") as followed:
        assert (await followed.outcome()).status is OutcomeStatus.COMPLETED
    assert len(stub.requests) == 4


async def test_an_unknown_batch_is_lost_with_the_reason() -> None:
    here, _ = gateway(in_turn(said({"error": {"message": "No such batch."}}, 404)))
    async with here.batches.follow("batch_1") as followed:
        assert [each async for each in followed] == []
        outcome = await followed.outcome()
    assert (outcome.status, outcome.proof, outcome.batch) == (OutcomeStatus.LOST, None, None)
    assert "No such batch." in outcome.reason


async def test_a_cancel_is_believed_when_the_batch_is_cancelled() -> None:
    here, stub = gateway(cancellable("cancelling", "cancelling", "cancelled", cancel=lambda: said(batch("cancelling"))))
    async with here.batches.follow("batch_1") as followed:
        assert (await anext(followed)).status == "in_progress"
        assert await followed.cancel() is CancelResult.CANCEL_WON
        outcome = await followed.outcome()
    assert (outcome.status, outcome.cancel) == (OutcomeStatus.CANCELLED, CancelResult.CANCEL_WON)
    assert sum(request.method == "POST" for request in stub.requests) == 1


async def test_a_batch_that_completes_while_it_is_cancelled_says_so() -> None:
    here, _ = gateway(cancellable("cancelling", "completed", cancel=lambda: said(batch("cancelling"))))
    async with here.batches.follow("batch_1") as followed:
        assert await followed.cancel() is CancelResult.COMPLETION_WON
        assert (await followed.outcome()).status is OutcomeStatus.COMPLETED


async def test_a_cancel_that_comes_too_late_says_so() -> None:
    refused = said({"error": {"message": "Cannot cancel a completed batch."}}, 400)
    here, _ = gateway(cancellable("completed", cancel=lambda: refused))
    async with here.batches.follow("batch_1") as followed:
        assert await followed.cancel() is CancelResult.ALREADY_TERMINAL


async def test_two_tasks_may_wait_and_cancel() -> None:
    here, _ = gateway(cancellable("cancelling", "cancelled", cancel=lambda: said(batch("cancelling"))))
    results: list[CancelResult] = []
    async with here.batches.follow("batch_1") as followed, anyio.create_task_group() as tasks:

        async def cancel() -> None:
            results.append(await followed.cancel())

        tasks.start_soon(cancel)
        outcome = await followed.outcome()
    assert outcome.status is OutcomeStatus.CANCELLED
    assert results == [CancelResult.CANCEL_WON]


async def test_a_notice_ends_the_wait_for_the_next_get() -> None:
    patience = Patience(poll_seconds=3600.0)
    here, stub = gateway(in_turn(said(batch("in_progress")), said(batch("completed"))), patience)
    async with here.batches.follow("batch_1") as followed, anyio.create_task_group() as tasks:

        async def tell() -> None:
            await anyio.wait_all_tasks_blocked()
            assert len(stub.requests) == 1
            followed.notice()

        tasks.start_soon(tell)
        with anyio.fail_after(5):
            assert (await followed.outcome()).status is OutcomeStatus.COMPLETED


async def test_the_whole_time_is_bounded_where_that_is_asked() -> None:
    here, _ = gateway(lambda request: said(batch("in_progress")), Patience(total_seconds=0.0, poll_seconds=60.0))
    async with here.batches.follow("batch_1") as followed:
        outcome = await followed.outcome()
    assert outcome.status is OutcomeStatus.LOST
    assert "did not end within" in outcome.reason


async def test_a_batch_is_followed_inside_its_block_only() -> None:
    here, stub = gateway(in_turn())
    followed = here.batches.follow("batch_1")
    with pytest.raises(UsageError):
        await followed.outcome()
    with pytest.raises(UsageError):
        await anext(followed)
    assert not stub.requests


async def test_an_exception_of_the_block_comes_out_as_it_is() -> None:
    here, _ = gateway(lambda request: said(batch("in_progress")))
    with pytest.raises(LookupError, match="mine"):
        async with here.batches.follow("batch_1") as followed:
            async for _ in followed:
                raise LookupError("mine")


async def test_a_reader_that_is_cancelled_ends_no_get_that_is_on_its_way() -> None:
    go = anyio.Event()
    answer = said(batch("completed"))
    here, stub = gateway(in_turn(evolve(answer, opening=go)))
    async with here.batches.follow("batch_1") as followed:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(followed.outcome)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        go.set()
        assert (await followed.outcome()).status is OutcomeStatus.COMPLETED
    assert len(stub.requests) == 1


async def test_a_batch_that_is_left_is_asked_for_no_more() -> None:
    here, stub = gateway(lambda request: said(batch("in_progress")))
    async with here.batches.follow("batch_1") as followed:
        await anext(followed)
    made = len(stub.requests)
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    assert len(stub.requests) == made
