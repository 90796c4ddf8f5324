"""The emulator as an ASGI application: it routes each request, applies the faults, and sends the gateway's answer.

It also sends a webhook_url each status that its Response takes, signed, and retries until the receiver answers 2xx.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio
import httpx
import msgspec
from anyio.abc import TaskGroup

from streamfold.chaos import Drop, ErrorFlat, ErrorNested, Fault, Html, KeepaliveFirst, Refuse, Where
from streamfold.emulator.batches import BatchEndpoints
from streamfold.emulator.faults import FAULT_HEADER, FaultSchedule, FaultyWriter, targets_of
from streamfold.emulator.options import Options
from streamfold.emulator.request_log import Journal, Visit
from streamfold.emulator.responses import EmulatedCall, ResponseEndpoints
from streamfold.emulator.store import IdSource, StoredResponse
from streamfold.errors import InvalidArgument
from streamfold.schema import Dialect, WebhookScheme, is_terminal_status
from streamfold.serving import (
    BodyReply,
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
    deliver,
    dialect_of,
    find_route,
    headers_of,
    read_body,
    refusal,
    run_lifespan,
    shape_response,
    tenant_of,
    until_disconnect,
)
from streamfold.webhook import RetryPlan, sign_mka1, sign_standard

ASK_TO_WAIT = (429, 503)
JOURNAL_PATH = "/_emulator/journal"
PAGE = b"<!doctype html><title>Bad gateway</title><p>This is not a stream: a proxy in between answered with a page.</p>"
# These faults are part of the Response itself, so its timeline has them, for every reader the same.
OF_THE_RESPONSE = (KeepaliveFirst, ErrorNested, ErrorFlat)

Handler: TypeAlias = Callable[[EmulatedCall], ServerReply | Problem]

Post: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
"""Send a body to a URL with headers, and return the status of the answer; 0 without an answer."""

REPORTED = {"queued", "in_progress", "completed", "failed", "incomplete"}  # `cancelled` is not in MKA1's list
ANSWER_SECONDS = 10.0


async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """One request on a connection of its own; redirects are not followed."""
    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as client:
            answer = await client.post(url, headers=dict(headers), content=body)
    except httpx.HTTPError:
        return 0
    return answer.status_code


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
        reply, faults = self._answer(visit, scope, body)
        if isinstance(reply, Problem):
            reply = self._refusal(reply, dialect_of(visit.path))
        extensions: dict[str, Any] = scope.get("extensions") or {}
        writer = FaultyWriter(
            send,
            self._clock,
            [each for each in faults if not isinstance(each, OF_THE_RESPONSE)],
            transport=extensions.get("streamfold.transport"),
            journal=self.journal,
            visit=visit,
        )

        async def work() -> None:
            for fault in faults:
                if isinstance(fault, Drop) and fault.where == Where.HEAD:
                    await writer.cut(fault.how, fault.where)
            await deliver(
                reply,
                writer,
                self._clock,
                heartbeat_seconds=self.options.keepalive_seconds,
                headers=[("x-request-id", visit.request_id)],
            )

        def on_disconnect() -> None:
            cancel = None if isinstance(reply, BodyReply) else reply.on_disconnect
            if self.journal.end(visit, "disconnected") and cancel is not None:
                cancel()

        await until_disconnect(receive, work, on_disconnect)

    def _send_webhooks(self, stored: StoredResponse) -> None:
        if self._tasks is not None and stored.request.webhook_url is not None:
            self._tasks.start_soon(self._webhooks.follow, stored)

    def _answer(
        self, visit: Visit, scope: Message, body: bytes | Problem
    ) -> tuple[ServerReply | Problem, tuple[Fault, ...]]:
        """The answer to one request, and the faults that apply to it."""
        if visit.path == JOURNAL_PATH:
            return BodyReply.of(self.journal.as_fields()), ()
        if isinstance(route := find_route(visit.method, visit.path), Problem):
            return route, ()
        if isinstance(body, Problem):
            return body, ()
        headers = headers_of(scope)
        query: bytes = scope["query_string"]
        try:
            faults = self._schedule.faults(targets_of(route, query, body), headers.get(FAULT_HEADER))
        except InvalidArgument as error:
            return Problem(400, str(error), FAULT_HEADER, "invalid_value"), ()
        visit.faults = ";".join(map(str, faults))
        return self._reply(route, headers, query, body, faults), faults

    def _reply(
        self, route: Route, headers: Mapping[str, str], query: bytes, body: bytes, faults: tuple[Fault, ...]
    ) -> ServerReply | Problem:
        for fault in faults:
            if isinstance(fault, Refuse):
                is_limit, is_error = fault.status == 429, fault.status >= 500
                said = "Rate limit exceeded" if is_limit else f"Refused on purpose with status {fault.status}."
                problem = Problem(fault.status, said, type="server_error" if is_error else "invalid_request_error")
                return self._refusal(problem, route.dialect, fault.retry_after)
            if isinstance(fault, Html):
                return BodyReply(fault.status, PAGE, content_type="text/html; charset=utf-8")
        if isinstance(tenant := tenant_of(headers, key=self.options.key), Problem):
            return tenant
        call = EmulatedCall(route=route, tenant=tenant, query=query, body=body, now=self._clock.now(), faults=faults)
        return self._handlers[route.endpoint](call)

    def _refusal(self, problem: Problem, dialect: Dialect, retry_after_seconds: float | None = None) -> BodyReply:
        wait = retry_after_seconds
        if wait is None and problem.status in ASK_TO_WAIT:
            wait = self.options.retry_after_seconds
        return refusal(problem, dialect, invalid_status=self.options.invalid_status, retry_after_seconds=wait)


class WebhookSender:
    """Sends the webhooks of an emulator; the journal counts them. It gives up on a receiver that never answers."""

    def __init__(self, options: Options, journal: Journal, clock: Clock, post: Post) -> None:
        self._retries = RetryPlan(
            max_attempts=options.webhook_attempts, first_wait_seconds=options.webhook_backoff_seconds
        )
        self._ids = IdSource(f"{options.seed}.webhooks")
        self._journal = journal
        self._clock = clock
        self._post = post

    async def follow(self, stored: StoredResponse) -> None:
        """Report every status of the Response when it takes it, one after the other, up to the last."""
        timeline = stored.timeline
        index, status = 0, ""
        while True:
            now = self._clock.now()
            if entry := timeline.reach(index, now):
                index += 1
                response: Fields = entry.fields.get("response") or {}
                if (now_is := str(response.get("status", status))) != status:
                    status = now_is
                    await self._report(stored, status, response)
            elif timeline.is_over or is_terminal_status(status):
                return
            else:
                await self._clock.wait(timeline.next_due - now, stored.changed)

    async def _report(self, stored: StoredResponse, status: str, response: Fields) -> None:
        url = stored.request.webhook_url
        if status not in REPORTED or url is None:
            return
        id, now = self._ids.next("evt"), int(self._clock.now())
        data = shape_response(response, stored.dialect) if stored.dialect.webhook_holds_response else {"id": stored.id}
        event = {"id": id, "object": "event", "type": f"response.{status}", "created_at": now, "data": data}
        body = msgspec.json.encode(event)
        headers = {"content-type": "application/json", **_signature(stored, body, id, now)}
        for wait_seconds in self._retries.waits():
            if wait_seconds:
                await self._clock.wait(wait_seconds)
            is_taken = 200 <= await self._post(url, headers, body) < 300
            self._journal.count("webhooks" if is_taken else "webhook_failures")
            if is_taken:
                return


def _signature(stored: StoredResponse, body: bytes, id: str, now: int) -> Mapping[str, str]:
    """The headers of the dialect's scheme; none without a secret."""
    secret = stored.request.webhook_secret
    if secret is None:
        return {}
    if stored.dialect.webhook_scheme is WebhookScheme.MKA1:
        return sign_mka1(body, secret)
    return sign_standard(body, secret, message_id=id, timestamp=now)
