"""A response followed: each way to read it, what mends it, what a cancel and an exit do. No network, no sleeping."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from streamfold import EventReader, State, fold, snapshot_json
from streamfold.client import Gateway, Request
from streamfold.errors import (
    ConnectFailed,
    Disconnected,
    IdleTimeout,
    InvalidArgument,
    ProtocolViolation,
    RequestRefused,
    ResponseFailed,
    UnexpectedAnswer,
    UsageError,
)
from streamfold.schema import MKA1
from streamfold.session import Backoff, CancelResult, OutcomeStatus, Patience, Proof, Repair, RepairKind
from tests.client.stub import Part, Stub, Told, body_of, forever, said, stream
from tests.session.made import RESPONSE_ID, added, body, created, delta, ended, frame

pytestmark = pytest.mark.anyio

QUICK = Patience(backoff=Backoff(first_seconds=0.0), gap_seconds=0.0, poll_seconds=0.0, cancel_check_seconds=0.0)
KEY = "sk-very-secret"
HEAD = [created(0), added(1)]
WHOLE = [*HEAD, delta(2, "Hel"), delta(3, "lo"), ended(4, text="Hello")]
CUT = Disconnected("cut")


def gateway(answer: Callable[[Request], Told], patience: Patience = QUICK) -> tuple[Gateway, Stub]:
    stub = Stub(answer)
    return Gateway("http://stub", api_key=KEY, http=stub, patience=patience), stub


def in_turn(*told: Told) -> Callable[[Request], Told]:
    """Each request gets the next answer; one more than there are is an error of the test."""
    answers = iter(told)
    return lambda request: next(answers)


def by_call(**told: Told | Callable[[], Told]) -> Callable[[Request], Told]:
    """An answer for each kind of call: create, stream, retrieve, cancel."""

    def answer(request: Request) -> Told:
        if request.method == "POST":
            name = "cancel" if request.url.endswith("/cancel") else "create"
        else:
            name = "stream" if "stream=true" in request.url else "retrieve"
        found = told[name]
        return found if isinstance(found, Told) else found()

    return answer


# Reading


async def test_each_event_is_given_once_and_in_order() -> None:
    here, stub = gateway(in_turn(stream(*WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        numbers = [event.sequence_number async for event in response]
        outcome = await response.outcome()
    assert numbers == [0, 1, 2, 3, 4]
    assert (outcome.status, outcome.proof) == (OutcomeStatus.COMPLETED, Proof.TERMINAL_EVENT)
    assert outcome.state.output_text == "Hello"
    assert stub.asked == ["POST /"]
    assert body_of(stub.requests[0]) == {"model": "toy", "input": "hi", "stream": True}


async def test_the_next_event_can_be_asked_for_without_a_loop() -> None:
    here, _ = gateway(in_turn(stream(b"".join(WHOLE))))
    async with here.stream(model="toy", input="hi") as response:
        assert (await anext(response)).sequence_number == 0
        assert (await anext(response)).sequence_number == 1


async def test_the_outcome_alone_can_be_awaited_and_again() -> None:
    here, _ = gateway(in_turn(stream(*WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        first = await response.outcome()
        assert await response.outcome() is first
        assert response.state is first.state
        assert [event async for event in response] == [], "what nobody iterated is not kept"


async def test_state_id_and_cursor_are_those_of_the_last_event_given() -> None:
    here, _ = gateway(in_turn(stream(b"".join(WHOLE))))
    async with here.stream(model="toy", input="hi") as response:
        assert (response.id, response.cursor) == (None, None)
        seen = [(event.sequence_number, response.cursor, response.state.output_text) async for event in response]
        assert response.id == RESPONSE_ID
    assert seen == [(0, 0, ""), (1, 1, ""), (2, 2, "Hel"), (3, 3, "Hello"), (4, 4, "Hello")]


async def test_state_and_cursor_are_those_of_the_last_that_was_given_where_states_or_text_are_read() -> None:
    here, _ = gateway(lambda request: stream(b"".join(WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        seen = [(state.cursor, response.cursor, response.state is state) async for state in response.states()]
    assert seen == [(number, number, True) for number in range(5)]
    async with here.stream(model="toy", input="hi") as response:
        pieces = [(piece, response.cursor) async for piece in response.text()]
    assert pieces == [("Hel", 2), ("lo", 3)]


async def test_a_state_comes_after_each_event() -> None:
    here, _ = gateway(in_turn(stream(*WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        states = [state async for state in response.states()]
        assert [state.cursor for state in states] == [0, 1, 2, 3, 4]
        assert states[-1] is (await response.outcome()).state


async def test_a_slow_reader_of_coalesced_states_gets_the_newest_each_time() -> None:
    deltas = [delta(number, "x") for number in range(2, 1002)]
    chunks = [b"".join(deltas[first : first + 100]) for first in range(0, 1000, 100)]
    here, _ = gateway(in_turn(stream(*HEAD, *chunks, ended(1002, text="x" * 1000))))
    async with here.stream(model="toy", input="hi") as response:
        cursors = [state.cursor async for state in response.states(coalesced=True)]
        outcome = await response.outcome()
    assert cursors == [0, 1, *range(101, 1002, 100), 1002]
    assert outcome.state.output_text == "x" * 1000


async def test_states_end_with_the_final_one_where_a_get_told_it() -> None:
    retrieved = said(body("completed", "Hello"))
    refused = said({"error": {"message": "it can no longer be streamed"}}, 400)
    here, _ = gateway(by_call(create=stream(*HEAD, CUT), stream=refused, retrieve=retrieved))
    async with here.stream(model="toy", input="hi") as response:
        states = [state async for state in response.states()]
        outcome = await response.outcome()
    assert outcome.proof is Proof.RETRIEVED
    assert states[-1] is outcome.state
    assert states[-1].output_text == "Hello"


WITHOUT_DELTAS = frame(
    "response.output_text.done", 2, item_id="msg_1", output_index=0, content_index=0, text="Hello", logprobs=[]
)


@pytest.mark.parametrize(
    "parts",
    [
        WHOLE,
        [*HEAD, WITHOUT_DELTAS, ended(3, text="Hello")],
        [*HEAD, delta(2, "Hel"), ended(3, text="Hello")],
        [created(0), ended(1, text="Hello")],
        [b"".join(WHOLE)],
    ],
    ids=["as deltas", "with the done event", "the rest with the end", "with the end alone", "all at once"],
)
async def test_text_joined_is_the_output_text(parts: list[Part]) -> None:
    here, _ = gateway(in_turn(stream(*parts)))
    async with here.stream(model="toy", input="hi") as response:
        pieces = [piece async for piece in response.text()]
        assert "".join(pieces) == (await response.outcome()).state.output_text == "Hello"
    assert all(pieces)


async def test_text_goes_on_over_a_repair() -> None:
    here, _ = gateway(by_call(create=stream(*WHOLE[:3], CUT), stream=stream(*WHOLE[3:])))
    async with here.stream(model="toy", input="hi") as response:
        assert [piece async for piece in response.text()] == ["Hel", "lo"]


async def test_several_tasks_may_await_the_outcome_and_get_the_same() -> None:
    go = anyio.Event()
    here, _ = gateway(in_turn(stream(*WHOLE[:3], go, *WHOLE[3:])))
    found: list[object] = []
    async with here.stream(model="toy", input="hi") as response, anyio.create_task_group() as tasks:

        async def wait() -> None:
            found.append(await response.outcome())

        for _ in range(3):
            tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert not found
        go.set()
    assert len(found) == 3
    assert found[0] is found[1] is found[2]


# Errors of a create


async def entered(told: Told) -> Any:
    here, stub = gateway(in_turn(told))
    try:
        async with here.stream(model="toy", input="hi", max_retries=0):
            raise AssertionError("the block is not entered")
    finally:
        assert stub.is_open == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 503])
async def test_a_refused_create_is_told_with_its_status_words_and_request_id(status: int) -> None:
    error = {"error": {"message": "Not so.", "code": "bad", "param": "input"}}
    with pytest.raises(RequestRefused) as caught:
        await entered(said(error, status, x_request_id="req_7"))
    refused = caught.value
    told = (refused.status, refused.message, refused.code, refused.param, refused.request_id)
    assert told == (status, "Not so.", "bad", "input", "req_7")
    assert "Not so." in refused.excerpt
    assert KEY not in f"{refused!s} {refused!r}"


async def test_a_page_instead_of_a_stream_is_told_with_its_beginning() -> None:
    with pytest.raises(UnexpectedAnswer) as caught:
        await entered(Told([b"<html>\n<p>Sign in</p>"], 200, {"content-type": "text/html", "x-request-id": "req_8"}))
    told = (caught.value.expected, caught.value.content_type, caught.value.request_id, caught.value.excerpt)
    assert told == ("an event stream", "text/html", "req_8", "<html> <p>Sign in</p>")


@pytest.mark.parametrize("failure", [ConnectFailed, IdleTimeout, Disconnected, ProtocolViolation])
async def test_a_connection_that_fails_before_the_answer_is_told_as_it_is(failure: type[Exception]) -> None:
    with pytest.raises(failure, match="no luck"):
        await entered(Told(opening=failure("no luck")))


async def test_a_body_beyond_the_limit_is_a_violation() -> None:
    here, _ = gateway(in_turn(said(b"x" * 11)), Patience(max_body_bytes=10))
    with pytest.raises(ProtocolViolation, match="larger than 10 bytes"):
        async with here.stream(model="toy", input="hi"):
            pass


# Repairs


async def test_a_stream_that_breaks_is_resumed_after_its_cursor_and_that_is_told() -> None:
    told: list[Repair] = []
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], CUT), stream=stream(*WHOLE[3:])))
    async with here.stream(model="toy", input="hi", background=True, on_repair=told.append) as response:
        assert [event.sequence_number async for event in response] == [0, 1, 2, 3, 4]
        outcome = await response.outcome()
        assert response.repairs == outcome.repairs == tuple(told)
    (repair,) = told
    assert (repair.kind, repair.after) == (RepairKind.RESUME, 2)
    assert "cut" in repair.reason
    assert stub.asked == ["POST /", f"GET /{RESPONSE_ID} stream after 2"]


async def test_what_came_before_a_failure_is_given_before_it_is_mended() -> None:
    here, stub = gateway(by_call(create=stream(b"".join(WHOLE[:4]), CUT), stream=stream(*WHOLE[4:])))
    async with here.stream(model="toy", input="hi") as response:
        for expected in range(4):
            assert (await anext(aiter(response))).sequence_number == expected
        assert stub.asked == ["POST /"], "nothing is mended while there is something to read"
        assert (await anext(aiter(response))).sequence_number == 4


async def test_an_unknown_id_is_lost_with_the_reason_and_raises_nothing() -> None:
    here, stub = gateway(lambda request: said({"error": {"message": "Response not found."}}, 404))
    async with here.follow("resp_none") as response:
        assert [event async for event in response] == []
        outcome = await response.outcome()
    assert (outcome.status, outcome.proof) == (OutcomeStatus.LOST, None)
    assert "404" in outcome.reason
    assert "Response not found." in outcome.reason
    assert stub.is_open == 0


async def test_a_key_that_is_not_taken_is_never_tried_again() -> None:
    here, stub = gateway(lambda request: said({"error": {"message": "No."}}, 401))
    async with here.follow(RESPONSE_ID) as response:
        outcome = await response.outcome()
    assert outcome.status is OutcomeStatus.LOST
    assert len(stub.asked) == 1
    assert KEY not in outcome.reason


async def test_a_gateway_that_is_busy_is_asked_again() -> None:
    here, stub = gateway(in_turn(said({}, 503), said({}, 429), stream(*WHOLE)))
    async with here.follow(RESPONSE_ID) as response:
        assert (await response.outcome()).status is OutcomeStatus.COMPLETED
    assert len(stub.asked) == 3


async def test_attempts_that_bring_nothing_end_as_lost() -> None:
    here, stub = gateway(lambda request: said([]))
    async with here.follow(RESPONSE_ID) as response:
        outcome = await response.outcome()
    assert outcome.status is OutcomeStatus.LOST
    assert len(stub.asked) <= 3 * QUICK.max_attempts


async def test_an_outage_ends_as_lost_when_nothing_new_came_for_too_long() -> None:
    limits = Patience(backoff=Backoff(first_seconds=0.01, max_seconds=0.01), stalled_seconds=0.1)
    here, stub = gateway(lambda request: Told(opening=ConnectFailed("nobody there")), limits)
    async with here.follow(RESPONSE_ID) as response:
        outcome = await response.outcome()
    assert (outcome.status, outcome.reason) == (OutcomeStatus.LOST, "nothing new came for 0.1 s: nobody there")
    assert [call for call in stub.asked if "stream" not in call] == [f"GET /{RESPONSE_ID}"]  # the one that decides


async def test_an_error_of_on_repair_comes_out_of_the_block() -> None:
    """Alone, or in a group, as errors of tasks do; but it comes."""

    def fail(repair: Repair) -> None:
        raise LookupError("mine")

    here, stub = gateway(by_call(create=stream(*WHOLE[:3], CUT), stream=stream(*WHOLE[3:])))
    with pytest.raises((LookupError, BaseExceptionGroup)) as caught:
        async with here.stream(model="toy", input="hi", on_repair=fail) as response:
            await response.outcome()
    assert isinstance(caught.value, LookupError) or caught.group_contains(LookupError, match="mine")
    assert stub.is_open == 0


# Follow from somewhere


async def test_a_response_is_followed_from_a_number_on() -> None:
    here, stub = gateway(in_turn(stream(*WHOLE[3:])))
    async with here.follow(RESPONSE_ID, starting_after=2) as response:
        assert [event.sequence_number async for event in response] == [3, 4]
        outcome = await response.outcome()
    assert stub.asked == [f"GET /{RESPONSE_ID} stream after 2"]
    assert outcome.state.output_text == "Hello"
    assert not outcome.is_compacted


async def test_a_response_is_followed_on_from_a_state() -> None:
    here, _ = gateway(by_call(create=stream(*WHOLE[:3], forever())))
    async with here.stream(model="toy", input="hi", background=True) as response:
        for _ in range(3):
            await anext(aiter(response))
        known = response.state
    here, stub = gateway(in_turn(stream(*WHOLE[3:4], CUT), stream(*WHOLE[4:])))
    async with here.follow(RESPONSE_ID, state=known) as response:
        assert response.state is known
        assert (await anext(aiter(response))).sequence_number == 3
        assert response.state.output_text == "Hello"
        await response.outcome()
    assert stub.asked == [f"GET /{RESPONSE_ID} stream after 2", f"GET /{RESPONSE_ID} stream after 3"]


async def test_a_state_that_is_terminal_is_its_own_outcome() -> None:
    here, _ = gateway(in_turn(stream(*WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        over = (await response.outcome()).state
    here, stub = gateway(in_turn())
    async with here.follow(RESPONSE_ID, state=over) as response:
        assert [event async for event in response] == []
        assert (await response.outcome()).state is over
    assert stub.asked == []


async def test_include_and_obfuscation_go_with_every_stream() -> None:
    here, stub = gateway(in_turn(stream(*WHOLE[:3], CUT), stream(*WHOLE[3:])))
    include = ["message.output_text.logprobs", "reasoning.encrypted_content"]
    async with here.follow(RESPONSE_ID, include=include, include_obfuscation=False) as response:
        await response.outcome()
    assert MKA1.include_parameter == "include"
    for request in stub.requests:
        assert "include=message.output_text.logprobs&include=reasoning.encrypted_content" in request.url
        assert "include_obfuscation=false" in request.url


# Leaving


async def test_leaving_the_block_disconnects_and_cancels_nothing() -> None:
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], forever())))
    async with here.stream(model="toy", input="hi", background=True) as response:
        await anext(aiter(response))
        assert stub.is_open == 1
    assert stub.is_open == 0
    assert stub.asked == ["POST /"]
    outcome = await response.outcome()
    assert outcome.status is OutcomeStatus.ABANDONED
    assert outcome.reason == "its `with` block was left before it ended"


async def test_on_exit_cancel_cancels_what_still_runs() -> None:
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], forever()), cancel=said(body("cancelled"))))
    async with here.stream(model="toy", input="hi", background=True, on_exit="cancel") as response:
        await anext(aiter(response))
    assert stub.asked == ["POST /", f"POST /{RESPONSE_ID}/cancel"]
    assert (await response.outcome()).cancel is CancelResult.CANCEL_WON
    assert stub.is_open == 0


async def test_on_exit_cancel_waits_for_no_stream_that_nobody_reads() -> None:
    here, _ = gateway(by_call(create=stream(*WHOLE[:3], forever()), cancel=said(body("cancelled"))))
    async with here.stream(model="toy", input="hi", background=True, on_exit="cancel") as response:
        await anext(response)
        began = anyio.current_time()
    assert anyio.current_time() - began < QUICK.cancel_grace_seconds / 2


async def test_on_exit_cancel_of_a_response_whose_id_was_never_told_is_left() -> None:
    here, stub = gateway(by_call(create=stream(forever())))
    async with here.stream(model="toy", input="hi", background=True, on_exit="cancel") as response:
        pass
    outcome = await response.outcome()
    assert outcome.status in {OutcomeStatus.ABANDONED, OutcomeStatus.LOST}
    assert stub.asked == ["POST /"], "there is nothing to cancel by"
    assert stub.is_open == 0


async def test_on_exit_cancel_leaves_alone_what_is_over() -> None:
    here, stub = gateway(by_call(create=stream(*WHOLE)))
    async with here.stream(model="toy", input="hi", background=True, on_exit="cancel") as response:
        await response.outcome()
    assert stub.asked == ["POST /"]


async def test_on_exit_cancel_is_done_when_the_block_itself_is_cancelled() -> None:
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], forever()), cancel=said(body("cancelled"))))
    with anyio.CancelScope() as scope:
        async with here.stream(model="toy", input="hi", background=True, on_exit="cancel") as response:
            await anext(aiter(response))
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert stub.asked == ["POST /", f"POST /{RESPONSE_ID}/cancel"]


async def test_on_exit_a_cancel_that_is_on_its_way_is_waited_for_and_not_sent_twice() -> None:
    go = anyio.Event()
    answer = Told([json.dumps(body("cancelled")).encode()], headers={"content-type": "application/json"}, opening=go)
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], forever()), cancel=answer))

    async def release() -> None:
        await anyio.wait_all_tasks_blocked()
        go.set()

    async with anyio.create_task_group() as outside:
        with anyio.CancelScope() as scope:
            async with here.stream(model="toy", input="hi", background=True, on_exit="cancel") as response:
                await anext(response)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(response.cancel)
                    await anyio.wait_all_tasks_blocked()
                    outside.start_soon(release)
                    scope.cancel()
    assert stub.asked == ["POST /", f"POST /{RESPONSE_ID}/cancel"]
    assert (await response.outcome()).cancel is CancelResult.CANCEL_WON


@pytest.mark.parametrize("error", [LookupError("mine"), KeyboardInterrupt(), StopAsyncIteration()])
async def test_an_exception_of_the_block_comes_out_as_it_is(error: BaseException) -> None:
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], forever())))
    caught: BaseException | None = None
    try:
        async with here.stream(model="toy", input="hi") as response:
            await anext(aiter(response))
            raise error
    except BaseException as came:
        caught = came
    assert caught is error
    assert stub.is_open == 0


async def test_an_exception_in_the_loop_body_comes_out_as_it_is() -> None:
    here, _ = gateway(by_call(create=stream(*WHOLE)))
    with pytest.raises(ZeroDivisionError):
        async with here.stream(model="toy", input="hi") as response:
            async for _ in response:
                raise ZeroDivisionError


async def test_a_break_leaves_nothing_open() -> None:
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], forever())))
    async with here.stream(model="toy", input="hi") as response:
        async for _ in response:
            break
        async for _ in response.text():
            break
    assert stub.is_open == 0


async def test_a_response_is_followed_inside_its_block_only() -> None:
    here, stub = gateway(in_turn())
    response = here.stream(model="toy", input="hi")
    with pytest.raises(UsageError):
        await response.outcome()
    with pytest.raises(UsageError):
        await response.cancel()
    with pytest.raises(UsageError):
        await anext(response)
    with pytest.raises(UsageError):
        response.notice()
    with pytest.raises(UsageError, match="inside `async with"):
        response.text()
    assert stub.asked == []


async def test_a_response_is_entered_once() -> None:
    here, stub = gateway(in_turn(stream(*WHOLE)))
    response = here.stream(model="toy", input="hi")
    async with response:
        await response.outcome()
    with pytest.raises(UsageError, match="entered before"):
        await response.__aenter__()
    assert len(stub.asked) == 1


# Time, and word from elsewhere


async def test_a_notice_ends_the_wait_for_the_next_get() -> None:
    patience = Patience(backoff=Backoff(first_seconds=0.0), poll_seconds=3600.0)
    answers = iter([said(body("in_progress")), said(body("completed", "Hello"))])
    refused = said({"error": {"message": "it can no longer be streamed"}}, 400)
    here, stub = gateway(by_call(stream=refused, retrieve=lambda: next(answers)), patience)
    async with here.follow(RESPONSE_ID) as response, anyio.create_task_group() as tasks:

        async def tell() -> None:
            await anyio.wait_all_tasks_blocked()
            assert stub.asked[-1] == f"GET /{RESPONSE_ID}"
            response.notice()

        tasks.start_soon(tell)
        with anyio.fail_after(5):
            outcome = await response.outcome()
    assert (outcome.status, outcome.proof) == (OutcomeStatus.COMPLETED, Proof.RETRIEVED)


async def test_the_whole_time_is_bounded_where_that_is_asked() -> None:
    here, stub = gateway(by_call(create=stream(*WHOLE[:3], forever())), Patience(total_seconds=0.05))
    async with here.stream(model="toy", input="hi") as response:
        outcome = await response.outcome()
    assert outcome.status is OutcomeStatus.LOST
    assert "did not end within 0.05 s" in outcome.reason
    assert stub.is_open == 0


async def test_a_get_that_gives_the_response_itself_is_the_end() -> None:
    here, stub = gateway(by_call(stream=said(body("completed", "Hello"))))
    async with here.follow(RESPONSE_ID) as response:
        outcome = await response.outcome()
    assert (outcome.status, outcome.proof) == (OutcomeStatus.COMPLETED, Proof.RETRIEVED)
    assert len(stub.asked) == 1


async def test_the_final_state_is_that_of_a_plain_fold() -> None:
    here, _ = gateway(in_turn(stream(*WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        events = [event async for event in response]
        assert snapshot_json(response.state) == snapshot_json(fold(events, State()))


# What is refused, and ends that are bad


async def test_a_wrong_on_exit_is_refused_when_it_is_given() -> None:
    here, stub = gateway(in_turn())
    wrong: Any = "cancle"
    with pytest.raises(InvalidArgument, match=r"on_exit.*cancle"):
        here.stream(model="toy", input="hi", on_exit=wrong)
    assert stub.asked == []


async def test_a_bad_end_raises_only_if_that_is_asked_for() -> None:
    failed = ended(4, "failed", text="Hello")
    here, _ = gateway(lambda request: stream(*WHOLE[:4], failed))
    async with here.stream(model="toy", input="hi") as response:
        with pytest.raises(ResponseFailed):
            assert "".join([piece async for piece in response.text()]) == "Hello"
    async with here.stream(model="toy", input="hi") as response:
        assert "".join([piece async for piece in response.text(strict=False)]) == "Hello"
        outcome = await response.outcome()
    with pytest.raises(ResponseFailed, match=RESPONSE_ID):
        outcome.raise_for_status()


async def test_text_from_a_cursor_or_a_state_is_what_follows() -> None:
    here, _ = gateway(in_turn(stream(*WHOLE[3:])))
    async with here.follow(RESPONSE_ID, starting_after=2) as response:
        assert [piece async for piece in response.text()] == ["lo"]
    known = fold(EventReader().feed(b"".join(WHOLE[:3])))
    here, _ = gateway(in_turn(stream(*WHOLE[3:])))
    async with here.follow(RESPONSE_ID, state=known) as response:
        assert [piece async for piece in response.text()] == ["lo"]


async def test_text_that_is_asked_for_late_begins_with_all_that_came() -> None:
    here, _ = gateway(in_turn(stream(*WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        for _ in range(3):
            await anext(response)
        assert "".join([piece async for piece in response.text()]) == "Hello"


async def test_the_opening_of_a_stream_is_bounded_by_the_whole_time() -> None:
    here, stub = gateway(by_call(create=Told(opening=forever())), Patience(total_seconds=0.05))
    with anyio.fail_after(5), pytest.raises(IdleTimeout, match=r"no stream within 0\.05 seconds"):
        async with here.stream(model="toy", input="hi"):
            raise AssertionError("the block is not entered")
    assert stub.is_open == 0
