"""A followed response that is cancelled, by its caller or with its task."""

from typing import Any

import anyio
import pytest
from attrs import evolve

from streamfold.errors import (
    Disconnected,
)
from streamfold.schema import OutputTextDelta
from streamfold.session import Backoff, CancelResult, OutcomeStatus, Patience, Proof
from tests.client.follow.test_follow import CUT, QUICK, WHOLE, by_call, gateway
from tests.client.stub import Told, forever, said, stream
from tests.session.made import RESPONSE_ID, body, created, ended

pytestmark = pytest.mark.anyio


def cancelled_stream(go: anyio.Event) -> Told:
    return stream(*WHOLE[:3], go, ended(3, "cancelled", "Hel"))


async def test_a_cancel_in_the_body_of_the_loop_is_proven_and_the_rest_can_be_read() -> None:
    go = anyio.Event()

    def cancel() -> Told:
        go.set()
        return said(body("cancelled", "Hel"))

    here, stub = gateway(by_call(create=cancelled_stream(go), cancel=cancel))
    numbers: list[int | None] = []
    results: list[CancelResult] = []
    async with here.stream(model="toy", input="hi", background=True) as response:
        async for event in response:
            numbers.append(event.sequence_number)
            if isinstance(event, OutputTextDelta):
                results.append(await response.cancel())
        outcome = await response.outcome()
    assert numbers == [0, 1, 2, 3]
    assert results == [CancelResult.CANCEL_WON]
    assert (outcome.status, outcome.cancel) == (OutcomeStatus.CANCELLED, CancelResult.CANCEL_WON)
    assert stub.asked == ["POST /", f"POST /{RESPONSE_ID}/cancel"]


async def test_a_cancel_by_another_task_ends_the_loop() -> None:
    go = anyio.Event()

    def cancel() -> Told:
        go.set()
        return said(body("cancelled", "Hel"))

    here, _ = gateway(by_call(create=cancelled_stream(go), cancel=cancel))
    results: list[CancelResult] = []
    async with here.stream(model="toy", input="hi", background=True) as response, anyio.create_task_group() as tasks:

        async def stop() -> None:
            results.append(await response.cancel())

        async for event in response:
            if event.sequence_number == 2:
                tasks.start_soon(stop)
    assert results == [CancelResult.CANCEL_WON]


async def test_a_cancel_that_came_too_late_says_so() -> None:
    refused = said({"error": {"message": "Cannot cancel a completed response."}}, 400)
    here, _ = gateway(by_call(create=stream(*WHOLE), cancel=refused, retrieve=said(body("completed", "Hello"))))
    async with here.stream(model="toy", input="hi", background=True) as response:
        await anext(aiter(response))
        assert await response.cancel() in {CancelResult.ALREADY_TERMINAL, CancelResult.COMPLETION_WON}
        assert (await response.outcome()).status is OutcomeStatus.COMPLETED


async def test_a_second_cancel_is_not_sent_and_has_the_same_result() -> None:
    go = anyio.Event()

    def cancel() -> Told:
        go.set()
        return said(body("cancelled", "Hel"))

    here, stub = gateway(by_call(create=cancelled_stream(go), cancel=cancel))
    async with here.stream(model="toy", input="hi", background=True) as response:
        await anext(aiter(response))
        assert await response.cancel() is await response.cancel() is CancelResult.CANCEL_WON
    assert stub.asked.count(f"POST /{RESPONSE_ID}/cancel") == 1


async def test_the_grace_ends_a_cancel_whose_stream_stands_still() -> None:
    patience = Patience(backoff=Backoff(first_seconds=0.0), cancel_grace_seconds=0.0)
    here, stub = gateway(
        by_call(
            create=stream(*WHOLE[:3], forever()),
            cancel=said(body("cancelled", "Hel")),
            retrieve=said(body("cancelled", "Hel")),
        ),
        patience,
    )
    async with here.stream(model="toy", input="hi", background=True) as response:
        for _ in range(3):
            await anext(aiter(response))
        assert await response.cancel() is CancelResult.CANCEL_WON
        outcome = await response.outcome()
        assert [event async for event in response] == []
    assert outcome.status is OutcomeStatus.CANCELLED
    assert outcome.state.output_text == "Hel"
    assert stub.is_open == 0


async def test_a_cancel_that_nobody_answers_is_unconfirmed_and_the_response_is_followed_on() -> None:
    go = anyio.Event()
    patience = Patience(backoff=Backoff(first_seconds=0.0), cancel_seconds=0.0)
    here, _ = gateway(
        by_call(create=stream(*WHOLE[:3], go, *WHOLE[3:]), cancel=Told(opening=Disconnected("gone"))), patience
    )
    async with here.stream(model="toy", input="hi", background=True) as response:
        for _ in range(3):
            await anext(aiter(response))
        assert await response.cancel() is CancelResult.UNCONFIRMED
        go.set()
        assert [event.sequence_number async for event in response] == [3, 4]
        assert (await response.outcome()).status is OutcomeStatus.COMPLETED


async def test_a_cancel_while_the_stream_is_opened_again_does_not_stop_that() -> None:
    go = anyio.Event()
    reopened = Told([*WHOLE[3:]], opening=go)

    def cancel() -> Told:
        go.set()
        return said(body("in_progress"))

    here, _ = gateway(
        by_call(
            create=stream(*WHOLE[:3], CUT), stream=reopened, cancel=cancel, retrieve=said(body("completed", "Hello"))
        )
    )
    results: list[CancelResult] = []
    with anyio.fail_after(5):
        async with (
            here.stream(model="toy", input="hi", background=True) as response,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(response.outcome)
            await anyio.wait_all_tasks_blocked()
            results.append(await response.cancel())
            outcome = await response.outcome()
    assert outcome.status is OutcomeStatus.COMPLETED
    assert results == [CancelResult.COMPLETION_WON]


async def test_a_notice_while_the_stream_is_opened_again_does_not_stop_that() -> None:
    go = anyio.Event()
    here, _ = gateway(
        by_call(
            create=stream(*WHOLE[:3], CUT), stream=Told([*WHOLE[3:]], opening=go), retrieve=said(body("in_progress"))
        )
    )
    with anyio.fail_after(5):
        async with (
            here.stream(model="toy", input="hi", background=True) as response,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(response.outcome)
            await anyio.wait_all_tasks_blocked()
            response.notice()
            await anyio.wait_all_tasks_blocked()
            go.set()
            outcome = await response.outcome()
    assert outcome.proof is Proof.TERMINAL_EVENT


@pytest.mark.parametrize("asked", [{}, {"background": None}, {"background": False}], ids=["unsaid", "none", "false"])
@pytest.mark.parametrize(
    ("got", "status", "result"),
    [
        ("in_progress", OutcomeStatus.ABANDONED, CancelResult.LEFT),
        ("cancelled", OutcomeStatus.CANCELLED, CancelResult.CANCEL_WON),
        ("completed", OutcomeStatus.COMPLETED, CancelResult.COMPLETION_WON),
    ],
)
async def test_a_foreground_response_is_left_by_a_cancel_and_one_get_says_what_came_of_it(
    asked: Any, got: str, status: OutcomeStatus, result: CancelResult
) -> None:
    here, stub = gateway(
        by_call(
            create=stream(created(0, background=None), forever()),
            cancel=said({"error": {"message": "not found"}}, 404),
            retrieve=said(body(got, background=None)),
        )
    )
    async with here.stream(model="toy", input="hi", **asked) as response:
        await anext(aiter(response))
        assert await response.cancel() is result
        assert stub.is_open == 0
        outcome = await response.outcome()
    assert (outcome.status, outcome.cancel) == (status, result)
    assert stub.asked == ["POST /", f"POST /{RESPONSE_ID}/cancel", f"GET /{RESPONSE_ID}"]


@pytest.mark.parametrize("asked", [{"background": True}, {"extra_body": {"background": True}}], ids=["named", "extra"])
async def test_a_background_response_is_not_left_by_a_cancel(asked: Any) -> None:
    patience = evolve(QUICK, cancel_grace_seconds=0.0, cancel_seconds=0.0)
    here, stub = gateway(
        by_call(create=stream(created(0, background=None), forever()), cancel=said({"error": "no"}, 404)), patience
    )
    async with here.stream(model="toy", input="hi", **asked) as response:
        await anext(aiter(response))
        assert await response.cancel() is CancelResult.UNCONFIRMED
        assert stub.is_open >= 1


async def test_a_cancel_that_the_gateway_takes_back_was_lost_to_the_completion() -> None:
    gets = iter([body("cancelled", "Hel"), body("completed", "Hello")])
    here, _ = gateway(
        by_call(
            create=stream(*WHOLE[:3]),
            stream=said(body("in_progress")),
            cancel=said(body("cancelled")),
            retrieve=lambda: said(next(gets)),
        )
    )
    async with here.stream(model="toy", input="hi", background=True) as response:
        for _ in range(3):
            await anext(response)
        assert await response.cancel() is CancelResult.COMPLETION_WON
        outcome = await response.outcome()
    assert (outcome.status, outcome.state.output_text) == (OutcomeStatus.COMPLETED, "Hello")
    assert [str(each).endswith("GET said completed") for each in outcome.conflicts] == [True]
