"""The transport that lets an existing SDK survive drops: given to its httpx client, it continues the SDK's streams."""

import random
from collections.abc import Callable
from functools import cache
from threading import Lock
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from streamfold.client.transport.origin import Origin, library_of
from streamfold.client.transport.resumed_async import AsyncBody, AsyncInner
from streamfold.client.transport.resumed_sync import SyncBody, SyncInner
from streamfold.errors import InvalidArgument
from streamfold.session import Patience

# One class for four kinds of client. A client only calls the methods below, so neither library is imported for its base
# classes; a type checker still sees them.
if TYPE_CHECKING:
    import httpx
    import httpx2

    class Carrier(httpx.AsyncBaseTransport, httpx.BaseTransport, httpx2.AsyncBaseTransport, httpx2.BaseTransport):
        async def handle_async_request(self, request: Any) -> Any: ...
        def handle_request(self, request: Any) -> Any: ...

else:
    Carrier = object


class ResumingTransport(Carrier):
    """Continues every stream of a Responses API that passes through it, across dropped connections.

    Give it to an `AsyncClient` or a `Client` of httpx or httpx2, and that client to your SDK. The body of each stream is
    resumed after its last event, and the SDK sees each event once. Where the server cannot resume, the SDK gets the error
    that it would have got from the drop. Everything else passes unchanged.

    Args:
        inner: The transport that carries the requests, sync or async as your client is: pass one to use a proxy, HTTP/2 or
            your own certificates. None for the library's own, with 1,000 connections.
        patience: How long to wait for a response, and when to give up. Its `idle_seconds` is the silence after which a
            stream that can be resumed counts as dropped.

    Raises:
        InvalidArgument: An argument is not valid.

    Example:
        client = AsyncOpenAI(http_client=httpx2.AsyncClient(transport=ResumingTransport()))
    """

    def __init__(self, inner: Any = None, *, patience: Patience | None = None) -> None:
        self._async: Any = inner if hasattr(inner, "handle_async_request") else None
        self._sync: Any = inner if hasattr(inner, "handle_request") else None
        if inner is not None and self._async is None and self._sync is None:
            raise InvalidArgument("inner", f"must be a transport of httpx or httpx2, got {inner!r}")
        self._making = Lock()  # threads may share a client
        self._patience = patience or Patience()
        self._random: Callable[[], float] = random.random

    # Async

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request of an `AsyncClient`; the body of a stream is continued."""
        inner = self._async_inner(request)
        origin = Origin.of(request, self._patience)
        if origin is None:
            return await inner.handle_async_request(request)
        response = await inner.handle_async_request(origin.first_request())
        if not origin.can_continue(response):
            return response
        body = of_library(AsyncBody, origin.library.AsyncByteStream)
        return origin.answer(response, body(origin, inner, response, random=self._random))

    async def aclose(self) -> None:
        """Close the inner transport."""
        if self._async is not None:
            await self._async.aclose()

    async def __aenter__(self) -> Self:
        if self._async is not None:
            await self._async.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    def _async_inner(self, request: Any) -> AsyncInner:
        with self._making:
            if self._async is None:
                self._async = library_of(request).AsyncHTTPTransport(limits=limits(library_of(request)))
        inner: AsyncInner = self._async
        return inner

    # Sync

    def handle_request(self, request: Any) -> Any:
        """Send a request of a `Client`; the body of a stream is continued."""
        inner = self._sync_inner(request)
        origin = Origin.of(request, self._patience)
        if origin is None:
            return inner.handle_request(request)
        response = inner.handle_request(origin.first_request())
        if not origin.can_continue(response):
            return response
        body = of_library(SyncBody, origin.library.SyncByteStream)
        return origin.answer(response, body(origin, inner, response, random=self._random))

    def close(self) -> None:
        """Close the inner transport."""
        if self._sync is not None:
            self._sync.close()

    def __enter__(self) -> Self:
        if self._sync is not None:
            self._sync.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def _sync_inner(self, request: Any) -> SyncInner:
        with self._making:
            if self._sync is None:
                self._sync = library_of(request).HTTPTransport(limits=limits(library_of(request)))
        inner: SyncInner = self._sync
        return inner


def limits(library: ModuleType) -> Any:
    """As many connections as openai's own client opens; a library's default of 100 is soon used up by streams."""
    return library.Limits(max_connections=1000, max_keepalive_connections=100)


@cache
def of_library(body: Any, base: Any) -> Any:
    """The class of a body that the library takes for a stream of its own."""
    return type(body.__name__, (body, base), {})
