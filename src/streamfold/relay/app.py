"""The relay over HTTP, as an ASGI application: creates, streams and cancels of held responses; the rest goes elsewhere."""

import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import unquote

from msgspec.json import decode

from streamfold.client import FollowedResponse
from streamfold.errors import (
    ConnectFailed,
    GatewayError,
    InvalidArgument,
    LogError,
    RelayBusy,
    RequestRefused,
    StreamfoldError,
    UnknownStream,
)
from streamfold.fold import snapshot_json
from streamfold.history import replay
from streamfold.log import StreamKey
from streamfold.relay.attach import Claimant, RefusePost
from streamfold.relay.call import Upstream, UpstreamCall
from streamfold.relay.held import Held
from streamfold.relay.post import read_post
from streamfold.relay.reader import EVENT_STREAM, Reader, cursor_of
from streamfold.relay.streams import HeldStreams
from streamfold.schema import UNDECODABLE, promotion
from streamfold.serving import (
    AsgiWriter,
    BodyReply,
    Fields,
    Headers,
    LoopClock,
    Message,
    Problem,
    Receive,
    SendMessage,
    StreamReply,
    cors_headers,
    deliver,
    dialect_of,
    headers_of,
    invalid,
    is_object,
    preflight,
    read_body,
    refusal,
    refuse_websocket,
    run_lifespan,
    until_disconnect,
)
from streamfold.session import CancelResult

# Theory of operation. A request for a held stream is one of these, on `.../responses` under any prefix:
#
#     POST   /responses              with "stream": true in its body: created, and read from its first event
#     GET    /responses/ID           with stream=true: read from a cursor; without: the Response as the log knows it
#     POST   /responses/ID/cancel    cancelled wherever it is followed
#     DELETE /responses/ID           passed to the upstream; then the relay's copy is dropped
#
# Everything else, and every id that the log does not have, goes elsewhere with its body as it came: to the upstream of a
# relay that is a proxy, or to a 404 of one that is embedded. Other tenants' ids are among those.

Elsewhere: TypeAlias = Callable[[Message, Receive, SendMessage], Awaitable[None]]

_HELD = re.compile(r"(?P<prefix>.*)/responses(?:/(?P<id>[^/]+)(?P<cancel>/cancel)?)?/?", re.DOTALL)
KNOWN_REFUSALS = range(400, 600)  # any other status of an upstream means nothing to a client
RETRY_AFTER_SECONDS = 1.0
CANCEL_HEADER = "streamfold-cancel"
ATTACHED: Headers = (("streamfold-attached", "true"),)  # the answer was already being produced, or is over
NOT_HERE = Problem(404, "The relay has no such response.", code="not_found")
NO_WEBSOCKET = Problem(426, "This relay speaks HTTP only here.", code="websocket_not_supported")


class RelayApp:
    """Serves held streams. `Relay.app()` makes one for an embedded relay.

    Args:
        streams: The streams.
        upstream: Where requests go.
        elsewhere: The application that answers everything else; None for 404.
    """

    def __init__(self, streams: HeldStreams, upstream: Upstream, elsewhere: Elsewhere | None = None) -> None:
        self._streams = streams
        self._upstream = upstream
        self._elsewhere = elsewhere

    async def __call__(self, scope: Message, receive: Receive, send: SendMessage) -> None:
        """Serve one ASGI scope.

        Raises:
            StreamBroken: The body must be broken off: an ASGI server closes the connection then.
        """
        if scope["type"] == "lifespan":
            await run_lifespan(receive, send, nullcontext)
        elif scope["type"] == "websocket":
            await refuse_websocket(scope, receive, send, refusal(NO_WEBSOCKET, dialect_of(scope["path"])))
        elif scope["type"] == "http":
            await _Exchange(self._streams, self._upstream, self._elsewhere, scope, receive, send).serve()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        streams: HeldStreams,
        upstream: Upstream,
        elsewhere: Elsewhere | None,
        scope: Message,
        receive: Receive,
        send: SendMessage,
    ) -> None:
        self._streams = streams
        self._upstream = upstream
        self._elsewhere = elsewhere
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers = headers_of(scope)
        self._method: str = scope["method"]
        self._has_begun = False  # to answer

    async def serve(self) -> None:
        """Answer it."""
        answers_pages = self._streams.options.cors_origins != ""
        if answers_pages and self._method == "OPTIONS" and "access-control-request-method" in self._headers:
            await self._deliver(preflight(self._headers))
            return
        if (found := self._found()) is None:
            await self._pass_on()
            return
        call = UpstreamCall(prefix=found["prefix"], headers=self._headers, query=self._scope.get("query_string", b""))
        try:
            await self._serve_held(call, found["id"] and unquote(found["id"]), is_cancel=bool(found["cancel"]))
        except _NotHeld as error:
            await self._pass_on(error.body)
        except StreamfoldError as error:
            if self._has_begun:
                raise
            await self._deliver(call.refused or self._refusal(problem_of(error)))

    def _found(self) -> re.Match[str] | None:
        path = (self._scope.get("raw_path") or self._scope["path"].encode()).decode("latin-1")
        return _HELD.fullmatch(path) if self._method in ("GET", "HEAD", "POST", "DELETE") else None

    async def _serve_held(self, call: UpstreamCall, id: str | None, *, is_cancel: bool) -> None:
        tenant = self._upstream.tenant_of(self._headers)
        if isinstance(tenant, Problem):
            await self._refuse(tenant)
        elif id is not None:
            try:
                await self._serve_one(call, tenant, id, is_cancel=is_cancel)
            except UnknownStream as error:
                raise _NotHeld from error
        elif self._method == "POST":
            await self._create(call, tenant)
        else:
            raise _NotHeld

    async def _serve_one(self, call: UpstreamCall, tenant: str, id: str, *, is_cancel: bool) -> None:
        follow = partial(self._upstream.follow, call, id)
        if self._method == "POST" and is_cancel:
            await self._cancel(tenant, id, follow)
        elif self._method == "DELETE" and not is_cancel:
            await self._delete(tenant, id)
        elif self._method not in ("GET", "HEAD") or is_cancel:
            raise _NotHeld
        elif _asks_for_stream(call.query):
            place = cursor_of(self._scope)
            reader = await self._streams.open(id, tenant=tenant, follow=follow)
            await self._serve_stream(reader, place=0 if place is None else place + 1)
        else:
            await self._deliver(BodyReply(200, await self._response(tenant, id)))

    async def _create(self, call: UpstreamCall, tenant: str) -> None:
        options = self._streams.options
        body = await read_body(self._receive, max_bytes=options.max_body_bytes, budget=self._streams.budget)
        if body is None:
            return  # the client disconnected before it had asked
        if isinstance(body, Problem):
            await self._refuse(body)
            return
        call.take(body, fields_of(body))
        if call.fields.get("stream") is not True:
            raise _NotHeld(body)
        reader = await self._answer(call, tenant)
        if isinstance(reader, RefusePost):
            await self._refuse(Problem(reader.status, reader.message, code=reader.code))
        elif reader is not None:
            headers = ATTACHED if reader.is_attached else call.answered
            await self._serve_stream(reader, place=reader.first_place, headers=headers)

    async def _answer(self, call: UpstreamCall, tenant: str) -> Reader | RefusePost | None:
        """A reader of the answer to a POST; None if the client disconnected before there was one."""
        query = b"?" + call.query if call.query else b""
        path = f"{self._scope['path']}{query.decode('latin-1')}"
        post = read_post(tenant=tenant, method=self._method, path=path, headers=self._headers, body=call.body)
        answers: list[Reader | RefusePost] = []

        def start(sent: UpstreamCall, claimant: Claimant) -> Held:
            return self._streams.start(
                self._upstream.stream(sent),
                tenant=tenant,
                is_foreground=call.is_foreground,
                is_stored=call.is_stored,
                body_bytes=len(sent.body),
                claimant=claimant,
                promoted=sent.promoted,
            )

        async def attempt(sent: UpstreamCall) -> None:
            follow = partial(self._upstream.follow, call)
            try:
                reader = await self._streams.attachments.answer(post, self._streams, partial(start, sent), follow)
            finally:
                call.refused, call.answered = sent.refused, sent.answered
            answers.append(reader)

        async def work() -> None:
            if promoted := call.promote(self._streams.options.promote, dialect_of(self._scope["path"])):
                try:
                    await attempt(promoted)
                    return
                except RequestRefused as error:
                    if error.status != HTTPStatus.BAD_REQUEST:
                        raise
            await attempt(call)  # also where the upstream refuses the background: it decides about the body as it came

        await until_disconnect(self._receive, work, lambda: None)
        return answers[0] if answers else None

    async def _cancel(self, tenant: str, id: str, follow: Callable[[], FollowedResponse]) -> None:
        self._streams.attachments.cancelled(tenant, id)
        key = StreamKey(tenant, id)
        is_elsewhere = self._elsewhere is not None and self._streams.followed(key) is None
        if is_elsewhere and (await self._streams.log.require(key)).is_finished:
            raise _NotHeld  # the upstream says in its own words that it is over
        result = await self._streams.cancel(id, tenant=tenant, follow=follow)
        if result is CancelResult.NOT_ALLOWED:
            await self._refuse(Problem(403, "The upstream refused the key for this cancel.", code="not_allowed"))
            return
        await self._deliver(BodyReply(200, await self._response(tenant, id), ((CANCEL_HEADER, str(result)),)))

    async def _delete(self, tenant: str, id: str) -> None:
        """Drop the copy, once the upstream has deleted the response, or knows it no more."""
        key = StreamKey(tenant, id)
        await self._streams.log.require(key)
        if self._elsewhere is None:
            await self._streams.log.drop(key)
            await self._deliver(BodyReply.of({"id": id, "object": "response", "deleted": True}))
            return
        statuses: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await self._send(message)

        await self._elsewhere(self._scope, self._receive, send)
        if statuses and (statuses[0] < 300 or statuses[0] == 404):
            await self._streams.log.drop(key)

    async def _response(self, tenant: str, id: str) -> bytes:
        """The Response as it is known."""
        key = StreamKey(tenant, id)
        held = self._streams.followed(key)
        if held is not None and held.has_begun:
            state = held.response.state
        else:
            state = await replay(self._streams.log, key)
        promoted = await self._streams.promoted(key)
        raw = snapshot_json(state)
        return raw if promoted is None else promotion.demote_response(raw, promoted)

    # Writing

    async def _serve_stream(self, reader: Reader, *, place: int, headers: Headers = ()) -> None:
        reply = StreamReply(events=reader, content_type=EVENT_STREAM, place=place, headers=headers)
        try:
            await self._deliver(reply)
        finally:
            reader.close()

    async def _refuse(self, problem: Problem) -> None:
        await self._deliver(self._refusal(problem))

    def _refusal(self, problem: Problem) -> BodyReply:
        seconds = RETRY_AFTER_SECONDS if problem.status in (429, 503) else None
        return refusal(problem, dialect_of(self._scope["path"]), retry_after_seconds=seconds)

    async def _deliver(self, reply: BodyReply | StreamReply) -> None:
        self._has_begun = True
        options = self._streams.options
        clock = LoopClock()
        writer = AsgiWriter(self._send, clock)

        async def work() -> None:
            await deliver(
                reply,
                writer,
                clock,
                heartbeat_seconds=options.heartbeat_seconds / 2,
                headers=cors_headers(self._headers, options.cors_origins),
                is_head=self._method == "HEAD",
            )

        if isinstance(reply, BodyReply):
            await work()
        else:
            await until_disconnect(self._receive, work, lambda: None)

    async def _pass_on(self, body: bytes | None = None) -> None:
        """Have it answered elsewhere. body: What was read of it already."""
        if self._elsewhere is None:
            await self._refuse(NOT_HERE)
            return
        receive = self._receive
        if body is not None:
            first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

            async def again() -> Message:
                return first.pop() if first else await self._receive()

            receive = again
        await self._elsewhere(self._scope, receive, self._send)


class _NotHeld(Exception):
    """The request is not about a stream that the relay holds. body: Its body, if that was read."""

    def __init__(self, body: bytes | None = None) -> None:
        super().__init__()
        self.body = body


def fields_of(body: bytes) -> Fields:
    """The fields of a JSON object; none if it is something else, which the upstream will refuse in its own words."""
    try:
        fields = decode(body)
    except UNDECODABLE:
        return {}
    return fields if is_object(fields) else {}


def _asks_for_stream(query: bytes) -> bool:
    return re.search(rb"(?:^|&)stream=(?:true|True|1)(?:&|$)", query) is not None


# A response may exist, and be billed: an SDK must not ask for another by itself.
NOT_AGAIN: Headers = (("x-should-retry", "false"),)


def problem_of(error: StreamfoldError) -> Problem:
    """How the relay says to a client what went wrong before its stream began."""
    match error:
        case InvalidArgument():
            return invalid(error.name, error.reason)
        case RelayBusy():
            return Problem(503, f"{error}.", code="relay_busy", type="server_error")
        case RequestRefused() if error.status in KNOWN_REFUSALS:
            return Problem(error.status, error.reason, error.param, error.code, type=_type_of(error.status))
        case ConnectFailed():
            return Problem(502, f"{error}.", code="upstream_unreachable", type="server_error")
        case GatewayError():
            return Problem(502, f"{error}.", code="upstream_failed", type="server_error", headers=NOT_AGAIN)
        case LogError():
            return Problem(503, f"{error}.", code="log_unusable", type="server_error")
        case _:
            return Problem(502, f"{error}.", code="upstream_lost", type="server_error", headers=NOT_AGAIN)


def _type_of(status: int) -> str:
    return "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
