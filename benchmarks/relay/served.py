"""A server of the benchmark `relay`, in a process of its own: `python -m benchmarks.relay.served relay`.

relay           `streamfold relay`, in front of streams of its own process, or of an upstream (`--upstream`)
bare            an ASGI application on uvicorn that writes the same frames: 64 a write, or as many as there are
sse-starlette   the same with EventSourceResponse

It prints its port, then follows commands on stdin (`sources.obey`) until stdin ends.
"""

import argparse
import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from benchmarks.client.load import raise_file_limit
from benchmarks.relay.sources import Source, Sources, SourceTransport, obey

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FRAMES_PER_WRITE = 64
MAX_CONNECTIONS = 12_000


async def source_of(sources: Sources, scope: Message, receive: Receive) -> Source:
    """The stream that a request asks for: a new one by a POST, or one by its id."""
    if scope["method"] != "POST":
        return sources.known[scope["path"].rpartition("/")[2]]
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    source = sources.create(body)
    source.start()
    return source


def bare(sources: Sources) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """The least that an ASGI application can do."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        source = await source_of(sources, scope, receive)
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        place, frames = 0, source.frames
        while True:
            changed = source.changed
            while place < len(frames):
                some = frames[place : place + FRAMES_PER_WRITE]
                place += len(some)
                await send({"type": "http.response.body", "body": b"".join(some), "more_body": True})
            if source.is_finished:
                break
            await changed.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def sse_starlette(sources: Sources) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """As its documentation shows it: a generator of the fields of each event."""
    from sse_starlette import EventSourceResponse  # pyright: ignore[reportMissingImports] (in the extra `bench`)

    async def events(source: Source) -> AsyncIterator[dict[str, str]]:
        place, frames = 0, source.frames
        while True:
            changed = source.changed
            while place < len(frames):
                name, id, data = frames[place].decode().split("\n")[:3]
                place += 1
                yield {"event": name[7:], "id": id[4:], "data": data[6:]}
            if source.is_finished:
                return
            await changed.wait()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        source = await source_of(sources, scope, receive)
        await EventSourceResponse(events(source))(scope, receive, send)

    return app


def serve_reference(app: Callable[[Message, Receive, Send], Awaitable[None]], sources: Sources) -> None:
    """Serve an application with uvicorn, on the same parser and event loop as the relay."""
    import uvicorn

    from streamfold.serving import LOCAL, listen, url_of

    async def main() -> None:
        config = uvicorn.Config(app, http="httptools", loop="asyncio", lifespan="off", log_level="error", backlog=2048)
        server = uvicorn.Server(config)

        def stop() -> None:
            server.should_exit = server.force_exit = True

        with listen(LOCAL, 0) as listener:
            obey(asyncio.get_running_loop(), sources, stop)
            print(url_of(listener), flush=True)
            await server.serve(sockets=[listener])

    asyncio.run(main())


def serve_relay(asked: argparse.Namespace, sources: Sources) -> None:
    """Serve the relay as `streamfold relay` does."""
    from streamfold.log import MemoryLog, SqliteLog
    from streamfold.relay import RelayOptions, RelayServer, ServerOptions, serve_relay

    server = RelayServer(
        asked.upstream or "http://127.0.0.1:9",  # nobody listens there, and nobody calls it
        SqliteLog(asked.log) if asked.log else MemoryLog(),
        options=RelayOptions(
            max_behind=asked.max_behind,
            window_bytes=asked.window_bytes,
            retain_seconds=asked.retain_seconds,
            expire_every_seconds=min(asked.retain_seconds, 60.0),
            cancel_when_unread_seconds=min(asked.retain_seconds, 60.0),
        ),
        limits=ServerOptions(max_connections=MAX_CONNECTIONS, unread_seconds=600),
        transport=None if asked.upstream else SourceTransport(sources),
    )

    def announce(url: str) -> None:
        obey(asyncio.get_running_loop(), sources, stop=lambda: os._exit(0))
        print(url, flush=True)

    serve_relay(server, announce=announce)


def main() -> None:
    """Serve until stdin ends, so that the server does not outlive its parent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["relay", "bare", "sse-starlette"])
    parser.add_argument("--upstream", default="")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--max-behind", type=int, default=0)
    parser.add_argument("--window-bytes", type=int, default=2**20)
    parser.add_argument("--retain-seconds", type=float, default=3600.0)
    asked = parser.parse_args()
    raise_file_limit()
    gc.freeze()
    sources = Sources()
    if asked.kind == "relay":
        serve_relay(asked, sources)
    else:
        serve_reference({"bare": bare, "sse-starlette": sse_starlette}[asked.kind](sources), sources)


if __name__ == "__main__":
    main()
