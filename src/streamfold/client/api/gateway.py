"""A gateway: its calls, each once, and responses and batches followed to their end.

In      a base URL, a key, a dialect; the arguments of each call
Out     typed bodies; FollowedResponse and FollowedBatch, to be used with `async with`
Units   seconds; sequence numbers
Errors  InvalidArgument before anything is sent; RequestRefused, UnexpectedAnswer, or a TransportError
Source  docs/reference/client.md

A plain call is sent once: what to do about a failure is the caller's to say. Only what is followed is mended.
"""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from streamfold.client.api.answer import bad_answer, collect
from streamfold.client.api.batches import Batches
from streamfold.client.api.page import Deleted, Page, decode_deleted, decode_page
from streamfold.client.api.request import Calls, check_include, check_response_id, check_starting_after
from streamfold.client.follow.follow import FollowedResponse, OnExit
from streamfold.client.follow.record import record
from streamfold.client.follow.start import Start
from streamfold.client.transport.resolve import Http, resolve_transport
from streamfold.client.transport.transport import Request
from streamfold.errors import MalformedBody
from streamfold.fold import State
from streamfold.log import EventLog
from streamfold.schema import MKA1, Dialect, Response, decode_response
from streamfold.session import Answer, Patience, Repair

__all__ = ["Gateway"]

Body = TypeVar("Body")
OnRepair = Callable[[Repair], None]


class Gateway:
    """One gateway, for one key. Use it with `async with`, or `await aclose()` it.

    base_url: as https://host, with the dialect's own path put behind it, or with a path of its own.
    on_behalf_of: the end user, sent as X-On-Behalf-Of. headers: sent with every call besides.
    http: what carries the requests: None for httpx2, or httpx where that is not installed; "direct"; an AsyncClient of
    either; or any Transport.
    patience: of what is followed, and of every call as to silence.
    Raises: InvalidArgument, which names the argument.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str,
        on_behalf_of: str | None = None,
        dialect: Dialect = MKA1,
        http: Http = None,
        patience: Patience | None = None,
        connect_seconds: float = 5.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._patience = patience or Patience()
        self._calls = Calls.to(
            base_url,
            api_key=api_key,
            dialect=dialect,
            on_behalf_of=on_behalf_of,
            connect_seconds=connect_seconds,
            idle_seconds=self._patience.idle_seconds,
            headers=headers,
        )
        self._transport, self._owns_transport = resolve_transport(http)
        self.batches: Batches = Batches(self._calls, transport=self._transport, patience=self._patience, ask=self._ask)

    async def __aenter__(self) -> "Gateway":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what this gateway opened. A client or transport that was passed in stays its owner's."""
        if self._owns_transport:
            await self._transport.aclose()

    # Followed

    def stream(
        self,
        *,
        on_exit: OnExit = "leave",
        on_repair: OnRepair | None = None,
        **parameters: Any,
    ) -> "FollowedResponse":
        """Make a response, and follow it: `async with gateway.stream(model=..., input=...) as response`.

        parameters: as those of `create`.
        Raises: InvalidArgument; inside `async with`, what `create` raises. Once it streams, nothing.
        """
        post = self._calls.create(parameters, stream=True)
        return self._followed(Start(post=post), on_exit=on_exit, on_repair=on_repair)

    def follow(
        self,
        response_id: str,
        *,
        starting_after: int | None = None,
        state: State | None = None,
        include: Sequence[str] = (),
        include_obfuscation: bool | None = None,
        log: EventLog | None = None,
        on_exit: OnExit = "leave",
        on_repair: OnRepair | None = None,
    ) -> "FollowedResponse":
        """Follow a response that is there: `async with gateway.follow(response_id) as response`.

        starting_after: the cursor to go on from; None for the whole stream. state: what was folded up to there, so
        that the text before the cursor is known too; its own cursor then counts. log: what has it recorded, and goes on
        recording, as `record` does: what it has is known at once, and its events come again only to a reader that lacks
        them, as its `starting_after` or `state` says, with State() for one that has nothing.
        Raises: InvalidArgument; inside `async with`, where there is a log, LeaseHeld and other LogErrors.
        """
        start = Start(
            response_id=check_response_id(response_id),
            starting_after=check_starting_after(starting_after),
            state=state,
            include=check_include(include),
            include_obfuscation=include_obfuscation,
        )
        response = self._followed(start, on_exit=on_exit, on_repair=on_repair)
        return response if log is None else record(response, log)

    def _followed(self, start: Start, *, on_exit: OnExit, on_repair: OnRepair | None) -> "FollowedResponse":
        return FollowedResponse(
            start,
            calls=self._calls,
            transport=self._transport,
            patience=self._patience,
            on_exit=on_exit,
            on_repair=on_repair,
        )

    # Each call once

    async def create(self, **parameters: Any) -> Response:
        """Make a response, and wait for it; with `background=True`, only until it is queued.

        parameters: as the API names them. Their ranges are checked before anything is sent; unknown ones are passed on.
        """
        return await self._ask(self._calls.create(parameters, stream=False), decode_response, expected="a Response")

    async def retrieve(self, response_id: str, *, include: Sequence[str] = ()) -> Response:
        """The response as it is now."""
        return await self._ask(
            self._calls.retrieve(response_id, include=include), decode_response, expected="a Response"
        )

    async def cancel(self, response_id: str) -> Response:
        """What the gateway answers to a cancel. Whether it was cancelled is another question: see `follow(...).cancel()`."""
        return await self._ask(self._calls.cancel(response_id), decode_response, expected="a Response")

    async def update(self, response_id: str, *, metadata: Mapping[str, str]) -> Response:
        """The response, with other metadata."""
        return await self._ask(self._calls.update(response_id, metadata), decode_response, expected="a Response")

    async def delete(self, response_id: str) -> Deleted:
        """Delete the response."""
        return await self._ask(self._calls.delete(response_id), decode_deleted, expected="a deletion")

    async def list(
        self,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int | None = None,
        order: str | None = None,
    ) -> Page:
        """A page of the responses, newest first unless `order="asc"`."""
        page = {"after": after, "before": before, "limit": limit, "order": order}
        return await self._ask(self._calls.list_responses(page=page), decode_page, expected="a list")

    async def input_items(
        self,
        response_id: str,
        *,
        include: Sequence[str] = (),
        after: str | None = None,
        limit: int | None = None,
        order: str | None = None,
    ) -> Page:
        """A page of what the response was asked."""
        page = {"after": after, "limit": limit, "order": order}
        request = self._calls.input_items(response_id, page=page, include=include)
        return await self._ask(request, decode_page, expected="a list")

    async def _ask(self, request: Request, decode: Callable[[bytes], Body], *, expected: str) -> Body:
        """Send it once, and decode what comes.

        Raises: RequestRefused for an error status; UnexpectedAnswer for a body of another kind; TransportError.
        """
        async with self._transport.open(request) as reply:
            answer: Answer = await collect(reply, max_body_bytes=self._patience.max_body_bytes)
        if not answer.is_success:
            raise bad_answer(answer, expected=expected)
        try:
            return decode(answer.body)
        except MalformedBody as error:
            raise bad_answer(answer, expected=expected) from error
