"""Follow a response on behalf of another client: with its own body, headers and query, as they came."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from streamfold.client.api.arguments import resolve_dialect
from streamfold.client.api.credentials import IDEMPOTENCY_KEY
from streamfold.client.api.request import Calls
from streamfold.client.api.sending import RetryingTransport
from streamfold.client.follow.follow import FollowedResponse
from streamfold.client.follow.stream import FollowRequest
from streamfold.client.transport.transport import Reply, Request, Transport
from streamfold.session import Answer, Patience, is_event_stream

MAX_KEPT_BYTES = 1024 * 1024
# Of the creation alone: a request that follows has another body, or none.
OF_THE_CREATION = frozenset({"content-type", "accept", IDEMPOTENCY_KEY})


def forward(
    transport: Transport,
    *,
    base_url: str,
    headers: Sequence[tuple[str, str]],
    query: Sequence[tuple[str, str]] = (),
    body: bytes | None = None,
    response_id: str | None = None,
    include: Sequence[str] = (),
    include_obfuscation: bool | None = None,
    is_background: bool | None = None,
    patience: Patience | None = None,
    on_answer: Callable[[Answer], None] | None = None,
) -> FollowedResponse:
    """Follow a response as another client would: nothing of a gateway is added to its requests.

    Args:
        transport: Sends the requests.
        base_url: What comes before `/responses`, without a slash at its end.
        headers: Sent with every request; names in lower case. They hold the credentials.
        query: Sent with every request.
        body: The body that creates it, sent as it is; None for an existing response.
        response_id: The existing response.
        include: What later requests ask to include.
        include_obfuscation: What later requests ask for; None for the gateway's default.
        is_background: Whether it is created to run in the background; None if that is not known.
        patience: The limits.
        on_answer: Called with the answer to the creation: with its head once that has come, and again with its body if
            it is not a stream.
    """
    limits = patience or Patience()
    calls = Calls(
        base_url=base_url,
        api_key="",
        dialect=resolve_dialect(None, base_url=base_url),
        idle_seconds=limits.idle_seconds,
        headers=tuple(pair for pair in headers if pair[0] not in OF_THE_CREATION),
        query=tuple(query),
    )
    post = None if body is None else calls.creation_of(body, headers=tuple(headers))
    if post is not None and on_answer is not None:
        transport = _Witness(transport, post, on_answer)
    return FollowedResponse(
        FollowRequest(
            post=post,
            response_id=response_id,
            include=tuple(include),
            include_obfuscation=include_obfuscation,
            is_background=is_background,
        ),
        calls=calls,
        transport=RetryingTransport(transport, max_retries=0, patience=limits),
        patience=limits,
    )


class _Witness:
    """A transport that reports the answer to one request."""

    def __init__(self, transport: Transport, request: Request, report: Callable[[Answer], None]) -> None:
        self._transport = transport
        self._request = request
        self._report = report
        self.holds_no_scope: bool = getattr(transport, "holds_no_scope", False)

    def open(self, request: Request) -> AbstractAsyncContextManager[Reply]:
        opened = self._transport.open(request)
        return _Witnessed(opened, self._report) if request is self._request else opened

    async def aclose(self) -> None:
        """Nothing is opened here: the transport inside is closed by its owner."""


class _Witnessed:
    """The context of one reply, whose head is reported on entering, and whose body on leaving unless it is a stream."""

    def __init__(self, opened: AbstractAsyncContextManager[Reply], report: Callable[[Answer], None]) -> None:
        self._opened = opened
        self._report = report
        self._seen: _SeenReply | None = None

    async def __aenter__(self) -> Reply:
        reply = await self._opened.__aenter__()
        self._report(Answer(reply.status, reply.headers))
        if is_event_stream(reply.status, reply.headers):
            return reply
        self._seen = _SeenReply(reply)
        return self._seen

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        seen = self._seen
        if seen is not None:
            self._report(Answer(seen.status, seen.headers, bytes(seen.body)))
        return await self._opened.__aexit__(kind, error, trace)


class _SeenReply:
    """A reply that keeps the beginning of its body."""

    def __init__(self, reply: Reply) -> None:
        self.status: int = reply.status
        self.headers: Mapping[str, str] = reply.headers
        self.body: bytearray = bytearray()
        self._reply = reply

    def chunks(self) -> "_SeenReply":
        """The body."""
        self._chunks = self._reply.chunks()
        return self

    def __aiter__(self) -> "_SeenReply":
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._chunks)
        if len(self.body) < MAX_KEPT_BYTES:
            self.body += chunk
        return chunk

    async def abort(self) -> None:
        """End a read that is pending in another task."""
        await self._reply.abort()
