"""One way to say how a gateway answers, and every transport that can ask it: over sockets, or inside this process.

A test gives a function from the request to what is told; it is served as raw HTTP, or as an ASGI application.
"""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from attrs import Factory, define

from streamfold.client import Gateway, Request
from streamfold.client.conformance import Wire, chunk, serve
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.client.transport.direct import DirectTransport
from streamfold.session import Backoff, Outcome, Patience
from tests.client.stub import Told
from tests.session.made import added, created, delta, ended

SAMPLE = {("httpx2", "asyncio"), ("direct", "trio"), ("asgi", "asyncio")}


def on(*kinds: str) -> pytest.MarkDecorator:
    """Each of these transports on both event loops; a sample of that, unless everything is run."""
    every = [(kind, loop) for kind in kinds for loop in ("asyncio", "trio")]
    marked = [pytest.param(*each, marks=() if each in SAMPLE else pytest.mark.thorough) for each in every]
    return pytest.mark.parametrize(("kind", "anyio_backend"), marked)


on_sockets = on("httpx", "httpx2", "direct")
on_every_transport = on("httpx", "httpx2", "direct", "asgi")
KEY = "gateway-0123456789abcdef"
QUICK = Patience(
    backoff=Backoff(first_seconds=0.0), poll_seconds=0.02, gap_seconds=0.02, stalled_seconds=2.0, cancel_seconds=2.0
)


@define(eq=False)
class Served:
    """A gateway that is being served. requests: what it was asked, in order."""

    url: str
    http: Any
    requests: list[Request] = Factory(list)

    def gateway(self, **settings: Any) -> Gateway:
        given = {"api_key": KEY, "dialect": "openai", "patience": QUICK} | settings
        return Gateway(f"{self.url}/v1", http=self.http, **given)

    @property
    def asked(self) -> list[str]:
        """The requests as method and target, without /v1."""
        return [f"{each.method} {each.url.partition('/v1')[2]}" for each in self.requests]


@asynccontextmanager
async def served(kind: str, answer: Callable[[Request], Told]) -> AsyncGenerator[Served, None]:
    """Serve the answers to one of KINDS."""

    def take(method: str, target: str, headers: dict[str, str], body: bytes) -> Told:
        site.requests.append(Request(method=method, url=f"http://{target}", headers=tuple(headers.items()), body=body))
        return answer(site.requests[-1])

    async with AsyncExitStack() as stack:
        site = Served("http://asgi", None)
        if kind == "asgi":
            site.http = AsgiTransport(application(take), grace_seconds=0.0)
            stack.push_async_callback(site.http.aclose)
        else:
            server = await stack.enter_async_context(serve(story(take)))
            site.url = server.url.rstrip("/")
            site.http = await stack.enter_async_context(client(kind))
        yield site


@asynccontextmanager
async def client(kind: str) -> AsyncGenerator[Any, None]:
    """What carries the requests."""
    if kind == "direct":
        yield DirectTransport()
    else:
        async with {"httpx": httpx, "httpx2": httpx2}[kind].AsyncClient(trust_env=False) as made:
            yield made


Take = Callable[[str, str, dict[str, str], bytes], Told]


def story(take: Take) -> Callable[[Wire], Any]:
    """The answers as HTTP/1.1: chunked, unless a content-length is told. An exception breaks the connection off."""

    async def run(wire: Wire) -> None:
        first, *lines = wire.head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        told = take(method, target, dict(line.split(": ", 1) for line in lines), wire.body)
        if isinstance(told.opening, anyio.Event):
            await told.opening.wait()
        is_chunked = "content-length" not in told.headers
        fields = {"connection": "close", **({"transfer-encoding": "chunked"} if is_chunked else {}), **told.headers}
        head = [f"HTTP/1.1 {told.status} Told", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        await wire.send("\r\n".join(head).encode("latin-1"))
        for part in told.parts:
            if isinstance(part, bytes):
                await wire.send(chunk(part) if is_chunked else part)
            elif isinstance(part, Exception):
                return
            else:
                await part.wait()
        if is_chunked:
            await wire.send(chunk(b""))
        await wire.gone()

    return run


def application(take: Take) -> Any:
    """The answers as an ASGI application. An exception is raised in it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        target = scope["raw_path"].decode() + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        told = take(scope["method"], target, headers, message["body"])
        if isinstance(told.opening, anyio.Event):
            await told.opening.wait()
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.headers.items()]
        await send({"type": "http.response.start", "status": told.status, "headers": fields})
        for part in told.parts:
            if isinstance(part, bytes):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            elif isinstance(part, Exception):
                raise part
            else:
                await part.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def json_told(value: object, status: int = 200, **headers: str) -> Told:
    """A body of JSON."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Told([json.dumps(value).encode()], status, {"content-type": "application/json"} | named)


# What most of these gateways answer, and two ways to ask

HELLO = (created(0), added(1), delta(2, "Hel"), delta(3, "lo"), ended(4, text="Hello"))
MODEL: dict[str, Any] = {"model": "toy", "input": "hi"}


async def streamed(site: Served, **given: Any) -> tuple[str, Outcome]:
    """The pieces of the text, joined, and the outcome."""
    async with site.gateway(**given).stream(**MODEL) as response:
        text = "".join([piece async for piece in response.text(strict=False)])
        return text, await response.outcome()


async def followed(site: Served, **given: Any) -> Outcome:
    async with site.gateway(**given).follow("resp_1") as response:
        return await response.outcome()


def always(told: Told) -> Callable[[Request], Told]:
    """This answer, its parts as often as it is asked for."""
    return lambda request: Told(list(told.parts), told.status, told.headers, told.opening)
