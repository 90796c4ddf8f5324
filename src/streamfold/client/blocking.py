"""The client for code without an event loop: scripts, notebooks, Flask, threads.

`Gateway` here has the calls of `streamfold.client.Gateway`, and waits for each. It runs the async one on an event loop
in a thread of its own, so it also works where another loop runs in the same thread, as in a notebook. Several threads
may use it at once.

    with Gateway("https://api.openai.com/v1", api_key=key) as gateway:
        with gateway.stream(model="gpt-5", input="Hello") as response:
            for piece in response.text():
                print(piece, end="")
"""

import atexit
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from functools import wraps
from threading import Event as ThreadEvent
from threading import Lock
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeAlias, TypeVar, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from streamfold.client.api.batches import Batches
from streamfold.client.api.gateway import Gateway as AsyncGateway
from streamfold.client.follow.batch import FollowedBatch
from streamfold.client.follow.follow import FollowedResponse
from streamfold.client.misuse import BlockingOnly
from streamfold.client.transport.resolve import Http
from streamfold.errors import UsageError
from streamfold.fold import State
from streamfold.schema import Batch, Dialect, Event
from streamfold.session import Patience, Repair

P = ParamSpec("P")
T = TypeVar("T")
Followed = TypeVar("Followed", bound=AbstractAsyncContextManager[Any])
END: Any = object()
CANCEL_SECONDS = 15.0  # a cancelled call may still send a cancel, and settle it for ten seconds


# One thread for the loop, and any number of threads that call. Every method hands one coroutine to the loop and waits for
# its result on a `concurrent.futures.Future`; nothing of the async client is touched from outside the loop but its
# read-only properties.
#
# Ctrl-C. Python raises KeyboardInterrupt in the main thread, which waits, and not in the loop, which works. So the waiting
# side cancels the task and waits until it has unwound: the socket is closed before the exception leaves the call. A read
# that was interrupted loses no event, because a followed response resumes after its cursor.


class EventLoop:
    """An event loop in a thread of its own, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._process = os.getpid()
        self.is_closed: bool = False

    def portal(self) -> BlockingPortal:
        """What reaches the loop from other threads."""
        with self._lock:
            if self.is_closed:
                raise UsageError("the gateway is closed; create a new one")
            if self._is_forked:  # the thread is in the parent alone: a call would wait for it for ever
                raise UsageError("the gateway was used before this process was forked; create a new one here")
            if self._portal is None:
                self._process = os.getpid()
                self._portal = self._stack.enter_context(start_blocking_portal())
                # A portal that is still open when the interpreter tears down waits for ever for its own dead thread.
                atexit.register(self.close)
            return self._portal

    @property
    def _is_forked(self) -> bool:
        return self._portal is not None and self._process != os.getpid()

    def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run a task and wait for it. Ctrl-C in the waiting thread cancels the task before it is raised."""
        has_ended = ThreadEvent()

        async def run() -> T:
            try:
                return await call()
            finally:
                has_ended.set()

        result = self.portal().start_task_soon(run)
        try:
            return result.result()
        except BaseException:
            # Either the task raised, and has ended; or the wait was interrupted, and nobody would end the task.
            if result.cancel():
                has_ended.wait(CANCEL_SECONDS)
            raise

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items, each fetched when it is asked for."""

        async def fetch() -> T:
            try:
                return await items.__anext__()
            except StopAsyncIteration:
                return cast(T, END)  # for the exception would leave the coroutine as a RuntimeError

        while (item := self.run(fetch)) is not END:
            yield item

    # What still runs is cancelled: a response or a log that was never left would be waited for, and nothing would end it.
    # Cancelling disconnects, as leaving the block would.
    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        with self._lock:
            portal = None if self._is_forked else self._portal
            self._portal, self.is_closed = None, True
        if portal is not None:
            atexit.unregister(self.close)
            portal.call(portal.stop, True)
            self._stack.close()


class Block(BlockingOnly, Generic[Followed]):
    """What is followed inside a plain `with`. A followed response may be entered and left by different tasks."""

    usage = "use a plain `with` and `for`"

    def __init__(self, inner: Followed, loop: EventLoop) -> None:
        self._inner: Followed = inner
        self._loop = loop

    def __enter__(self) -> Self:
        self._loop.run(self._inner.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._loop.run(lambda: self._inner.__aexit__(kind, error, trace))
        except UsageError:  # closing the gateway has disconnected it already
            if not self._loop.is_closed:
                raise


# The methods of the async classes, for objects that hold one as `_inner` and its loop as `_loop`. Signatures and
# docstrings are theirs, so that neither can drift; of the method that a decorator stands on, only the name counts.

Stub: TypeAlias = Callable[[Any], None]


def waiting(
    method: Callable[Concatenate[Any, P], Awaitable[T]],
) -> Callable[[Stub], Callable[Concatenate[Any, P], T]]:
    """The same method, waited for."""

    @wraps(method)
    def wait(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop: EventLoop = self._loop
        return loop.run(lambda: method(self._inner, *args, **kwargs))

    return lambda _stub: wait


def iterating(
    method: Callable[Concatenate[Any, P], AsyncIterator[T]],
) -> Callable[[Stub], Callable[Concatenate[Any, P], Iterator[T]]]:
    """The same method, for a plain `for`."""

    @wraps(method)
    def iterate(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        loop: EventLoop = self._loop
        return loop.iterate(method(self._inner, *args, **kwargs))

    return lambda _stub: iterate


def following(
    method: Callable[Concatenate[Any, P], FollowedResponse],
) -> Callable[[Stub], Callable[Concatenate[Any, P], "BlockingResponse"]]:
    """The same method, for a plain `with`."""

    @wraps(method)
    def follow(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> "BlockingResponse":
        return BlockingResponse(method(self._inner, *args, **kwargs), self._loop)

    return lambda _stub: follow


class Gateway(BlockingOnly):
    """One gateway, for one key, for code without an event loop. Use it with `with`, or `close()` it.

    Args:
        base_url: As for `streamfold.client.Gateway`, like every argument here.
        on_repair: Called in the gateway's own thread.
    """

    usage = "use `with Gateway(...) as gateway`"

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str,
        dialect: Dialect | str | None = None,
        on_behalf_of: str | None = None,
        http: Http = None,
        timeout: float = 600.0,
        max_retries: int = 2,
        connect_seconds: float = 5.0,
        headers: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        on_repair: Callable[[Repair], None] | None = None,
    ) -> None:
        self._inner = AsyncGateway(
            base_url,
            api_key=api_key,
            dialect=dialect,
            on_behalf_of=on_behalf_of,
            http=http,
            timeout=timeout,
            max_retries=max_retries,
            connect_seconds=connect_seconds,
            headers=headers,
            patience=patience,
            on_repair=on_repair,
        )
        self._loop = EventLoop()
        self.batches: BlockingBatches = BlockingBatches(self._inner.batches, self._loop)

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def dialect(self) -> Dialect:
        """The dialect that it speaks."""
        return self._inner.dialect

    def close(self) -> None:
        """Close what this gateway opened, and end its thread."""
        try:
            self._loop.run(self._inner.aclose)
        except UsageError:  # it is closed already
            return
        finally:
            self._loop.close()

    def opened(self, context: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
        """Open an async resource, usually a log, on the gateway's loop: `with gateway.opened(SqliteLog(path)) as log`."""
        return self._loop.portal().wrap_async_context_manager(context)

    @following(AsyncGateway.stream)
    def stream(self) -> None:
        """Create a response and follow it: `with gateway.stream(model=..., input=...) as response`."""

    @following(AsyncGateway.follow)
    def follow(self) -> None:
        """Follow an existing response: `with gateway.follow(response_id) as response`."""

    @waiting(AsyncGateway.create)
    def create(self) -> None:
        """Create a response and wait for it; with `background=True`, only until it is queued."""

    @waiting(AsyncGateway.retrieve)
    def retrieve(self) -> None:
        """The response as it is now."""

    @waiting(AsyncGateway.cancel)
    def cancel(self) -> None:
        """Ask the gateway to cancel a response, and return its answer."""

    @waiting(AsyncGateway.update)
    def update(self) -> None:
        """Replace the metadata of a response, and return the response."""

    @waiting(AsyncGateway.delete)
    def delete(self) -> None:
        """Delete a response."""

    @waiting(AsyncGateway.list)
    def list(self) -> None:
        """One page of the responses."""

    @waiting(AsyncGateway.input_items)
    def input_items(self) -> None:
        """One page of the input that a response was created with."""


class BlockingResponse(Block[FollowedResponse]):
    """One response, followed to its end, inside `with`.

    Iterate it for its events, iterate `states()` or `text()`, or just call `outcome()`. You may call `cancel` from
    another thread while one iterates. Leaving the block disconnects.
    """

    def __iter__(self) -> Iterator[Event]:
        return self._loop.iterate(aiter(self._inner))

    @iterating(FollowedResponse.states)
    def states(self) -> None:
        """A state after each event, and the final one."""

    @iterating(FollowedResponse.text)
    def text(self) -> None:
        """The output text in pieces as they arrive."""

    @waiting(FollowedResponse.outcome)
    def outcome(self) -> None:
        """Follow to the end, and return how the response ended."""

    @waiting(FollowedResponse.cancel)
    def cancel(self) -> None:
        """Cancel the response at the gateway, and return the proven result."""

    def notice(self) -> None:
        """Report that a verified webhook named this response. If the client is waiting to poll, it polls at once."""

        async def notice() -> None:
            self._inner.notice()

        self._loop.run(notice)

    @property
    def id(self) -> str | None:
        """The response's id; None until it has arrived."""
        return self._inner.id

    @property
    def state(self) -> State:
        """The state after the last event that you read; at the end the final one."""
        return self._inner.state

    @property
    def cursor(self) -> int | None:
        """The sequence number of the last event that you read; another process can resume after it."""
        return self._inner.cursor

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs of the stream so far."""
        return self._inner.repairs


class BlockingBatches:
    """The batches of one gateway: `gateway.batches`."""

    def __init__(self, batches: Batches, loop: EventLoop) -> None:
        self._inner = batches
        self._loop = loop

    @waiting(Batches.create)
    def create(self) -> None:
        """Create a batch."""

    @waiting(Batches.retrieve)
    def retrieve(self) -> None:
        """The batch as it is now."""

    @waiting(Batches.cancel)
    def cancel(self) -> None:
        """Ask the gateway to cancel a batch, and return its answer."""

    @waiting(Batches.list)
    def list(self) -> None:
        """One page of the batches."""

    def follow(self, batch_id: str) -> "BlockingBatch":
        """Follow a batch to its end: `with gateway.batches.follow(batch_id) as batch`."""
        return BlockingBatch(self._inner.follow(batch_id), self._loop)


class BlockingBatch(Block[FollowedBatch]):
    """One batch, followed to its end, inside `with`. Iterate it for the Batch after each poll."""

    def __iter__(self) -> Iterator[Batch]:
        return self._loop.iterate(aiter(self._inner))

    @property
    def batch(self) -> Batch | None:
        """The batch as it was last seen."""
        return self._inner.batch

    @waiting(FollowedBatch.outcome)
    def outcome(self) -> None:
        """Follow to the end, and return how it ended."""

    @waiting(FollowedBatch.cancel)
    def cancel(self) -> None:
        """Cancel the batch, and return the proven result."""
