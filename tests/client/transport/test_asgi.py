"""An application of this process keeps the same promises as a server behind a socket."""

import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from streamfold.client.transport.asgi import App, AsgiTransport
from streamfold.client.transport.transport import Request
from streamfold.errors import Disconnected, IdleTimeout, InvalidArgument, UsageError

pytestmark = pytest.mark.anyio

Send = Callable[[dict[str, Any]], Awaitable[None]]
URL = "http://gateway/v1/responses/resp_1?stream=true&starting_after=4"


async def test_the_application_is_told_the_request_as_a_server_would_tell_it() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope, message=await receive())
        await begin(send, status=201)
        await part(send, b"{}", more=False)

    request = Request(method="POST", url=URL, headers=(("X-One", "1"),), body=b'{"model":"m"}')
    async with AsgiTransport(app).open(request) as reply:
        assert [each async for each in reply.chunks()] == [b"{}"]
        assert (reply.status, reply.headers["content-type"]) == (201, "text/event-stream")
    assert (seen["method"], seen["path"], seen["query_string"]) == (
        "POST",
        "/v1/responses/resp_1",
        b"stream=true&starting_after=4",
    )
    assert seen["headers"] == [(b"host", b"gateway"), (b"x-one", b"1"), (b"content-length", b"13")]
    assert seen["message"] == {"type": "http.request", "body": b'{"model":"m"}', "more_body": False}


async def test_the_application_goes_on_when_its_part_was_taken() -> None:
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        for number in range(5):
            await part(send, b"%d" % number)
            sent.append(number)
        await part(send, b"", more=False)

    async with AsgiTransport(app).open(get()) as reply:
        await anyio.wait_all_tasks_blocked()
        assert sent == []
        async for each in reply.chunks():
            await anyio.wait_all_tasks_blocked()
            assert len(sent) == int(each) + 1


@pytest.mark.parametrize("is_heard", [False, True], ids=["by its next send", "by what it receives"])
async def test_the_application_learns_that_the_reader_left(is_heard: bool) -> None:
    learned: list[object] = []
    over = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await begin(send)
        await part(send, b"one")
        try:
            learned.append(await receive() if is_heard else await part(send, b"two"))
        except OSError as error:
            learned.append(str(error))
        over.set()

    transport = AsgiTransport(app)
    async with transport.open(get()) as reply:
        async for _ in reply.chunks():
            break
    with anyio.fail_after(5):
        await over.wait()
    await transport.aclose()
    assert learned == [{"type": "http.disconnect"} if is_heard else "the client has gone"]


async def test_an_application_that_does_not_listen_is_cancelled_when_the_transport_closes() -> None:
    cancelled = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    transport = AsgiTransport(app)
    async with transport.open(get()):
        pass
    await transport.aclose()
    assert cancelled.is_set()


async def test_an_application_is_given_its_grace_and_no_more() -> None:
    cancelled = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with AsgiTransport(app, grace_seconds=0.01).open(get()):
        pass
    with anyio.fail_after(5):
        await cancelled.wait()


async def test_what_was_sent_before_the_application_raised_is_read_before_the_failure() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        await part(send, b"one")
        await part(send, b"two")
        raise ValueError("broken")

    got: list[bytes] = []
    async with AsgiTransport(app).open(get()) as reply:
        with pytest.raises(Disconnected, match="middle of its answer: ValueError: broken") as caught:
            async for each in reply.chunks():
                got.append(each)
    assert got == [b"one", b"two"]
    assert isinstance(caught.value.__cause__, ValueError)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    return


async def raises(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("broken")


async def stays_silent(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await receive()


@pytest.mark.parametrize(
    ("app", "error"),
    [
        pytest.param(nothing, Disconnected, id="it returns"),
        pytest.param(raises, Disconnected, id="it raises"),
        pytest.param(stays_silent, IdleTimeout, id="it is silent"),
    ],
)
async def test_no_answer_is_a_failure_on_opening(app: App, error: type[Exception]) -> None:
    transport = AsgiTransport(app)
    with pytest.raises(error):
        async with transport.open(Request(method="GET", url=URL, idle_timeout_seconds=0.05)):
            pass
    await transport.aclose()


async def test_an_answer_without_its_last_part_is_cut_short() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)

    async with AsgiTransport(app).open(get()) as reply:
        with pytest.raises(Disconnected):
            async for _ in reply.chunks():
                pass


async def test_abort_ends_a_pending_read() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        await receive()
        await receive()

    async with AsgiTransport(app).open(get()) as reply, anyio.create_task_group() as tasks:

        async def read() -> None:
            with pytest.raises(Disconnected):
                async for _ in reply.chunks():
                    pass

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await reply.abort()


async def test_gzip_is_undone() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await begin(send, encoding=b"gzip")
        await part(send, gzip.compress(b"data: {}\n\n"), more=False)

    async with AsgiTransport(app).open(get()) as reply:
        assert b"".join([each async for each in reply.chunks()]) == b"data: {}\n\n"


async def test_a_reply_is_read_once() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        await part(send, b"", more=False)

    async with AsgiTransport(app).open(get()) as reply:
        reply.chunks()
        with pytest.raises(UsageError):
            reply.chunks()


async def test_a_url_without_a_host_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        async with AsgiTransport(nothing).open(Request(method="GET", url="/v1/responses")):
            pass


async def test_readers_cancelled_anywhere_leave_no_call_behind() -> None:
    running = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal running
        running += 1
        try:
            await begin(send)
            while True:
                await part(send, b"data: {}\n\n")
        finally:
            running -= 1

    async def read(transport: AsgiTransport) -> None:
        async with transport.open(get()) as reply:
            async for _ in reply.chunks():
                pass

    transport = AsgiTransport(app)
    for turns in range(200):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, transport)
            for _ in range(turns % 40):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    await transport.aclose()
    assert running == 0


async def begin(send: Send, *, status: int = 200, encoding: bytes = b"identity") -> None:
    headers = [(b"Content-Type", b"text/event-stream"), (b"content-encoding", encoding)]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def part(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def get() -> Request:
    return Request(method="GET", url=URL)
