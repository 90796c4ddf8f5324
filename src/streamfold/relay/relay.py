"""Relay: hold responses in your own application, and serve each to any number of readers."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, Unpack

from msgspec.json import encode

from streamfold.client import FollowedResponse, Gateway
from streamfold.errors import LogUnusable
from streamfold.log import EventLog
from streamfold.relay.app import RelayApp
from streamfold.relay.call import UpstreamCall
from streamfold.relay.counts import AttachCounts
from streamfold.relay.held import Held
from streamfold.relay.options import RelayOptions
from streamfold.relay.reader import Frames, StreamBody, cursor_of
from streamfold.relay.streams import HeldStreams
from streamfold.schema import CreateParams, promotion
from streamfold.session import CancelResult


class Relay:
    """Follows each response to its end, with or without readers, and serves it from any cursor.

    Open it with `async with`, once for the whole application. A response that another process was following when it
    stopped is taken over by the first reader that asks for it.

    Args:
        gateway: Where responses are created. It stays open.
        log: Where they are recorded. It stays open.
        options: Limits, and how long streams are kept.

    Example:
        ```python
        async with Relay(gateway, log) as relay:
            held = await relay.create(model="gpt-5", input="Hello")
            async for frame in relay.read(held.id):
                print(frame.event, frame.data)
        ```
    """

    def __init__(self, gateway: Gateway, log: EventLog, *, options: RelayOptions | None = None) -> None:
        self._gateway = gateway
        self.streams: HeldStreams = HeldStreams(log, options)

    async def __aenter__(self) -> Self:
        await self.streams.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.streams.__aexit__(kind, error, trace)

    @property
    def attach_counts(self) -> AttachCounts:
        """How many POSTs to the application of `app` created an answer, joined one, or were refused."""
        return self.streams.attachments.counts

    async def create(
        self,
        *,
        tenant: str = "",
        extra_headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
        **parameters: Unpack[CreateParams],
    ) -> Held:
        """Create a response, and return once its id is known. It is followed to its end, with or without readers.

        Args:
            tenant: Whose it is: only readers that name the same tenant find it.
            extra_headers: Additional headers for the gateway.
            extra_body: Additional fields of the body.
            idempotency_key: Sent to the gateway; None for a new one.
            **parameters: The API's own: see [Parameters](parameters.md).

        Raises:
            InvalidArgument: A parameter is unknown, or breaks its rule. Nothing was sent.
            GatewayError: The gateway refused it, or did not answer.
            LogError: It cannot be recorded.
            RelayBusy: As many responses as allowed are followed already.
        """
        known = {**parameters, **(extra_body or {})}
        promoted = self._promotion_of(known)
        response = self._gateway.stream(
            extra_headers=extra_headers,
            extra_body={**(extra_body or {}), **promotion.changed_by(promoted)},
            idempotency_key=idempotency_key,
            **parameters,
        )
        held = self.streams.start(
            response,
            tenant=tenant,
            is_foreground=known.get("background") is not True,
            is_stored=known.get("store") is not False,
            promoted=promoted,
        )
        await held.until_begun()
        if not held.is_recorded:
            raise LogUnusable(held.id, "the gateway gave this id to another response before")
        return held

    def _promotion_of(self, known: Mapping[str, object]) -> promotion.Promoted | None:
        mode = self.streams.options.promote
        if mode == "never":
            return None
        found = promotion.promote_create(encode({**known, "stream": True}), mode, self._gateway.dialect)
        return None if found is None else found.promoted

    def read(self, response_id: str, *, after: int | None = None, tenant: str = "") -> Frames:
        """The events of a response, from the log and then live: `async for frame in relay.read(id)`.

        Each is a Frame: `event` is the event's type, `data` its JSON as the gateway sent it, and `id` the number to
        resume after.

        Args:
            response_id: The response.
            after: Begin with the event that follows this number; None begins with the first.
            tenant: Whose it is.

        Raises:
            UnknownStream: While iterating: there is no such response.
            StreamBroken: While iterating: the stream breaks off; resume later with the last `id`.
        """
        return Frames(
            lambda: self.streams.open(response_id, tenant=tenant, follow=lambda: self._gateway.follow(response_id)),
            place=0 if after is None else after + 1,
        )

    async def reply(self, request: Any, response_id: str, *, after: int | None = None, tenant: str = "") -> StreamBody:
        """The body of an answer that serves a response as an event stream, for a route of your own.

        It begins after the `Last-Event-ID` header of the request, which an EventSource sends when it reconnects, or
        after its `starting_after` query parameter.

        Args:
            request: The request of your framework, or its ASGI scope; None if `after` says it all.
            response_id: The response.
            after: Begin with the event that follows this number, whatever the request says.
            tenant: Whose it is.

        Raises:
            UnknownStream: There is no such response: answer 404.
            RelayBusy: There are as many readers as allowed: answer 503.
            InvalidArgument: The request names a cursor that is not a number.
        """
        if after is None and request is not None:
            after = cursor_of(request)
        reader = await self.streams.open(response_id, tenant=tenant, follow=lambda: self._gateway.follow(response_id))
        seconds = self.streams.options.heartbeat_seconds / 2
        return StreamBody(reader, place=0 if after is None else after + 1, heartbeat_seconds=seconds)

    async def cancel(self, response_id: str, *, tenant: str = "") -> CancelResult:
        """Cancel a response at the gateway, and return the proven result.

        Raises:
            UnknownStream: There is no such response.
        """
        return await self.streams.cancel(response_id, tenant=tenant, follow=lambda: self._gateway.follow(response_id))

    def app(self, *, tenant: str = "") -> RelayApp:
        """An ASGI application that serves the streams of this relay, on the paths of both dialects.

        It uses the gateway's key for every caller, so put your own access control in front of it.

        Args:
            tenant: Whose streams it serves.
        """
        return RelayApp(self.streams, _GatewayUpstream(self._gateway, tenant))


class _GatewayUpstream:
    """The gateway of an embedded relay: every call is made with its key."""

    def __init__(self, gateway: Gateway, tenant: str) -> None:
        self._gateway = gateway
        self._tenant = tenant

    def tenant_of(self, headers: Mapping[str, str]) -> str:
        return self._tenant

    def stream(self, call: UpstreamCall) -> FollowedResponse:
        fields = {name: value for name, value in call.fields.items() if name != "stream"}
        known: CreateParams = {"model": fields.get("model", ""), "include": fields.get("include") or ()}
        return self._gateway.stream(extra_body=fields, **known)

    def follow(self, call: UpstreamCall, response_id: str) -> FollowedResponse:
        return self._gateway.follow(response_id)
