"""One batch followed over HTTP to its end."""

import random
import weakref
from collections.abc import Callable
from types import TracebackType

from streamfold.client.api.request import Calls
from streamfold.client.follow.runner import Runner
from streamfold.client.misuse import AsyncOnly
from streamfold.client.transport.timing import current_clock
from streamfold.client.transport.transport import Request, Transport
from streamfold.errors import UsageError
from streamfold.schema import Batch
from streamfold.session import BatchOutcome, BatchSession, Call, Cancel, CancelResult, Patience


class FollowedBatch(AsyncOnly):
    """One batch, followed to its end: `async with gateway.batches.follow(batch_id) as batch`.

    Iterate it for the Batch after each poll; a slow reader gets the newest. Leaving the block changes nothing at the
    gateway. Any task may leave it.

    Attributes:
        id: The batch's id.
    """

    usage = "use `async with gateway.batches.follow(...) as batch` and `async for seen in batch`"

    def __init__(
        self,
        batch_id: str,
        *,
        calls: Calls,
        transport: Transport,
        patience: Patience,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.id = batch_id
        self._calls = calls
        self._transport = transport
        self._patience = patience
        self._random = random
        self._entered: Runner[BatchSession] | None = None
        self._given: Batch | None = None

    async def __aenter__(self) -> "FollowedBatch":
        calls, batch_id = self._calls, self.id  # the tasks must not keep this object alive

        def request(call: Call) -> Request:
            return calls.cancel_batch(batch_id) if isinstance(call, Cancel) else calls.retrieve_batch(batch_id)

        session = BatchSession(random=self._random, now=current_clock()(), patience=self._patience)
        self._entered = Runner(
            session, name=f"batch {batch_id}", transport=self._transport, request=request, hide=calls.hide
        )
        self._finalizer = weakref.finalize(self, self._entered.abandon)
        self._finalizer.atexit = False
        self._entered.dispatch()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        runner = self._runner
        self._finalizer.detach()
        await runner.close()
        if error is None:
            runner.tasks.raise_failure()

    def __aiter__(self) -> "FollowedBatch":
        return self

    async def __anext__(self) -> Batch:
        runner = self._runner
        session = runner.session
        while session.batch is None or session.batch is self._given:
            if session.outcome is not None:
                raise StopAsyncIteration
            await runner.wait()
        self._given = session.batch
        return session.batch

    @property
    def batch(self) -> Batch | None:
        """The last Batch that arrived."""
        return self._runner.session.batch

    async def outcome(self) -> BatchOutcome:
        """Follow to the end, and return how the batch ended. Never raises for how it ended."""
        runner = self._runner
        while runner.session.outcome is None:
            await runner.wait()
        return runner.session.outcome

    async def cancel(self) -> CancelResult:
        """Cancel the batch, and return the proven result. A batch can be `cancelling` for minutes first."""
        runner = self._runner
        runner.request_cancel()
        return await runner.wait_for_cancel()

    def notice(self) -> None:
        """Report that a verified webhook named this batch: the client polls at once."""
        self._runner.notice()

    @property
    def _runner(self) -> Runner[BatchSession]:
        if self._entered is None:
            raise UsageError(
                "the batch is not entered: use it inside `async with gateway.batches.follow(...) as batch`"
            )
        return self._entered
