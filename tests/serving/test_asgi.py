"""The I/O of serving: bodies within a limit, disconnects noticed, answers written; and the machine's clock."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import Any

import anyio
import pytest

from streamfold.log import MemoryLog, Record, StreamKey, Tail, tail
from streamfold.serving import (
    SLICE_BYTES,
    AsgiWriter,
    BodyReply,
    ByteBudget,
    FixedEvents,
    Message,
    PendingReply,
    Problem,
    ReadyEvents,
    ServerReply,
    StreamReply,
    SystemClock,
    deliver,
    headers_of,
    read_body,
    run_lifespan,
    until_disconnect,
)
from streamfold.sse import Frame
from tests.emulator.inprocess import HandClock

pytestmark = pytest.mark.anyio


class Received:
    """An ASGI `receive` that gives these messages, and then waits for ever."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)

    async def __call__(self) -> Message:
        if not self._messages:
            await anyio.sleep_forever()
        return self._messages.pop(0)


class Sent:
    """An ASGI `send` that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.messages[1:]]


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


DISCONNECT = {"type": "http.disconnect"}


# Requests


async def test_a_body_is_read_to_its_end() -> None:
    assert await read_body(Received(part(b"a", more=True), part(b"b"))) == b"ab"
    assert await read_body(Received({"type": "http.request"})) == b""


async def test_a_body_that_was_broken_off_is_none() -> None:
    assert await read_body(Received(part(b"a", more=True), DISCONNECT)) is None


async def test_a_body_up_to_the_limit_is_read_and_a_longer_one_refused_before_its_end() -> None:
    assert await read_body(Received(part(b"abcd")), max_bytes=4) == b"abcd"
    refused = await read_body(Received(part(b"abc", more=True), part(b"de", more=True)), max_bytes=4)
    assert isinstance(refused, Problem)
    assert refused.status == 413


def test_header_names_are_in_lower_case() -> None:
    assert headers_of({"headers": [(b"X-Own", b"\xe9")]}) == {"x-own": "é"}


# Answers


async def delivered(reply: ServerReply) -> Sent:
    sent, clock = Sent(), HandClock(jumps=True)
    await deliver(reply, AsgiWriter(sent, clock), clock, heartbeat_seconds=2.0, headers=[("x-request-id", "req_1")])
    return sent


async def test_a_body_is_written_with_its_head_and_its_end() -> None:
    sent = await delivered(BodyReply(200, b"{}"))
    head, *_ = sent.messages
    assert (head["status"], (b"x-request-id", b"req_1") in head["headers"]) == (200, True)
    assert sent.bodies == [b"{}", b""]
    assert [message["more_body"] for message in sent.messages[1:]] == [True, False]


async def test_events_that_are_ready_together_are_one_write() -> None:
    sent = await delivered(StreamReply(events=FixedEvents(Frame(data=b"1"), b"two"), content_type="text/event-stream"))
    assert sent.bodies == [b"data: 1\n\ntwo", b""]


class Slow:
    """A source of one event that comes late."""

    def __init__(self, clock: HandClock, seconds: float) -> None:
        self.clock, self.due = clock, clock.now() + seconds

    def next_after(self, place: int, now: float) -> Any:
        if place:
            return None
        return FixedEvents(b"late").next_after(0, now) if now >= self.due else self.due - now

    async def wait(self, seconds: float) -> None:
        await self.clock.wait(seconds)


async def test_comments_fill_the_silence_before_an_event() -> None:
    sent, clock = Sent(), HandClock(jumps=True)
    reply = StreamReply(events=Slow(clock, 5.0), content_type="text/event-stream")
    await deliver(reply, AsgiWriter(sent, clock), clock, heartbeat_seconds=2.0, headers=[])
    assert sent.bodies == [b":\n", b":\n", b"late", b""]


async def test_a_body_that_is_not_ready_is_asked_for_again() -> None:
    answers: list[BodyReply | float] = [1.0, 2.0, BodyReply.of("done")]
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    sent = await delivered(PendingReply(poll=lambda _: answers.pop(0), wait=wait))
    assert (sent.bodies[0], waited) == (b'"done"', [1.0, 2.0])


# Disconnects


async def test_work_that_ends_is_not_a_disconnect() -> None:
    noted: list[str] = []

    async def work() -> None:
        noted.append("worked")

    await until_disconnect(Received(), work, lambda: noted.append("disconnected"))
    assert noted == ["worked"]


async def test_a_disconnect_is_reported_and_ends_the_work() -> None:
    noted: list[str] = []
    with anyio.fail_after(5):
        await until_disconnect(
            Received(part(b""), DISCONNECT), anyio.sleep_forever, lambda: noted.append("disconnected")
        )
    assert noted == ["disconnected"]


async def test_what_the_work_raises_is_raised_as_it_is() -> None:
    async def work() -> None:
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await until_disconnect(Received(), work, lambda: None)


async def test_a_lifespan_is_open_between_startup_and_shutdown() -> None:
    noted: list[str] = []

    @asynccontextmanager
    async def running() -> AsyncGenerator[None]:
        noted.append("open")
        yield
        noted.append("closed")

    sent = Sent()
    await run_lifespan(Received({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}), sent, running)
    assert noted == ["open", "closed"]
    assert [message["type"] for message in sent.messages] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# The clock


def test_it_gives_the_time_of_day_and_never_goes_back() -> None:
    clock = SystemClock()
    times = [clock.now() for _ in range(100)]
    assert times == sorted(times)
    assert abs(times[0] - time.time()) < 1


async def test_a_wait_ends_when_its_time_is_over() -> None:
    await SystemClock().wait(0)
    await SystemClock().wait(0, anyio.Event())


async def test_a_wait_ends_at_once_when_something_changes() -> None:
    changed = anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(SystemClock().wait, float("inf"), changed)
            changed.set()


# A log behind it, as the relay will have


class LogFeed:
    """The tail of a log as a feed of events: `wait` reads, `next_after` gives what was read."""

    def __init__(self, records: Tail) -> None:
        self._records = records
        self._ready: list[Record] = []
        self._is_over = False

    def next_after(self, place: int, now: float) -> ReadyEvents | float | None:
        if not self._ready:
            return None if self._is_over else inf
        ready, self._ready = self._ready, []
        return ReadyEvents([b"data: " + each.data + b"\n\n" for each in ready], ready[-1].sequence_number)

    async def wait(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            try:
                self._ready.append(await anext(self._records))
            except StopAsyncIteration:
                self._is_over = True


async def test_the_tail_of_a_log_is_a_feed() -> None:
    sent, clock, key = Sent(), SystemClock(), StreamKey("tenant", "resp_1")
    async with MemoryLog() as log:
        lease = await log.acquire(key, owner="test", seconds=30)
        await log.append(lease, [Record(0, "a", b"0"), Record(1, "b", b"1")])
        async with tail(log, key) as records, anyio.create_task_group() as tasks:
            reply = StreamReply(events=LogFeed(records), content_type="text/event-stream")
            tasks.start_soon(partial(deliver, reply, AsgiWriter(sent, clock), clock, heartbeat_seconds=60, headers=()))
            await anyio.wait_all_tasks_blocked()
            assert sent.bodies == [b"data: 0\n\n", b"data: 1\n\n"]
            await log.append(lease, [Record(2, "c", b"2")], status="completed")
    assert sent.bodies[2:] == [b"data: 2\n\n", b""]


# Bounds


async def test_bodies_being_read_share_a_budget_and_give_it_back() -> None:
    budget = ByteBudget(3)
    assert await read_body(Received(part(b"abc")), budget=budget) == b"abc"
    assert budget.held == 0
    refused = await read_body(Received(part(b"ab", more=True), part(b"cd")), budget=budget)
    assert isinstance(refused, Problem)
    assert (refused.status, refused.code, budget.held) == (503, "server_busy", 0)
    assert await read_body(Received(part(b"ab", more=True), DISCONNECT), budget=budget) is None
    assert budget.held == 0


async def test_what_does_not_fit_waits_until_something_is_given_back() -> None:
    budget = ByteBudget(10)
    assert budget.try_take(8)
    assert not budget.try_take(3)
    order: list[str] = []

    async def take(count: int, name: str) -> None:
        await budget.take(count)
        order.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take, 5, "five")
        tasks.start_soon(take, 50, "more than there is")
        await anyio.wait_all_tasks_blocked()
        assert order == []
        budget.give_back(8)
        await anyio.wait_all_tasks_blocked()
        assert len(order) == 1
        budget.give_back(budget.held)
    assert sorted(order) == ["five", "more than there is"]


async def test_a_long_body_is_written_in_slices() -> None:
    sent = await delivered(BodyReply(200, b"x" * (2 * SLICE_BYTES + 1)))
    assert [len(each) for each in sent.bodies] == [SLICE_BYTES, SLICE_BYTES, 1, 0]


@pytest.mark.parametrize(
    "reply", [BodyReply(200, b"body"), StreamReply(events=FixedEvents(b"one"), content_type="text/x")]
)
async def test_of_head_only_the_head_is_written(reply: ServerReply) -> None:
    sent, clock = Sent(), HandClock()
    await deliver(reply, AsgiWriter(sent, clock), clock, heartbeat_seconds=2, headers=[], is_head=True)
    assert (sent.messages[0]["status"], sent.bodies) == (200, [b""])
