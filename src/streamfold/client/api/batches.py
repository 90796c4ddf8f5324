"""Batches: their calls, each once, and one of them followed to its end.

In      the arguments of each call
Out     Batch; FollowedBatch, to be used with `async with`
Units   seconds
Errors  InvalidArgument before anything is sent; RequestRefused, UnexpectedAnswer, or a TransportError; what is
        followed raises none of these
Source  docs/reference/client.md
"""

import random
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TypeVar

import anyio

from streamfold.client.api.answer import collect
from streamfold.client.api.page import Page, decode_page
from streamfold.client.api.request import Calls, check_batch_id
from streamfold.client.transport.timing import current_clock
from streamfold.client.transport.transport import Request, Transport
from streamfold.errors import TransportError, UsageError
from streamfold.schema import Batch, decode_batch
from streamfold.session import BatchOutcome, BatchSession, Call, Cancel, CancelResult, Patience, Retrieve, Wait

__all__ = ["Ask", "Batches", "FollowedBatch"]

Body = TypeVar("Body")


class Ask(Protocol):
    """Sends a request once, and decodes what comes."""

    async def __call__(self, request: Request, decode: Callable[[bytes], Body], *, expected: str) -> Body: ...


class Batches:
    """The batches of one gateway."""

    def __init__(self, calls: Calls, *, transport: Transport, patience: Patience, ask: Ask) -> None:
        self._calls = calls
        self._transport = transport
        self._patience = patience
        self._ask = ask

    async def create(self, **parameters: Any) -> Batch:
        """Make a batch: `input_file_id`, `endpoint` and what else the API names."""
        return await self._ask(self._calls.create_batch(parameters), decode_batch, expected="a Batch")

    async def retrieve(self, batch_id: str) -> Batch:
        """The batch as it is now."""
        return await self._ask(self._calls.retrieve_batch(batch_id), decode_batch, expected="a Batch")

    async def cancel(self, batch_id: str) -> Batch:
        """What the gateway answers to a cancel, most often a batch that is `cancelling`: see `follow(...).cancel()`."""
        return await self._ask(self._calls.cancel_batch(batch_id), decode_batch, expected="a Batch")

    async def list(self, *, after: str | None = None, limit: int | None = None) -> Page:
        """A page of the batches."""
        request = self._calls.list_batches(page={"after": after, "limit": limit})
        return await self._ask(request, decode_page, expected="a list")

    def follow(self, batch_id: str) -> "FollowedBatch":
        """Follow a batch to its end: `async with gateway.batches.follow(batch_id) as batch`."""
        return FollowedBatch(
            check_batch_id(batch_id), calls=self._calls, transport=self._transport, patience=self._patience
        )


class FollowedBatch:
    """One batch, followed to its end, inside `async with`. Iterate it for the Batch each time that it was fetched.

    Leaving the block changes nothing at the gateway.
    """

    def __init__(
        self,
        batch_id: str,
        *,
        calls: Calls,
        transport: Transport,
        patience: Patience,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.id = batch_id
        self._calls = calls
        self._transport = transport
        self._patience = patience
        self._chance = chance
        self._begun: BatchSession | None = None
        self._changed = anyio.Event()
        self._is_driven = False
        self._given: Batch | None = None

    async def __aenter__(self) -> "FollowedBatch":
        self._clock = current_clock()
        self._begun = BatchSession(chance=self._chance, now=self._clock(), patience=self._patience)
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
        """Follow it to the end."""
        while self._session.outcome is None:
            await self._advance()
        return self._session.outcome

    async def cancel(self) -> CancelResult:
        """Cancel the batch, and find out what that came to: a batch is `cancelling` for up to minutes first."""
        session = self._session
        session.receive_cancel(now=self._clock())
        self._tell_change()
        while session.cancel_result is None and session.outcome is None:
            await self._advance()
        return session.cancel_result or CancelResult.UNCONFIRMED

    def notice(self) -> None:
        """Tell it that a verified webhook spoke of this batch: the next GET is made at once."""
        self._session.receive_notice(now=self._clock())
        self._tell_change()

    @property
    def _session(self) -> BatchSession:
        if self._begun is None:
            raise UsageError("a batch is followed inside `async with`")
        return self._begun

    async def _advance(self) -> None:
        """Do what the session asks for next; where another task does, wait until something changed."""
        changed = self._changed
        if self._is_driven:
            await changed.wait()
            return
        self._is_driven = True
        try:
            has_called = False
            actions = self._session.actions()
            if not actions:
                await changed.wait()
            for action in actions:
                if isinstance(action, Retrieve | Cancel):
                    await self._perform(action)
                    has_called = True
                elif isinstance(action, Wait):
                    if not has_called:  # else it was said before the answer came
                        with anyio.move_on_after(action.seconds):
                            await changed.wait()
                        self._session.receive_time(now=self._clock())
                    break
        finally:
            self._is_driven = False
            self._tell_change()

    async def _perform(self, call: Call) -> None:
        session = self._session
        is_cancel = isinstance(call, Cancel)
        request = self._calls.cancel_batch(self.id) if is_cancel else self._calls.retrieve_batch(self.id)
        try:
            async with self._transport.open(request) as reply:
                answer = await collect(reply, max_body_bytes=self._patience.max_body_bytes)
        except TransportError as failure:
            session.receive_failure(call, failure.reason, now=self._clock())
        except BaseException:  # whoever reads next makes the call again
            session.receive_failure(call, "it was left", now=self._clock())
            raise
        else:
            session.receive_answer(call, answer, now=self._clock())

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
