"""A transport without a network: a function of the test answers each request, byte by byte if it likes.

It keeps the requests and counts the replies that are open.
"""

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import anyio
from attrs import Factory, define, frozen

from streamfold.client import Reply, Request
from streamfold.errors import Disconnected

# Bytes are handed over, an Event is waited for, an exception is raised.
Part: TypeAlias = bytes | anyio.Event | Exception

EVENT_STREAM = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}


@frozen
class Told:
    """What a request is answered with. opening: waited for before the head, or raised instead of it."""

    parts: Iterable[Part] = ()
    status: int = 200
    headers: Mapping[str, str] = Factory(lambda: EVENT_STREAM)
    opening: anyio.Event | Exception | None = None


def stream(*parts: Part) -> Told:
    """A stream of events."""
    return Told(parts)


def forever() -> anyio.Event:
    """A part that never comes."""
    return anyio.Event()


def said(value: object, status: int = 200, **headers: str) -> Told:
    """A body that is no stream: JSON, unless it is bytes."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    told = JSON | {name.replace("_", "-"): text for name, text in headers.items()}
    return Told([data], status, told)


@define(eq=False)
class Stub:
    """The transport. answer: what each request is answered with. opened, aborted: how many replies were."""

    answer: Callable[[Request], Told]
    requests: list[Request] = Factory(list)
    is_open: int = 0
    aborted: int = 0
    is_closed: bool = False

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Reply, None]:
        self.requests.append(request)
        told = self.answer(request)
        await anyio.lowlevel.checkpoint()
        if isinstance(told.opening, Exception):
            raise told.opening
        if told.opening is not None:
            await told.opening.wait()
        self.is_open += 1
        try:
            yield StubReply(told, self)
        finally:
            self.is_open -= 1

    async def aclose(self) -> None:
        self.is_closed = True

    @property
    def asked(self) -> list[str]:
        """The requests in a few words, as `GET resp_1?stream after 7`."""
        return [in_words(each) for each in self.requests]


class StubReply:
    """One reply."""

    def __init__(self, told: Told, stub: Stub) -> None:
        self.status = told.status
        self.headers = told.headers
        self._parts = iter(told.parts)
        self._stub = stub
        self._reading: anyio.CancelScope | None = None
        self._is_aborted = False

    def chunks(self) -> "StubReply":
        return self

    def __aiter__(self) -> "StubReply":
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()  # before anything is taken: a read that is cancelled here loses nothing
        for part in self._parts:
            if isinstance(part, bytes):
                return part
            if isinstance(part, Exception):
                raise part
            with anyio.CancelScope() as self._reading:
                await part.wait()
            if self._is_aborted:
                raise Disconnected("the reply was let go of")
        raise StopAsyncIteration

    async def abort(self) -> None:
        self._stub.aborted += 1
        self._is_aborted = True
        if self._reading is not None:
            self._reading.cancel()


def query_of(request: Request) -> dict[str, str]:
    """The query, the last of each name."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(request.url).query).items()}


def in_words(request: Request) -> str:
    path, query = urlsplit(request.url).path.partition("/responses")[2], query_of(request)
    after = f" after {query['starting_after']}" if "starting_after" in query else ""
    return f"{request.method} {path or '/'}{' stream' if query.get('stream') else ''}{after}"


def body_of(request: Request) -> Any:
    """The JSON that was sent."""
    return json.loads(request.body or b"null")
