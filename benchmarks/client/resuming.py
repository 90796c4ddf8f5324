"""The benchmark `resuming`: what a ResumingTransport costs an SDK that reads streams over a socket."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from importlib.metadata import version
from typing import Any

from attrs import frozen

from benchmarks.client.clients import CLOSING, read, runner
from benchmarks.client.load import event_count, serving
from benchmarks.process import measure_apart
from benchmarks.stream.reading import DifferentWork, ratio_row
from streamfold.bench import Goal, Row, Variant
from streamfold.client import ResumingTransport

__all__ = ["FULL_RESUMING", "QUICK_RESUMING", "ResumingScale", "measure_resuming"]

BOUND = Goal("≤", 1.05)
RESUMING = ", resuming"
AGAIN = ", again"


@frozen
class ResumingScale:
    """How much is measured. deltas: of a fast stream; paced_deltas: of a slow one. rounds: samples of each variant."""

    deltas: int = 5_000
    paced_deltas: int = 400
    rounds: int = 9
    sample_seconds: float = 0.05


FULL_RESUMING = ResumingScale()
QUICK_RESUMING = ResumingScale(deltas=1_000, paced_deltas=100, rounds=5)


def measure_resuming(scale: ResumingScale) -> Iterator[Row]:
    """Yield the rows as they are measured."""
    with serving(deltas=scale.deltas, paced_deltas=scale.paced_deltas) as url:
        for sdk, stream, what in (
            ("openai", "resp_each", "each event its own write"),
            ("openai", "resp_joined", "writes of 16 KiB"),
            ("openai, sync", "resp_each", "each event its own write"),
            ("openai, sync", "resp_joined", "writes of 16 KiB"),
            ("MKA1", "resp_paced", "each event its own write"),
        ):
            deltas = scale.paced_deltas if stream == "resp_paced" else scale.deltas
            yield from compared(scale, url, sdk, stream, what, events=event_count(deltas))


def compared(scale: ResumingScale, url: str, sdk: str, stream: str, what: str, *, events: int) -> Iterator[Row]:
    """The SDK with the transport, and twice without it, interleaved."""
    count = READERS[sdk]
    variants = [
        Variant(sdk + name, partial(count, url, stream, is_resuming=name == RESUMING, events=events))
        for name in ("", RESUMING, AGAIN)
    ]
    timings = measure_apart(variants, rounds=scale.rounds, sample_seconds=scale.sample_seconds)
    about: dict[str, Any] = {"benchmark": "resuming", "events": events}
    yield ratio_row(timings, sdk + RESUMING, sdk, name=f"{versioned(sdk)}: {what}", goal=BOUND, **about)
    yield ratio_row(timings, sdk + AGAIN, sdk, name=f"noise: {versioned(sdk)}: {what}", **about)


def versioned(sdk: str) -> str:
    """The SDK with its version."""
    name, _, kind = sdk.partition(", ")
    number = version("openai" if name == "openai" else "meetkai-mka1")
    return f"{name} {number} {kind}".rstrip()


# The readers. A client is created once in a process, at the first call.


@cache
def openai_client(url: str, *, is_resuming: bool) -> Any:
    from openai import AsyncOpenAI

    http = resuming_client("httpx2", "AsyncClient") if is_resuming else None
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http)
    CLOSING.append(client.close)
    return client


@cache
def sync_openai_client(url: str, *, is_resuming: bool) -> Any:
    from openai import OpenAI

    http = resuming_client("httpx2", "Client") if is_resuming else None
    return SYNC.enter_context(OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http))


@cache
def mka1_client(url: str, *, is_resuming: bool) -> Any:
    from httpx import AsyncClient
    from mka1 import SDK

    http = resuming_client("httpx", "AsyncClient") if is_resuming else AsyncClient(follow_redirects=True)
    CLOSING.append(http.aclose)
    return SDK(bearer_auth="none", server_url=url, async_client=http)


def resuming_client(library: str, kind: str) -> Any:
    return getattr(__import__(library), kind)(transport=ResumingTransport(), follow_redirects=True)


SYNC = ExitStack()


def close() -> None:
    """Close the clients, in a process that continues with other work."""
    for made in CLOSING:
        runner().run(made())
    CLOSING.clear()
    SYNC.close()
    for kept in (openai_client, sync_openai_client, mka1_client):
        kept.cache_clear()


def read_openai(url: str, stream: str, *, is_resuming: bool, events: int) -> None:
    async def count(url: str, stream: str) -> int:
        client = openai_client(url, is_resuming=is_resuming)
        async with await client.responses.retrieve(stream, stream=True) as found:
            return len([None async for _ in found])

    read(count, url, stream, events=events)


def read_openai_sync(url: str, stream: str, *, is_resuming: bool, events: int) -> None:
    with sync_openai_client(url, is_resuming=is_resuming).responses.retrieve(stream, stream=True) as found:
        count = sum(1 for _ in found)
    if count != events:
        raise DifferentWork(f"{count:,} events of {events:,} in {stream}")


def read_mka1(url: str, stream: str, *, is_resuming: bool, events: int) -> None:
    async def count(url: str, stream: str) -> int:
        responses = mka1_client(url, is_resuming=is_resuming).llm.responses
        async with await responses.get_async(response_id=stream, stream=True) as found:
            return len([None async for _ in found])

    read(count, url, stream, events=events)


READERS: dict[str, Callable[..., None]] = {"openai": read_openai, "openai, sync": read_openai_sync, "MKA1": read_mka1}
