"""The emulator as an ASGI application: it routes each request, applies the faults, and sends the gateway's answer.

A request meets, in this order: CORS preflight and liveness, the key, the routes, the limit of its body, the faults,
the endpoint. What a request without the key can make it do ends there, before its body is read.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from streamfold.chaos import Drop, ErrorFlat, ErrorNested, Fault, Html, KeepaliveFirst, Refuse, Where
from streamfold.emulator.batches import BatchEndpoints
from streamfold.emulator.faults import FAULT_HEADER, FaultSchedule, FaultyWriter, targets_of
from streamfold.emulator.options import Options
from streamfold.emulator.request_log import Journal, Visit
from streamfold.emulator.responses import EmulatedCall, ResponseEndpoints
from streamfold.emulator.store import IdSource
from streamfold.emulator.webhooks import Post, WebhookSender, post
from streamfold.errors import InvalidArgument
from streamfold.schema import Dialect
from streamfold.serving import (
    SLICE_BYTES,
    BodyReply,
    ByteBudget,
    Clock,
    Endpoint,
    Fields,
    Message,
    Problem,
    Receive,
    Route,
    SendMessage,
    ServerReply,
    SystemClock,
    cors_headers,
    deliver,
    dialect_of,
    find_route,
    headers_of,
    preflight,
    read_body,
    refusal,
    refuse_websocket,
    run_lifespan,
    tenant_of,
    until_disconnect,
    when_ready,
)

ASK_TO_WAIT = (429, 503)
JOURNAL_PATH = "/_emulator/journal"
LIVENESS_PATH = "/healthz"
NO_WEBSOCKET = Problem(
    426,
    "This emulator speaks HTTP only, not WebSocket. Send POST /responses with `stream: true` instead.",
    code="websocket_not_supported",
    headers=(("upgrade", "HTTP/1.1"), ("connection", "upgrade, close")),
)
PAGE = b"<!doctype html><title>Bad gateway</title><p>This is not a stream: a proxy in between answered with a page.</p>"
# These faults are part of the Response itself, so its timeline has them, for every reader the same.
OF_THE_RESPONSE = (KeepaliveFirst, ErrorNested, ErrorFlat)

Handler: TypeAlias = Callable[[EmulatedCall], Awaitable[ServerReply | Problem]]


class Emulator:
    """A local gateway, as an ASGI application: for tests, demos and first steps, instead of a paid account.

    journal: what it saw, readable at any time; over HTTP it is `GET /_emulator/journal`. Webhooks are sent while
    `running()` is open; an ASGI server opens it by the lifespan protocol.

    Args:
        options: How it behaves.
        clock: What time it is; a test passes its own.
        post: How webhooks are sent.

    Raises:
        UsageError: The playback holds no event.
        OSError: The playback cannot be read.
    """

    def __init__(self, options: Options | None = None, *, clock: Clock | None = None, post: Post = post) -> None:
        self.options: Options = options or Options()
        self.journal: Journal = Journal()
        self._clock = clock or SystemClock()
        self._schedule = FaultSchedule(self.options)
        self._request_ids = IdSource(f"{self.options.seed}.requests")
        self._webhooks = WebhookSender(self.options, self.journal, self._clock, post)
        self._budget = ByteBudget(self.options.max_buffered_bytes)
        ids = IdSource(f"{self.options.seed}")
        responses = ResponseEndpoints(self.options, ids, self.journal, self._clock, self._webhooks.start)
        batches = BatchEndpoints(self.options, ids, self.journal)
        self._handlers: Mapping[Endpoint, Handler] = {
            Endpoint.CREATE_RESPONSE: responses.create_response,
            Endpoint.LIST_RESPONSES: responses.list_responses,
            Endpoint.RETRIEVE_RESPONSE: responses.retrieve_response,
            Endpoint.UPDATE_RESPONSE: responses.update_response,
            Endpoint.DELETE_RESPONSE: responses.delete_response,
            Endpoint.CANCEL_RESPONSE: responses.cancel_response,
            Endpoint.LIST_INPUT_ITEMS: responses.list_input_items,
            Endpoint.COMPACT: responses.compact,
            Endpoint.COUNT_INPUT_TOKENS: responses.count_input_tokens,
            Endpoint.CREATE_BATCH: batches.create_batch,
            Endpoint.LIST_BATCHES: batches.list_batches,
            Endpoint.RETRIEVE_BATCH: batches.retrieve_batch,
            Endpoint.CANCEL_BATCH: batches.cancel_batch,
            Endpoint.LIST_MODELS: list_models,
            Endpoint.RETRIEVE_MODEL: retrieve_model,
        }

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Send webhooks while this is open. Those still unsent when it closes are dropped."""
        async with self._webhooks.running():
            yield

    async def __call__(self, scope: Message, receive: Receive, send: SendMessage) -> None:
        """Serve one ASGI scope.

        Raises:
            ConnectionCut: A fault ended the connection, and the server does not offer its transport.
        """
        if scope["type"] == "lifespan":
            await run_lifespan(receive, send, self.running)
        elif scope["type"] == "websocket":
            await refuse_websocket(scope, receive, send, self._refusal(NO_WEBSOCKET, dialect_of(scope["path"])))
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Message, receive: Receive, send: SendMessage) -> None:
        headers = headers_of(scope)
        faults: tuple[Fault, ...] = ()
        visit = Visit.of(scope["method"], scope["path"], scope["query_string"].decode("latin-1"))
        reply: ServerReply | Problem
        admitted = self._admit(visit, scope["path"], headers)
        if isinstance(admitted, BodyReply | Problem):
            reply = admitted
            self._begin(visit)
        else:
            body = await read_body(receive, max_bytes=self.options.max_body_bytes, budget=self._budget)
            if body is None:
                return  # the client disconnected before it had asked
            self._begin(visit)
            reply, faults = await self._answer(admitted, visit, scope, headers, body)
        if isinstance(reply, Problem):
            reply = self._refusal(reply, dialect_of(visit.path))
        await self._send(reply, faults, visit, scope, headers, receive, send)

    def _begin(self, visit: Visit) -> None:
        if not visit.request_id:
            visit.request_id = self._request_ids.next("req")
            self.journal.begin(visit)

    async def _send(
        self,
        reply: ServerReply,
        faults: tuple[Fault, ...],
        visit: Visit,
        scope: Message,
        headers: Mapping[str, str],
        receive: Receive,
        send: SendMessage,
    ) -> None:
        extensions: dict[str, Any] = scope.get("extensions") or {}
        writer = FaultyWriter(
            send,
            self._clock,
            [each for each in faults if not isinstance(each, OF_THE_RESPONSE)],
            transport=extensions.get("streamfold.transport"),
            budget=self._budget,
            journal=self.journal,
            visit=visit,
        )

        async def work() -> None:
            for fault in faults:
                if isinstance(fault, Drop) and fault.where == Where.HEAD:
                    await writer.cut(fault.how, fault.where)
            ready = await when_ready(reply, self._clock)
            held = len(ready.body) if isinstance(ready, BodyReply) and len(ready.body) > SLICE_BYTES else 0
            if not self._budget.try_take(held):
                held, ready = 0, self._refusal(self._busy(), dialect_of(visit.path))
            try:
                await deliver(
                    ready,
                    writer,
                    self._clock,
                    heartbeat_seconds=self.options.keepalive_seconds,
                    headers=[("x-request-id", visit.request_id), *cors_headers(headers, self.options.cors_origins)],
                    is_head=scope["method"] == "HEAD",
                )
            finally:
                self._budget.give_back(held)

        def on_disconnect() -> None:
            cancel = None if isinstance(reply, BodyReply) else reply.on_disconnect
            if self.journal.end(visit, "disconnected") and cancel is not None:
                cancel()

        await until_disconnect(receive, work, on_disconnect)

    def _admit(self, visit: Visit, path: str, headers: Mapping[str, str]) -> BodyReply | Problem | tuple[Route, str]:
        """The endpoint and the tenant of a request; or its answer, if that needs no body."""
        if visit.method == "OPTIONS":
            return preflight(headers)
        if path == LIVENESS_PATH and visit.method in ("GET", "HEAD"):
            return BodyReply.of({"status": "ok"})
        if path == JOURNAL_PATH and self.options.key is None:
            return self._journal_reply(visit)  # it is about all tenants, so any key is as good as none
        if isinstance(tenant := tenant_of(headers, key=self.options.key), Problem):
            return tenant
        if headers.get("upgrade", "").lower() == "websocket":
            return NO_WEBSOCKET
        if path == JOURNAL_PATH:
            return self._journal_reply(visit)
        route = find_route(visit.method, path)
        return route if isinstance(route, Problem) else (route, tenant)

    def _journal_reply(self, visit: Visit) -> BodyReply | Problem:
        if visit.method not in ("GET", "HEAD"):
            said = f"Method {visit.method} is not allowed here; use GET."
            return Problem(405, said, code="method_not_allowed", headers=(("allow", "GET, HEAD, OPTIONS"),))
        self._begin(visit)  # it is among what is shown
        return BodyReply.of(self.journal.as_fields())

    async def _answer(
        self,
        admitted: tuple[Route, str],
        visit: Visit,
        scope: Message,
        headers: Mapping[str, str],
        body: bytes | Problem,
    ) -> tuple[ServerReply | Problem, tuple[Fault, ...]]:
        """The answer to one request, and the faults that apply to it."""
        if isinstance(body, Problem):
            return body, ()
        route, tenant = admitted
        query: bytes = scope["query_string"]
        try:
            faults = self._schedule.faults(targets_of(route, query, body), headers.get(FAULT_HEADER))
        except InvalidArgument as error:
            return Problem(400, f"{error}.", FAULT_HEADER, "invalid_value"), ()
        visit.faults = ";".join(map(str, faults))
        if (instead := self._instead(faults, route.dialect)) is not None:
            return instead, faults
        call = EmulatedCall(route=route, tenant=tenant, query=query, body=body, now=self._clock.now(), faults=faults)
        return await self._handlers[route.endpoint](call), faults

    def _instead(self, faults: tuple[Fault, ...], dialect: Dialect) -> BodyReply | None:
        """What a fault answers in place of the endpoint, which is then not asked."""
        for fault in faults:
            if isinstance(fault, Refuse):
                is_limit, is_error = fault.status == 429, fault.status >= 500
                said = "Rate limit exceeded" if is_limit else f"Refused on purpose with status {fault.status}."
                problem = Problem(fault.status, said, type="server_error" if is_error else "invalid_request_error")
                return self._refusal(problem, dialect, fault.retry_after)
            if isinstance(fault, Html):
                return BodyReply(fault.status, PAGE, content_type="text/html; charset=utf-8")
        return None

    def _busy(self) -> Problem:
        said = f"The answers and requests under way hold {self.options.max_buffered_bytes} bytes; try again"
        return Problem(503, f"{said}.", code="server_busy", type="server_error")

    def _refusal(self, problem: Problem, dialect: Dialect, retry_after_seconds: float | None = None) -> BodyReply:
        wait = retry_after_seconds
        if wait is None and problem.status in ASK_TO_WAIT:
            wait = self.options.retry_after_seconds
        return refusal(problem, dialect, invalid_status=self.options.invalid_status, retry_after_seconds=wait)


# Models: a create accepts any name, so any name is a model.

MODEL = "toy"
MADE_AT = 1_700_000_000
NOTHING_KNOWN = (
    "context_window max_image_resolution min_image_resolution embedding_dimension_range parameter_count "
    "active_parameter_count release_date serving_locations developer base_model weights license languages tts limitations"
).split()
# The keys that MKA1's SDK requires beside OpenAI's.
OF_MKA1: Fields = {
    "model_type": "llm",
    "input_modalities": ["text"],
    "output_modalities": ["text"],
    **dict.fromkeys(NOTHING_KNOWN),
    "lifecycle": {"status": "active", "deprecated_at": None, "retires_at": None, "successor": None},
    "capabilities": {
        "supports_temperature": True,
        "supports_top_p": True,
        "supports_reasoning": True,
        "supports_reasoning_effort": True,
        "supports_structured_outputs": True,
    },
}
MODEL_FIELDS: Mapping[str, Fields] = {"mka1": OF_MKA1}


async def list_models(call: EmulatedCall) -> ServerReply | Problem:
    """The list of the only model that has a name of its own."""
    return BodyReply.of({"object": "list", "data": [_model(MODEL, call.dialect)]})


async def retrieve_model(call: EmulatedCall) -> ServerReply | Problem:
    """The model of this name, whichever it is."""
    return BodyReply.of(_model(call.id, call.dialect))


def _model(name: str, dialect: Dialect) -> Fields:
    known: Fields = {"id": name, "object": "model", "created": MADE_AT, "owned_by": "streamfold"}
    return known | MODEL_FIELDS.get(dialect.name, {})
