"""A transport of httpx or httpx2 without a network: a function of the test answers each request, sync or async.

Each part of an answer is handed over as one chunk; an exception breaks the connection off, as the library would say it.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import anyio

from streamfold.client import Request, ResumingTransport
from streamfold.session import Backoff, Patience
from tests.client.stub import Told, in_words

Tell = Callable[[Request], Told]

URL = "http://gateway/v1/responses"
BACKGROUND = {"model": "toy", "input": "hi", "stream": True, "background": True}
QUICK = Patience(backoff=Backoff(first_seconds=0.0), gap_seconds=0.0, poll_seconds=0.0, stalled_seconds=1.0)


class Inner:
    """The transport. open_bodies: How many bodies were not closed yet. timeouts: Of each request."""

    def __init__(self, library: ModuleType, answer: Tell) -> None:
        self.library = library
        self.answer = answer
        self.requests: list[Request] = []
        self.timeouts: list[dict[str, float | None]] = []
        self.open_bodies = 0
        self.is_closed = False

    @property
    def asked(self) -> list[str]:
        """The requests in a few words."""
        return [in_words(each) for each in self.requests]

    async def handle_async_request(self, request: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        body = b"".join([part async for part in request.stream])
        return self._response(request, body, AsyncParts)

    def handle_request(self, request: Any) -> Any:
        return self._response(request, b"".join(request.stream), SyncParts)

    def _response(self, request: Any, body: bytes, kind: Any) -> Any:
        headers = tuple(request.headers.multi_items())
        self.timeouts.append(request.extensions.get("timeout", {}))
        self.requests.append(Request(method=request.method, url=str(request.url), headers=headers, body=body))
        told = self.answer(self.requests[-1])
        if isinstance(told.opening, Exception):
            raise told.opening
        base = self.library.AsyncByteStream if kind is AsyncParts else self.library.SyncByteStream
        stream = type("Parts", (kind, base), {})(told, self)
        return self.library.Response(told.status, headers=dict(told.headers), stream=stream)

    async def aclose(self) -> None:
        self.is_closed = True

    def close(self) -> None:
        self.is_closed = True

    async def __aenter__(self) -> "Inner":
        return self

    def __enter__(self) -> "Inner":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __exit__(self, *error: object) -> None:
        self.close()


class Parts:
    def __init__(self, told: Told, inner: Inner) -> None:
        self._told = told
        self._inner = inner
        self._is_open = True
        inner.open_bodies += 1

    def _leave(self) -> None:
        self._inner.open_bodies -= self._is_open
        self._is_open = False


class SyncParts(Parts):
    def __iter__(self) -> Iterator[bytes]:
        for part in self._told.parts:
            if isinstance(part, Exception):
                raise part
            assert isinstance(part, bytes)
            yield part

    def close(self) -> None:
        self._leave()


class AsyncParts(Parts):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._told.parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, anyio.Event):
                await part.wait()
            else:
                await anyio.lowlevel.checkpoint()
                yield part

    async def aclose(self) -> None:
        self._leave()


async def passed(how: str, inner: Inner, method: str = "POST", url: str = URL, **given: Any) -> bytes:
    """The body that a client gets. how: "async" or "sync". patience: The transport's; the rest is the request's."""
    promote = given.pop("promote", "never")
    transport = ResumingTransport(inner, patience=given.pop("patience", QUICK), promote=promote)
    if method == "POST" and "content" not in given:
        given.setdefault("json", BACKGROUND)
    if how == "sync":
        with inner.library.Client(transport=transport) as client, client.stream(method, url, **given) as answer:
            return b"".join(answer.iter_bytes())
    async with inner.library.AsyncClient(transport=transport) as client:
        async with client.stream(method, url, **given) as response:
            return b"".join([chunk async for chunk in response.aiter_bytes()])
