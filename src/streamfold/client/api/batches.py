"""Batches: their calls, and one batch followed to its end."""

import random
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Unpack, cast
from uuid import uuid4

import anyio

from streamfold.client.api.answer import Page, collect, decode_page
from streamfold.client.api.arguments import check_batch_id, check_known
from streamfold.client.api.request import CallOptions, Calls
from streamfold.client.api.sending import Sender
from streamfold.client.transport.timing import current_clock
from streamfold.client.transport.transport import Transport
from streamfold.errors import TransportError, UsageError
from streamfold.schema import Batch, decode_batch
from streamfold.session import BatchOutcome, BatchSession, Cancel, CancelResult, Patience, Retrieve, Wait, drive

__all__ = ["BatchParams", "Batches", "FollowedBatch"]


class BatchParams(CallOptions, total=False):
    """What a batch is created with, besides the options of every call. Newer parameters go in `extra_body`.

    Attributes:
        input_file_id: The uploaded file of requests.
        endpoint: The path that each request is for, such as `/v1/responses`.
        completion_window: `"24h"`.
        metadata: Up to 16 pairs of text.
        max_concurrency: Requests at once; MKA1 requires it.
    """

    input_file_id: str
    endpoint: str
    completion_window: str | None
    metadata: Mapping[str, str] | None
    max_concurrency: int | None


class Batches:
    """The batches of one gateway: `gateway.batches`."""

    def __init__(
        self, calls: Calls, *, sender: Sender, transport: Transport, patience: Patience, default_timeout: float
    ) -> None:
        self._calls = calls
        self._sender = sender
        self._transport = transport
        self._patience = patience
        self._default_timeout = default_timeout

    async def create(
        self,
        *,
        max_retries: int | None = None,
        idempotency_key: str | None = None,
        **parameters: Unpack[BatchParams],
    ) -> Batch:
        """Create a batch.

        Args:
            max_retries: How often it is sent again while the gateway has not taken it; None for the gateway's.
            idempotency_key: Sent with every attempt as the Idempotency-Key header; None for a new one.
            **parameters: The API's own, and the options of every call.
        """
        check_known(parameters, BatchParams.__annotations__)
        own = {name: value for name, value in parameters.items() if name not in CallOptions.__annotations__}
        options = cast(CallOptions, {name: value for name, value in parameters.items() if name not in own})
        request = self._with(options).create_batch(own, idempotency_key=idempotency_key or str(uuid4()))
        return await self._sender.ask(request, decode_batch, expected="a Batch", max_retries=max_retries)

    async def retrieve(self, batch_id: str, **options: Unpack[CallOptions]) -> Batch:
        """The batch as it is now."""
        return await self._sender.ask(self._with(options).retrieve_batch(batch_id), decode_batch, expected="a Batch")

    async def cancel(self, batch_id: str, **options: Unpack[CallOptions]) -> Batch:
        """Ask the gateway to cancel a batch, and return its answer: most often a batch that is `cancelling`.

        To learn whether it was cancelled, use `follow(batch_id).cancel()`.
        """
        return await self._sender.ask(self._with(options).cancel_batch(batch_id), decode_batch, expected="a Batch")

    async def list(self, *, after: str | None = None, limit: int | None = None, **options: Unpack[CallOptions]) -> Page:
        """One page of the batches."""
        request = self._with(options).list_batches(page={"after": after, "limit": limit})
        return await self._sender.ask(request, decode_page, expected="a list")

    def follow(self, batch_id: str) -> "FollowedBatch":
        """Follow a batch to its end: `async with gateway.batches.follow(batch_id) as batch`."""
        return FollowedBatch(
            check_batch_id(batch_id), calls=self._calls, transport=self._transport, patience=self._patience
        )

    def _with(self, options: CallOptions) -> Calls:
        return self._calls.with_options(options, default_timeout=self._default_timeout)


# What drives a followed batch. It has no task of its own: each task that awaits `outcome()`, `cancel()` or the next Batch
# takes steps of `drive`. While one takes a step, the others wait for it to end and then look again; when the first is
# cancelled, another one takes over. So a batch that nobody awaits costs nothing, and leaving it needs no care.
#
# A step that is cancelled loses nothing. A call that was under way is reported as failed, so the session makes it again.
# A wait is yielded again, because the generator looks at the session anew before each step.


class FollowedBatch:
    """One batch, followed to its end, inside `async with`. Iterate it for the Batch each time that it was fetched.

    Leaving the block does not change the batch.
    """

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
        self._begun: BatchSession | None = None
        self._changed = anyio.Event()
        self._is_driven = False
        self._given: Batch | None = None

    async def __aenter__(self) -> "FollowedBatch":
        self._clock = current_clock()
        self._begun = BatchSession(random=self._random, now=self._clock(), patience=self._patience)
        self._steps = drive(self._begun)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._begun = None

    def __aiter__(self) -> "FollowedBatch":
        return self

    async def __anext__(self) -> Batch:
        session = self._session
        while session.batch is None or session.batch is self._given:
            if session.outcome is not None:
                raise StopAsyncIteration
            await self._advance()
        self._given = session.batch
        return session.batch

    @property
    def batch(self) -> Batch | None:
        """The batch as it was last seen."""
        return self._session.batch

    async def outcome(self) -> BatchOutcome:
        """Follow it to the end, and return how it ended."""
        while self._session.outcome is None:
            await self._advance()
        return self._session.outcome

    async def cancel(self) -> CancelResult:
        """Cancel the batch, and wait for the result: a batch is `cancelling` for up to minutes first."""
        session = self._session
        session.receive_cancel(now=self._clock())
        self._notify()
        while session.cancel_result is None and session.outcome is None:
            await self._advance()
        return session.cancel_result or CancelResult.UNCONFIRMED

    def notice(self) -> None:
        """Report that a verified webhook named this batch: the next GET is made at once."""
        self._session.receive_notice(now=self._clock())
        self._notify()

    @property
    def _session(self) -> BatchSession:
        if self._begun is None:
            raise UsageError("a batch is followed inside `async with`")
        return self._begun

    async def _advance(self) -> None:
        """Take one step; if another task is taking one, wait until something changed."""
        changed = self._changed  # taken first: what changes while we look is not missed
        if self._is_driven:
            await changed.wait()
            return
        self._is_driven = True
        try:
            match next(self._steps, None):
                case Retrieve() | Cancel() as call:
                    await self._perform(call)
                case Wait(seconds):
                    with anyio.move_on_after(seconds):
                        await changed.wait()
                    self._session.receive_time(now=self._clock())
                case _:
                    pass
        finally:
            self._is_driven = False
            self._notify()

    async def _perform(self, call: Retrieve | Cancel) -> None:
        session = self._session
        is_cancel = isinstance(call, Cancel)
        request = self._calls.cancel_batch(self.id) if is_cancel else self._calls.retrieve_batch(self.id)
        try:
            async with self._transport.open(request) as reply:
                answer = await collect(reply, max_body_bytes=self._patience.max_body_bytes)
        except TransportError as failure:
            session.receive_failure(call, failure.reason, now=self._clock())
        except BaseException:
            session.receive_failure(call, "it was cancelled", now=self._clock())
            raise
        else:
            session.receive_answer(call, answer, now=self._clock())

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
