"""A gateway: its calls, and responses and batches followed to their end.

A plain call is sent once; a creation is retried if the gateway has not accepted it. Only followed responses are
repaired.
"""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TypeAlias, Unpack
from uuid import uuid4

from attrs import evolve

from streamfold.client.api.answer import Deleted, Page, decode_deleted, decode_page
from streamfold.client.api.arguments import (
    check_choice,
    check_count,
    check_has,
    check_include,
    check_kind,
    check_response_id,
    check_seconds,
    check_starting_after,
)
from streamfold.client.api.batches import Batches
from streamfold.client.api.credentials import IDEMPOTENCY_KEY
from streamfold.client.api.request import CallOptions, Calls
from streamfold.client.api.sending import Sender
from streamfold.client.follow.follow import FollowedResponse, OnExit, record
from streamfold.client.follow.stream import FollowRequest
from streamfold.client.misuse import AsyncOnly
from streamfold.client.transport.resolve import Http, resolve_transport
from streamfold.errors import UsageError
from streamfold.fold import State
from streamfold.log import EventLog
from streamfold.schema import CreateParams, Dialect, Item, Response, UnknownItem, decode_item, decode_response
from streamfold.session import Patience, Repair

# How a call goes. `Gateway` checks the arguments and makes a `Request` of them (`Calls`, pure). A plain call hands it to
# the `Sender`, which bounds, retries and decodes it. A followed response gets the same `Calls`, with the options that
# belong to every request for this response, and a transport that retries creations; from then on it makes its own
# requests, and the session decides which.
#
#     create, retrieve, ...   arguments -> Calls -> Request -> Sender.ask -> typed body, or one GatewayError
#     stream, follow          arguments -> Calls -> FollowRequest -> FollowedResponse -> events, states, text, outcome
#
# What of the options goes where, for a stream: `extra_body` and the Idempotency-Key belong to the one creation, so they
# are in the POST alone. `extra_headers`, `extra_query` and `timeout` belong to the response, so they are in the POST, in
# every resume, in every retrieve and in the cancel: a header that routes or authorizes must not be lost on a repair.

OnRepair: TypeAlias = Callable[[Repair], None]


class Gateway(AsyncOnly):
    """One gateway, for one key. Use it with `async with`, or `await aclose()` it.

    Args:
        base_url: Where the API is. The dialect's path is added (`https://host` becomes `https://host/v1` for openai),
            unless the URL already ends in it, or ends in a slash, which means exactly this root.
        api_key: Sent as a bearer token.
        dialect: `"openai"`, `"mka1"` or `"open-responses"`, or a Dialect. Without one it is guessed from the URL:
            `/v1` and api.openai.com are openai's, `/api/v1/llm` and everything else MKA1's.
        on_behalf_of: The end user, sent as X-On-Behalf-Of.
        http: What sends the requests: None for httpx2, or httpx if that is not installed; `"direct"`; an
            AsyncClient of either library; or any Transport.
        timeout: Seconds that a whole plain call may take, retries included. The default is that of openai's SDK,
            because an answer that is not streamed may take minutes.
        max_retries: How often to retry a creation that the gateway has not accepted: after a failed connection, a 429
            or a 503.
        connect_seconds: Seconds that a connection may take, TLS included.
        headers: Sent with every call.
        patience: The limits for followed responses. Its `total_seconds` bounds plain calls too.
        on_repair: Called for each repair of every followed response, before one that you pass with a call.

    Raises:
        InvalidArgument: An argument cannot be used; the error names it.

    Example:
        ```python
        async with Gateway("https://api.openai.com/v1", api_key=key) as gateway:
            print((await gateway.create(model="gpt-5", input="Hello")).output_text)
        ```
    """

    usage = "use `async with Gateway(...) as gateway`"

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
        on_repair: OnRepair | None = None,
    ) -> None:
        self._patience = check_kind("patience", patience, Patience) or Patience()
        self._on_repair = check_has("on_repair", on_repair, "__call__", wanted="a function that takes a Repair")
        self._timeout = check_seconds("timeout", timeout)
        self._calls = Calls.to(
            base_url,
            api_key=api_key,
            dialect=dialect,
            on_behalf_of=on_behalf_of,
            connect_seconds=connect_seconds,
            idle_seconds=self._patience.idle_seconds,
            headers=headers,
        )
        retries = check_count("max_retries", max_retries)
        self._transport, self._owns_transport = resolve_transport(http)
        self._is_closed = False
        self._sender = Sender(self._transport, max_retries=retries, patience=self._patience)
        self.batches: Batches = Batches(
            self._calls,
            sender=self._sender,
            patience=self._patience,
            default_timeout=self._timeout,
        )

    @property
    def dialect(self) -> Dialect:
        """The dialect that it speaks."""
        return self._calls.dialect

    async def __aenter__(self) -> "Gateway":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what this gateway opened. Close a client or transport that you passed in yourself."""
        if self._owns_transport:
            self._is_closed = True
            await self._transport.aclose()

    # Followed

    def stream(
        self,
        *,
        log: EventLog | None = None,
        on_exit: OnExit = "leave",
        on_repair: OnRepair | None = None,
        extra_headers: Mapping[str, str] | None = None,
        extra_query: Mapping[str, object] | None = None,
        extra_body: Mapping[str, object] | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        idempotency_key: str | None = None,
        **parameters: Unpack[CreateParams],
    ) -> FollowedResponse:
        """Create a response and follow it: `async with gateway.stream(model=..., input=...) as response`.

        Entering the block sends the request and raises what `create` raises. Once it streams, no failure of the network
        or the gateway raises: the client repairs it, or the outcome says why it could not.

        Args:
            log: Records the response: an event reaches your code only after it is in the log.
            on_exit: `"leave"` disconnects when the block is left, and the response runs on; `"cancel"` cancels it.
            on_repair: Called for each repair of this response.
            extra_headers: Additional headers, sent with every request for this response.
            extra_query: Additional query parameters, sent with every request for this response.
            extra_body: Fields to add to the body of the creation. They are not checked.
            timeout: Seconds until the stream begins, retries included, and that it may be silent; None for the gateway's `connect_seconds` and
                `patience.idle_seconds`.
            max_retries: How often to retry a creation that the gateway has not accepted; None for the gateway's.
            idempotency_key: Sent with every attempt; None for a new one.
            **parameters: The API's own: see [Parameters](parameters.md). None counts as not given.

        Raises:
            InvalidArgument: An argument cannot be used. Nothing was sent.
        """
        options: CallOptions = {"extra_headers": extra_headers, "extra_query": extra_query, "timeout": timeout}
        calls = self._calls.with_options(options)
        creating = self._calls.with_options({**options, "extra_body": extra_body})
        # What the creation asked to include, every resume and retrieve must ask for too, or a repair would lose it.
        stream_options = parameters.get("stream_options") or {}
        post = creating.create(parameters, stream=True, idempotency_key=idempotency_key or str(uuid4()))
        background = {"background": parameters.get("background"), **(extra_body or {})}["background"]
        return self._followed(
            FollowRequest(
                post=post,
                include=check_include(parameters.get("include") or ()),
                include_obfuscation=stream_options.get("include_obfuscation"),
                is_background=background is True,
            ),
            calls,
            log=log,
            on_exit=on_exit,
            on_repair=on_repair,
            max_retries=max_retries,
        )

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
        extra_headers: Mapping[str, str] | None = None,
        extra_query: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> FollowedResponse:
        """Follow an existing response: `async with gateway.follow(response_id) as response`.

        Args:
            response_id: The response.
            starting_after: The cursor to resume after; None for the whole stream.
            state: The state to continue from, which also has the text before its cursor. Replaces `starting_after`.
            include: Additional data to include in the response, as the API names it.
            include_obfuscation: Whether deltas carry padding; None for the gateway's default.
            log: Continues to record the response, as `record` does. You have what the log holds at once. Its events are
                delivered again only if you ask for them with `starting_after` or `state` (`State()` for all of them).
            on_exit: `"leave"` disconnects when the block is left, and the response runs on; `"cancel"` cancels it.
            on_repair: Called for each repair of this response.
            extra_headers: Additional headers, sent with every request.
            extra_query: Additional query parameters, sent with every request.
            timeout: Seconds until the stream of a connection begins, and that it may be silent; None for the gateway's `connect_seconds` and
                `patience.idle_seconds`.

        Raises:
            InvalidArgument: An argument cannot be used.
        """
        start = FollowRequest(
            response_id=check_response_id(response_id),
            starting_after=check_starting_after(starting_after),
            state=check_kind("state", state, State),
            include=check_include(include),
            include_obfuscation=include_obfuscation,
        )
        calls = self._calls.with_options(
            {"extra_headers": extra_headers, "extra_query": extra_query, "timeout": timeout}
        )
        return self._followed(start, calls, log=log, on_exit=on_exit, on_repair=on_repair)

    def _followed(
        self,
        start: FollowRequest,
        calls: Calls,
        *,
        log: EventLog | None,
        on_exit: OnExit,
        on_repair: OnRepair | None,
        max_retries: int | None = None,
    ) -> FollowedResponse:
        self._check_open()
        check_choice("on_exit", on_exit, ("leave", "cancel"))
        check_has("on_repair", on_repair, "__call__", wanted="a function that takes a Repair")
        check_has("log", log, "acquire", wanted="an EventLog, such as SqliteLog(path)")
        # A key that the caller put into extra_headers makes one response: no later request may carry it.
        headers = tuple(pair for pair in calls.headers if pair[0] != IDEMPOTENCY_KEY)
        response = FollowedResponse(
            start,
            calls=evolve(calls, headers=headers),
            transport=self._sender.retrying(max_retries),
            patience=self._patience,
            on_exit=on_exit,
            on_repair=_both(self._on_repair, on_repair),
        )
        return response if log is None else record(response, log)

    # Plain calls

    async def create(
        self,
        *,
        extra_headers: Mapping[str, str] | None = None,
        extra_query: Mapping[str, object] | None = None,
        extra_body: Mapping[str, object] | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        idempotency_key: str | None = None,
        **parameters: Unpack[CreateParams],
    ) -> Response:
        """Create a response and wait for it; with `background=True`, only until it is queued.

        Args:
            extra_headers: Additional headers. One with the name of ours replaces it.
            extra_query: Additional query parameters. One with the name of ours replaces it.
            extra_body: Fields to add to the body, or to replace ours with the same name. They are not checked.
            timeout: Seconds that the whole call may take, retries included; None for the gateway's `timeout`.
            max_retries: How often to retry if the gateway has not accepted it; None for the gateway's.
            idempotency_key: Sent with every attempt as the Idempotency-Key header; None for a new one.
            **parameters: The API's own: see [Parameters](parameters.md). None counts as not given.

        Raises:
            InvalidArgument: A parameter is unknown, or breaks its rule. Nothing was sent.
            RequestRefused: The gateway answered with an error status.
            UnexpectedAnswer: The answer is not a Response.
            TransportError: There is no complete answer. Unless it is ConnectFailed, the response may have been created:
                call again with the same `idempotency_key`.
        """
        calls = self._with(
            {"extra_headers": extra_headers, "extra_query": extra_query, "extra_body": extra_body, "timeout": timeout}
        )
        request = calls.create(parameters, stream=False, idempotency_key=idempotency_key or str(uuid4()))
        return await self._sender.ask(request, decode_response, expected="a Response", max_retries=max_retries)

    async def retrieve(
        self, response_id: str, *, include: Sequence[str] = (), **options: Unpack[CallOptions]
    ) -> Response:
        """The response as it is now."""
        request = self._with(options).retrieve(response_id, include=include)
        return await self._sender.ask(request, decode_response, expected="a Response")

    async def cancel(self, response_id: str, **options: Unpack[CallOptions]) -> Response:
        """Ask the gateway to cancel a response, and return its answer.

        To learn whether it was cancelled, use `follow(response_id)` and its `cancel()`.
        """
        return await self._sender.ask(self._with(options).cancel(response_id), decode_response, expected="a Response")

    async def update(
        self, response_id: str, *, metadata: Mapping[str, str], **options: Unpack[CallOptions]
    ) -> Response:
        """Replace the metadata of a response, and return the response."""
        request = self._with(options).update(response_id, metadata)
        return await self._sender.ask(request, decode_response, expected="a Response")

    async def delete(self, response_id: str, **options: Unpack[CallOptions]) -> Deleted:
        """Delete a response."""
        return await self._sender.ask(self._with(options).delete(response_id), decode_deleted, expected="a deletion")

    async def list(
        self,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int | None = None,
        order: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Page[Response]:
        """One page of the responses, newest first unless `order="asc"`.

        Args:
            after: The id after which the page begins: the `last_id` of the previous page.
            before: The id before which the page ends.
            limit: At most this many entries, from 1 to 100.
            order: `"asc"` or `"desc"`.
            **options: As for every call: see [Every call](client.md#every-call).
        """
        page = {"after": after, "before": before, "limit": limit, "order": order}
        request = self._with(options).list_responses(page=page)
        return await self._sender.ask(request, lambda body: decode_page(body, decode_response), expected="a list")

    async def input_items(
        self,
        response_id: str,
        *,
        include: Sequence[str] = (),
        after: str | None = None,
        limit: int | None = None,
        order: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Page[Item | UnknownItem]:
        """One page of the input that a response was created with."""
        page = {"after": after, "limit": limit, "order": order}
        request = self._with(options).input_items(response_id, page=page, include=include)
        return await self._sender.ask(request, lambda body: decode_page(body, decode_item), expected="a list")

    def _check_open(self) -> None:
        if self._is_closed:
            raise UsageError("the gateway is closed; create a new one")

    def _with(self, options: CallOptions) -> Calls:
        self._check_open()
        return self._calls.with_options(options, default_timeout=self._timeout)


def _both(first: OnRepair | None, second: OnRepair | None) -> OnRepair | None:
    """One function that calls the gateway's own, then the call's."""
    if first is None or second is None:
        return first or second

    def call_both(repair: Repair) -> None:
        first(repair)
        second(repair)

    return call_both
