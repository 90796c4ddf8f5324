"""The emulator as an ASGI application: a request in, an answer of the gateway's wire out, faults and all.

In      ASGI scopes of type http and lifespan
Out     ASGI messages
Units   Unix seconds
Errors  ConnectionCut, where a fault ends a connection and the server offers no Wire
Source  docs/reference/emulator.md; the rules of the wire: the protocol reference, sections 12, 15 and 16

No framework: one task writes and one waits for the client to leave, and nothing outlives its request but webhooks.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeAlias

import anyio
from anyio import CancelScope
from anyio.abc import TaskGroup

from streamfold.chaos import Disturbance, Drop, ErrorFlat, ErrorNested, Fault, Html, Keepalive, Refuse, Where
from streamfold.emulator.batches import Batches
from streamfold.emulator.call import Call, tenant_of
from streamfold.emulator.cancel import Ending
from streamfold.emulator.clock import Clock, SystemClock
from streamfold.emulator.delivery import Delivery
from streamfold.emulator.journal import Journal, Visit
from streamfold.emulator.options import Options
from streamfold.emulator.outlet import ConnectionCut, Message, Outlet, Wire
from streamfold.emulator.record import Names, Record
from streamfold.emulator.reply import Json, Pending, Reply, Stream, refusal
from streamfold.emulator.request import Problem
from streamfold.emulator.responses import Responses
from streamfold.emulator.route import Route, dialect_of, find_route
from streamfold.emulator.schedule import FAULT_HEADER, Schedule, targets_of
from streamfold.emulator.webhook import Post, Webhooks, post
from streamfold.errors import InvalidArgument
from streamfold.schema import Dialect, is_terminal_status

__all__ = ["Emulator"]

Receive: TypeAlias = Callable[[], Awaitable[Message]]
SendMessage: TypeAlias = Callable[[Message], Awaitable[None]]

ASK_TO_WAIT = (429, 503)
JOURNAL_PATH = "/_emulator/journal"
PAGE = b"<!doctype html><title>Bad gateway</title><p>This is no stream, but a page of a proxy before it.</p>"


class Exchange(NamedTuple):
    """What one request is answered with, and the faults that it meets."""

    reply: Reply | Html
    faults: tuple[Fault, ...] = ()


class Emulator:
    """A local gateway, as an ASGI application: what a test, a demo and a newcomer run instead of a paid account.

    options: how it behaves. clock: what time it is; a test passes its own. post: how webhooks are sent.
    journal: what it saw, readable at any time; over HTTP it is `GET /_emulator/journal`.
    Webhooks are sent while `running()` is open, or an ASGI server has it open by the lifespan protocol.
    Raises: UsageError for a playback that holds no event.
    """

    def __init__(self, options: Options | None = None, *, clock: Clock | None = None, post: Post = post) -> None:
        self.options: Options = options or Options()
        self.journal: Journal = Journal()
        self._clock = clock or SystemClock()
        self._tasks: TaskGroup | None = None
        self._schedule = Schedule(self.options)
        self._request_names = Names(f"{self.options.seed}.requests")
        names = Names(f"{self.options.seed}")
        self._webhooks = Webhooks(self.options, self.journal, self._clock, post)
        self._responses = Responses(self.options, names, self.journal, self._tell)
        self._batches = Batches(self.options, names, self.journal)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """While it is open, webhooks are sent. Leaving it gives up those that are not."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    async def __call__(self, scope: Message, receive: Receive, send: SendMessage) -> None:
        """Serve one connection's scope, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: SendMessage) -> None:
        await receive()
        async with self.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Message, receive: Receive, send: SendMessage) -> None:
        body = await _read_body(receive)
        if body is None:
            return  # the client left before it had asked
        visit = Visit(
            request_id=self._request_names.next("req"),
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
        )
        self.journal.begin(visit)
        exchange = self._decide(visit, scope, body)
        outlet = self._outlet(scope, send, exchange, visit)
        cut: ConnectionCut | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, receive, visit, tasks.cancel_scope)
                try:
                    await self._deliver(exchange, outlet, visit)
                except ConnectionCut as caught:
                    cut = caught
                tasks.cancel_scope.cancel()
        finally:
            self._leave(exchange.reply, visit)
        if cut is not None:
            raise cut

    def _outlet(self, scope: Message, send: SendMessage, exchange: Exchange, visit: Visit) -> Outlet:
        extensions: dict[str, Any] = scope.get("extensions") or {}
        # Those that are part of the Response itself are in its timeline, for every reader the same.
        faults = [each for each in exchange.faults if not isinstance(each, Keepalive | ErrorNested | ErrorFlat)]
        wire: Wire | None = extensions.get("streamfold.wire")
        return Outlet(send, Disturbance(faults), wire=wire, clock=self._clock, journal=self.journal, visit=visit)

    async def _watch(self, receive: Receive, visit: Visit, scope: CancelScope) -> None:
        """End the answer when its client leaves: a server says so to nobody who does not ask."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.journal.end(visit, "disconnected")
        scope.cancel()

    async def _deliver(self, exchange: Exchange, outlet: Outlet, visit: Visit) -> None:
        headers = (("x-request-id", visit.request_id),)
        keepalive_seconds = self.options.keepalive_seconds
        delivery = Delivery(outlet, self._clock, keepalive_seconds=keepalive_seconds, headers=headers)
        for fault in exchange.faults:
            if isinstance(fault, Drop) and fault.where == Where.HEAD:
                await outlet.cut(fault.how, fault.where)
        if isinstance(exchange.reply, Html):
            await delivery.send_body(exchange.reply.status, "text/html; charset=utf-8", PAGE)
        else:
            await delivery.send(exchange.reply)

    def _leave(self, reply: Reply | Html, visit: Visit) -> None:
        """Cancel the foreground Response of a client that left, where the dialect does."""
        if visit.ended != "disconnected" or not isinstance(reply, Stream | Pending):
            return
        cancels = self.options.cancels_on_disconnect
        if cancels is None:
            cancels = reply.record.dialect.name == "openai"
        is_foreground = isinstance(reply, Pending) or reply.is_foreground
        now = self._clock.now()
        if cancels and is_foreground and not is_terminal_status(reply.record.timeline.status(now)):
            reply.record.timeline.cancel(Ending.SILENT, now)

    def _tell(self, record: Record) -> None:
        if self._tasks is not None and record.request.webhook_url is not None:
            self._tasks.start_soon(self._webhooks.tell_all, record)

    def _decide(self, visit: Visit, scope: Message, body: bytes) -> Exchange:
        """What is answered, and which faults it meets."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query: bytes = scope["query_string"]
        if visit.path == JOURNAL_PATH:
            return Exchange(Json.of(self.journal.as_fields()))
        route = find_route(visit.method, visit.path)
        if isinstance(route, Problem):
            return Exchange(self._refusal(route, dialect_of(visit.path)))
        try:
            faults = self._schedule.faults(targets_of(route, query, body), headers.get(FAULT_HEADER))
        except InvalidArgument as error:
            return Exchange(self._refusal(Problem(400, str(error), FAULT_HEADER, "invalid_value"), route.dialect))
        visit.faults = ";".join(map(str, faults))
        return Exchange(self._reply(route, headers, query, body, faults), faults)

    def _reply(
        self, route: Route, headers: Mapping[str, str], query: bytes, body: bytes, faults: tuple[Fault, ...]
    ) -> Reply | Html:
        for fault in faults:
            if isinstance(fault, Refuse):
                return self._refused(fault, route.dialect)
            if isinstance(fault, Html):
                return fault
        tenant = tenant_of(headers, key=self.options.key)
        if isinstance(tenant, Problem):
            return self._refusal(tenant, route.dialect)
        call = Call(route=route, tenant=tenant, query=query, body=body, now=self._clock.now(), faults=faults)
        reply = self._endpoint(route.endpoint)(call)
        return self._refusal(reply, route.dialect) if isinstance(reply, Problem) else reply

    def _endpoint(self, name: str) -> Callable[[Call], Reply | Problem]:
        room = self._batches if "batch" in name else self._responses
        endpoint: Callable[[Call], Reply | Problem] = getattr(room, name)
        return endpoint

    def _refused(self, fault: Refuse, dialect: Dialect) -> Json:
        message = "Rate limit exceeded" if fault.status == 429 else f"Refused on purpose with status {fault.status}."
        kind = "server_error" if fault.status >= 500 else "invalid_request_error"
        return self._refusal(Problem(fault.status, message, type=kind), dialect, fault.retry_after)

    def _refusal(self, problem: Problem, dialect: Dialect, retry_after_seconds: float | None = None) -> Json:
        wait = retry_after_seconds
        if wait is None and problem.status in ASK_TO_WAIT:
            wait = self.options.retry_after_seconds
        return refusal(problem, dialect, invalid_status=self.options.invalid_status, retry_after_seconds=wait)


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or None if the client left in the middle of it."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
