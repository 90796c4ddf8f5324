"""Both SDKs, sync and async, read recorded streams through a ResumingTransport whose connections are cut all the time.

What the SDK yields must equal what it yields uncut. Each connection is cut at the next place of a list: after every event
of the stream, or at 200 random bytes. `make test` runs a sample; `make test-all` every recording that is chosen.
"""

import random
from collections.abc import Callable, Sequence
from itertools import accumulate
from types import ModuleType
from typing import Any

import anyio
import httpx
import httpx2
import openai
import pytest
from attrs import define, field
from mka1 import SDK

from streamfold.client import Request, ResumingTransport
from streamfold.emulator import Options, emulate
from streamfold.session import Backoff, Patience
from tests.client.inner import Inner
from tests.client.playback import ID, Played
from tests.client.stub import Told, query_of, said, stream
from tests.client.test_cut_points import chosen, thorough_too
from tests.conftest import Recording, sampled_product

pytestmark = pytest.mark.anyio

RANDOM_CUTS = 200
ENDLESS = 1_000_000  # attempts: a cut in the first event of a connection brings nothing new


@define
class CutServer:
    """A gateway that plays a recording, and breaks each connection at the next of these bytes of the whole stream."""

    played: Played
    library: ModuleType
    cuts: list[int]
    connections: int = 0
    ends: list[int] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.ends = list(accumulate(len(block.data) for block in self.played.blocks))

    def answer(self, request: Request) -> Told:
        query = query_of(request)
        if request.method == "GET" and "stream" not in query:
            return said({"id": ID, "status": "in_progress", "output": []})
        self.connections += 1
        first = self.played.place_after(int(query["starting_after"])) if "starting_after" in query else 0
        begin = self.ends[first - 1] if first else 0
        data = b"".join(block.data for block in self.played.blocks)
        while self.cuts and self.cuts[0] <= begin:
            self.cuts.pop(0)
        if not self.cuts:
            return stream(data[begin:])
        end = self.cuts.pop(0)
        return stream(data[begin:end], self.library.ReadError("cut by the test"))


def at_every_event(stream: Played) -> list[int]:
    return list(accumulate(len(block.data) for block in stream.blocks))[:-1]


def at_random_bytes(stream: Played) -> list[int]:
    """After the first event: before it nobody has an id to resume by."""
    ends = list(accumulate(len(block.data) for block in stream.blocks))
    place = random.Random(stream.name).randrange
    return sorted({place(ends[0], ends[-1]) for _ in range(RANDOM_CUTS)})


# Each reads one stream, and returns its events and the exception that ended it.


async def read_openai_async(transport: Any) -> list[Any]:
    http = httpx2.AsyncClient(transport=transport)
    async with openai.AsyncOpenAI(base_url="http://h/v1", api_key="k", http_client=http, max_retries=0) as client:
        found: list[Any] = []
        try:
            async with await client.responses.create(**ASKED) as events:
                async for event in events:
                    found.append(event)
        except Exception as error:
            found.append((type(error), str(error)))
        return found


async def read_openai_sync(transport: Any) -> list[Any]:
    http = httpx2.Client(transport=transport)
    with openai.OpenAI(base_url="http://h/v1", api_key="k", http_client=http, max_retries=0) as client:
        found: list[Any] = []
        try:
            with client.responses.create(**ASKED) as events:
                found.extend(events)
        except Exception as error:
            found.append((type(error), str(error)))
        return found


async def read_mka1_async(transport: Any) -> list[Any]:
    found: list[Any] = []
    async with (
        httpx.AsyncClient(transport=transport) as http,
        SDK(bearer_auth="k", server_url="http://h", async_client=http) as sdk,
    ):
        try:
            async with await sdk.llm.responses.create_async(**ASKED) as events:
                async for event in events:
                    found.append(event.data)
        except Exception as error:
            found.append((type(error), str(error)))
    return found


async def read_mka1_sync(transport: Any) -> list[Any]:
    found: list[Any] = []
    with httpx.Client(transport=transport) as http, SDK(bearer_auth="k", server_url="http://h", client=http) as sdk:
        try:
            with sdk.llm.responses.create(**ASKED) as events:
                found.extend(event.data for event in events)
        except Exception as error:
            found.append((type(error), str(error)))
    return found


ASKED: dict[str, Any] = {"model": "toy", "input": "hi", "stream": True, "background": True}
SDKS: dict[str, tuple[ModuleType, Any]] = {
    "openai, async": (httpx2, read_openai_async),
    "openai, sync": (httpx2, read_openai_sync),
    "MKA1, async": (httpx, read_mka1_async),
    "MKA1, sync": (httpx, read_mka1_sync),
}


@thorough_too
@sampled_product("sdk,cuts", 2, SDKS, [at_every_event, at_random_bytes])
async def test_what_the_sdk_yields_equals_the_uncut_stream(
    sdk: str,
    cuts: Callable[[Played], list[int]],
    is_complete: bool,
    recordings: list[Recording],
    record_property: Callable[[str, object], None],
) -> None:
    wrong: list[str] = []
    connections = 0
    for each in streams(recordings, is_complete):
        library, read = SDKS[sdk]
        uncut = CutServer(each, library, [])
        cut = CutServer(each, library, cuts(each))
        expected = await read(Inner(library, uncut.answer))
        patience = Patience(
            sequence_policy=each.patience.sequence_policy,
            backoff=Backoff(first_seconds=0.0),
            gap_seconds=0.0,
            poll_seconds=0.0,
            max_attempts=ENDLESS,
        )
        found = await read(ResumingTransport(Inner(library, cut.answer), patience=patience))
        connections += cut.connections
        if found != expected:
            wrong.append(f"{each.name}: {len(found)} of {len(expected)}, {found[-1:]}")
    record_property("tally", f"{sdk}, cut {cuts.__name__}: {connections:,} connections, {len(wrong)} mismatches")
    assert not wrong


def streams(recordings: Sequence[Recording], is_complete: bool) -> list[Played]:
    found = chosen(recordings)
    assert len(found) >= 40
    return found if is_complete else found[::20]


# Over sockets: the emulator plays a recording, and breaks its connections itself.

WIRE_FAULTS = ("how=rst", "how=rst,where=frame", "where=chunk", "how=fin,where=character")
CLIENTS: dict[str, Any] = {
    "openai, async": lambda url, made: openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", http_client=made),
    "openai, sync": lambda url, made: openai.OpenAI(base_url=f"{url}/v1", api_key="k", http_client=made),
}


async def read_over_sockets(sdk: str, url: str, transport: Any) -> list[Any]:
    kind = httpx2.AsyncClient if sdk == "openai, async" else httpx2.Client
    client = CLIENTS[sdk](url, kind(transport=transport))
    if sdk == "openai, async":
        async with client, await client.responses.create(**ASKED) as events:
            return [event async for event in events]

    def read() -> list[Any]:
        with client, client.responses.create(**ASKED) as events:
            return list(events)

    return await anyio.to_thread.run_sync(read)


@pytest.mark.parametrize("sdk", CLIENTS)
@pytest.mark.parametrize("fault", WIRE_FAULTS)
async def test_a_recording_that_the_emulator_plays_and_cuts_is_whole(
    sdk: str, fault: str, recordings: list[Recording]
) -> None:
    names = {each.name for each in chosen(recordings) if each.is_numbered and len(each.events) > 20}
    recording = next(each for each in recordings if each.name in names)
    found: list[list[Any]] = []
    for faults in ("", f"drop:after_events=7,{fault},on=create;drop:after_events=3,{fault},on=resume,times=2"):
        options = Options(playback=recording.path, tokens_per_second=None, faults=faults)
        patience = Patience(backoff=Backoff(first_seconds=0.0), gap_seconds=0.0)
        async with emulate(options) as url:
            found.append(await read_over_sockets(sdk, url, ResumingTransport(patience=patience)))
    assert found[0] == found[1]
    assert len(found[0]) > 20
