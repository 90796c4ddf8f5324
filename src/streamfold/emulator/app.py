"""The emulator as an ASGI application: it routes each request, applies the faults, and sends the gateway's answer."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeAlias

import anyio
from anyio.abc import TaskGroup

from streamfold.chaos import Drop, ErrorFlat, ErrorNested, Fault, Html, KeepaliveFirst, Refuse, Where
from streamfold.emulator.batches import BatchEndpoints
from streamfold.emulator.faults import FAULT_HEADER, FaultSchedule, FaultyWriter, targets_of
from streamfold.emulator.options import Options
from streamfold.emulator.request_log import Journal, Visit
from streamfold.emulator.responses import EmulatedCall, ResponseEndpoints
from streamfold.emulator.store import IdSource, StoredResponse
from streamfold.emulator.webhooks import Post, WebhookSender, post
from streamfold.errors import InvalidArgument
from streamfold.schema import Dialect
from streamfold.serving import (
    BodyReply,
    Clock,
    Endpoint,
    Message,
    Problem,
    Receive,
    Route,
    SendMessage,
    ServerReply,
    SystemClock,
    deliver,
    dialect_of,
    find_route,
    headers_of,
    read_body,
    refusal,
    run_lifespan,
    tenant_of,
    until_disconnect,
)

ASK_TO_WAIT = (429, 503)
JOURNAL_PATH = "/_emulator/journal"
PAGE = b"<!doctype html><title>Bad gateway</title><p>This is not a stream: a proxy in between answered with a page.</p>"
# These faults are part of the Response itself, so its timeline has them, for every reader the same.
OF_THE_RESPONSE = (KeepaliveFirst, ErrorNested, ErrorFlat)

Handler: TypeAlias = Callable[[EmulatedCall], ServerReply | Problem]


class Prepared(NamedTuple):
    """The answer to one request, and the faults that apply to it."""

    reply: ServerReply
    faults: tuple[Fault, ...] = ()


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
        self._tasks: TaskGroup | None = None
        self._schedule = FaultSchedule(self.options)
        self._request_ids = IdSource(f"{self.options.seed}.requests")
        self._webhooks = WebhookSender(self.options, self.journal, self._clock, post)
        ids = IdSource(f"{self.options.seed}")
        responses = ResponseEndpoints(self.options, ids, self.journal, self._clock, self._send_webhooks)
        batches = BatchEndpoints(self.options, ids, self.journal)
        self._handlers: Mapping[Endpoint, Handler] = {
            Endpoint.CREATE_RESPONSE: responses.create_response,
            Endpoint.LIST_RESPONSES: responses.list_responses,
            Endpoint.RETRIEVE_RESPONSE: responses.retrieve_response,
            Endpoint.UPDATE_RESPONSE: responses.update_response,
            Endpoint.DELETE_RESPONSE: responses.delete_response,
            Endpoint.CANCEL_RESPONSE: responses.cancel_response,
            Endpoint.LIST_INPUT_ITEMS: responses.list_input_items,
            Endpoint.CREATE_BATCH: batches.create_batch,
            Endpoint.LIST_BATCHES: batches.list_batches,
            Endpoint.RETRIEVE_BATCH: batches.retrieve_batch,
            Endpoint.CANCEL_BATCH: batches.cancel_batch,
        }

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Send webhooks while this is open. Those still unsent when it closes are dropped."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    async def __call__(self, scope: Message, receive: Receive, send: SendMessage) -> None:
        """Serve one ASGI scope.

        Raises:
            ConnectionCut: A fault ended the connection, and the server does not offer its transport.
        """
        if scope["type"] == "lifespan":
            await run_lifespan(receive, send, self.running)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Message, receive: Receive, send: SendMessage) -> None:
        body = await read_body(receive)
        if body is None:
            return  # the client disconnected before it had asked
        visit = Visit(
            request_id=self._request_ids.next("req"),
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
        )
        self.journal.begin(visit)
        prepared = self._answer(visit, scope, body)
        extensions: dict[str, Any] = scope.get("extensions") or {}
        writer = FaultyWriter(
            send,
            self._clock,
            [each for each in prepared.faults if not isinstance(each, OF_THE_RESPONSE)],
            transport=extensions.get("streamfold.transport"),
            journal=self.journal,
            visit=visit,
        )

        async def work() -> None:
            await self._write(prepared, writer, visit)

        def on_disconnect() -> None:
            cancel = None if isinstance(prepared.reply, BodyReply) else prepared.reply.on_disconnect
            if self.journal.end(visit, "disconnected") and cancel is not None:
                cancel()

        await until_disconnect(receive, work, on_disconnect)

    async def _write(self, prepared: Prepared, writer: FaultyWriter, visit: Visit) -> None:
        for fault in prepared.faults:
            if isinstance(fault, Drop) and fault.where == Where.HEAD:
                await writer.cut(fault.how, fault.where)
        await deliver(
            prepared.reply,
            writer,
            self._clock,
            heartbeat_seconds=self.options.keepalive_seconds,
            headers=[("x-request-id", visit.request_id)],
        )

    def _send_webhooks(self, stored: StoredResponse) -> None:
        if self._tasks is not None and stored.request.webhook_url is not None:
            self._tasks.start_soon(self._webhooks.follow, stored)

    def _answer(self, visit: Visit, scope: Message, body: bytes | Problem) -> Prepared:
        if visit.path == JOURNAL_PATH:
            return Prepared(BodyReply.of(self.journal.as_fields()))
        if isinstance(route := find_route(visit.method, visit.path), Problem):
            return Prepared(self._refusal(route, dialect_of(visit.path)))
        if isinstance(body, Problem):
            return Prepared(self._refusal(body, route.dialect))
        headers = headers_of(scope)
        query: bytes = scope["query_string"]
        try:
            faults = self._schedule.faults(targets_of(route, query, body), headers.get(FAULT_HEADER))
        except InvalidArgument as error:
            return Prepared(self._refusal(Problem(400, str(error), FAULT_HEADER, "invalid_value"), route.dialect))
        visit.faults = ";".join(map(str, faults))
        return Prepared(self._reply(route, headers, query, body, faults), faults)

    def _reply(
        self, route: Route, headers: Mapping[str, str], query: bytes, body: bytes, faults: tuple[Fault, ...]
    ) -> ServerReply:
        for fault in faults:
            if isinstance(fault, Refuse):
                return self._refused(fault, route.dialect)
            if isinstance(fault, Html):
                return BodyReply(fault.status, PAGE, content_type="text/html; charset=utf-8")
        if isinstance(tenant := tenant_of(headers, key=self.options.key), Problem):
            return self._refusal(tenant, route.dialect)
        call = EmulatedCall(route=route, tenant=tenant, query=query, body=body, now=self._clock.now(), faults=faults)
        reply = self._handlers[route.endpoint](call)
        return self._refusal(reply, route.dialect) if isinstance(reply, Problem) else reply

    def _refused(self, fault: Refuse, dialect: Dialect) -> BodyReply:
        message = "Rate limit exceeded" if fault.status == 429 else f"Refused on purpose with status {fault.status}."
        kind = "server_error" if fault.status >= 500 else "invalid_request_error"
        return self._refusal(Problem(fault.status, message, type=kind), dialect, fault.retry_after)

    def _refusal(self, problem: Problem, dialect: Dialect, retry_after_seconds: float | None = None) -> BodyReply:
        wait = retry_after_seconds
        if wait is None and problem.status in ASK_TO_WAIT:
            wait = self.options.retry_after_seconds
        return refusal(problem, dialect, invalid_status=self.options.invalid_status, retry_after_seconds=wait)
