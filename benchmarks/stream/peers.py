"""Other readers of a Responses stream, each fed the same bytes through its own public classes, offline.

A stand-in for the HTTP response yields the chunks and does less work than a real one. A library is imported by the first
call that needs it, so that a process that times one peer does not hold the others.
"""

import codecs
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from importlib.metadata import version
from typing import Any

from benchmarks.stream.reading import EVENTS, STATES, Peer
from streamfold.bench import Goal
from streamfold.schema import decode_known_event

__all__ = ["LIBRARIES", "OPENAI_STATE", "PEERS"]

LIBRARIES = ("streamfold", "msgspec", "attrs", "httpx-sse", "openai", "pydantic")


class Body:
    """What both libraries need of an HTTP response: the chunks as bytes or as text."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.headers = {"content-type": "text/event-stream"}
        self.request = None  # which openai's errors name
        self._chunks = chunks

    def iter_bytes(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def iter_text(self) -> Iterator[str]:
        """As httpx decodes a body: a character cut in two waits for its rest."""
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        for chunk in self._chunks:
            yield decode(chunk)
        yield decode(b"", True)

    def close(self) -> None:
        """Nothing was opened."""


def exhaust(events: Iterable[object]) -> None:
    """Read to the end as fast as Python can, dropping each."""
    deque(events, maxlen=0)


def run(read: Callable[[Sequence[bytes]], Iterable[object]], chunks: Sequence[bytes]) -> None:
    """Read the chunks to their end."""
    exhaust(read(chunks))


# httpx-sse, and a JSON decoder behind it


def httpx_sse_frames(chunks: Sequence[bytes]) -> Iterator[Any]:
    from httpx_sse import EventSource

    body: Any = Body(chunks)
    return EventSource(body).iter_sse()


def httpx_sse_json(chunks: Sequence[bytes]) -> Iterator[Any]:
    return (json.loads(frame.data) for frame in httpx_sse_frames(chunks))


def httpx_sse_msgspec(chunks: Sequence[bytes]) -> Iterator[Any]:
    """The events as our own types, decoded by our decoder."""
    return (decode_known_event(frame.data) for frame in httpx_sse_frames(chunks))


def text_of_json(events: Iterable[Any]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


def text_of_typed(events: Iterable[Any]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


# openai


@cache
def client() -> Any:
    """Never connects; openai's Stream takes its decoder and types from it."""
    from openai import OpenAI

    return OpenAI(api_key="none", base_url="http://localhost:9")


def openai_events(chunks: Sequence[bytes]) -> Any:
    """Typed events, as `client.responses.create(stream=True)` yields them."""
    from openai import Stream
    from openai.types.responses import ResponseStreamEvent

    body: Any = Body(chunks)
    kind: Any = ResponseStreamEvent
    return Stream(cast_to=kind, response=body, client=client())


def openai_states(chunks: Sequence[bytes]) -> Any:
    """Typed events and their ResponseStreamState, as `client.responses.stream` yields them."""
    from openai import omit
    from openai.lib.streaming.responses import ResponseStream

    return ResponseStream(raw_stream=openai_events(chunks), text_format=omit, input_tools=omit, starting_after=None)


def text_of_states(events: Iterable[Any]) -> str:
    """The text that the state had collected by the last delta of each part."""
    texts: dict[tuple[int, int], str] = {}
    for event in events:
        if event.type == "response.output_text.delta":
            texts[event.output_index, event.content_index] = event.snapshot
    return "".join(texts[place] for place in sorted(texts))


OPENAI_STATE = Peer(
    f"openai {version('openai')} stream state",
    run=partial(run, openai_states),
    text=lambda chunks: text_of_states(openai_states(chunks)),
    stands_against=STATES,
    is_slow=True,
    goal=Goal("≥", 120, "× faster"),
)

PEERS = (
    Peer(
        "httpx-sse + json",
        run=partial(run, httpx_sse_json),
        text=lambda chunks: text_of_json(httpx_sse_json(chunks)),
        stands_against=EVENTS,
        goal=Goal("≥", 5, "× faster"),
    ),
    Peer(
        "httpx-sse + msgspec",
        run=partial(run, httpx_sse_msgspec),
        text=lambda chunks: text_of_typed(httpx_sse_msgspec(chunks)),
        stands_against=EVENTS,
    ),
    Peer(
        f"openai {version('openai')} events",
        run=partial(run, openai_events),
        text=lambda chunks: text_of_typed(openai_events(chunks)),
        stands_against=EVENTS,
        is_slow=True,
    ),
    OPENAI_STATE,
)
