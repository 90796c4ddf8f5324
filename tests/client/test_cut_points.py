"""A stream that is cut anywhere, and mended, is the stream: every event once, in order, and the same state at the end.

Recorded streams are played by a transport without a network, so that each can be cut after every event; some of
them, and streams of the emulator, are cut by the emulator's own faults, in process and over real connections.
`make test` cuts a sample of the recordings, the long ones at some places; `make test-all` cuts every one that adds
something, everywhere. What was run is counted, and the counts are printed with the summary of the tests.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from streamfold import Event, snapshot_json
from streamfold.chaos import parse_faults
from streamfold.client import Gateway, Transport
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.client.transport.direct import DirectTransport
from streamfold.client.transport.httpx import HttpxTransport
from streamfold.emulator import Emulator, Options, emulate
from streamfold.schema import MKA1, OPENAI, Dialect, FinishedReplay
from streamfold.session import Backoff, Outcome, Patience, Proof
from tests.client.playback import ID, Block, Leg, Played, is_same, played
from tests.conftest import Recording
from tests.emulator.answers import KINDS, OF_MKA1
from tests.emulator.inprocess import HandClock

pytestmark = pytest.mark.anyio

Tell = Callable[[str, object], None]
Manner = Callable[[int], list[Leg]]

SMALL_EVENTS = 25
LEAST_RECORDINGS = 40
MOST_CUTS_OF_A_SAMPLE = 8
thorough_too = pytest.mark.parametrize(
    "is_complete", [False, pytest.param(True, marks=pytest.mark.thorough)], ids=["a sample", "complete"]
)

# Manners of cutting: what the connections bring when the stream is cut after so many events


def once(cut: int) -> list[Leg]:
    return [Leg(until=cut)]


def inside_an_event(cut: int) -> list[Leg]:
    return [Leg(until=cut, is_inside=True)]


def twice_more_without_progress(cut: int) -> list[Leg]:
    return [Leg(until=cut), Leg(until=cut, is_inside=True), Leg(until=cut)]


def with_duplicates_and_holes(cut: int) -> list[Leg]:
    """The first connection tells each event twice; the next one tells old events again, and leaves some out."""
    return [Leg(until=cut, change=doubled), Leg(earlier=2, change=with_holes), Leg(earlier=1, change=swapped)]


def doubled(blocks: Sequence[Block]) -> Sequence[Block]:
    return [block for block in blocks for _ in range(2)]


def with_holes(blocks: Sequence[Block]) -> Sequence[Block]:
    return [block for place, block in enumerate(blocks) if place % 5 != 3]


def swapped(blocks: Sequence[Block]) -> Sequence[Block]:
    return [blocks[place ^ 1] if place ^ 1 < len(blocks) else blocks[place] for place in range(len(blocks))]


MANNERS = [once, inside_an_event, twice_more_without_progress, with_duplicates_and_holes]


def chosen(recordings: Sequence[Recording]) -> list[Played]:
    """Recordings that cover every folder, every kind of event, and all without numbers; besides, all that are small."""
    shortest_first = sorted(map(played, recordings), key=lambda each: (len(each.events), each.name))
    covered: set[object] = set()
    taken: list[Played] = []
    for each in shortest_first:
        features = {each.name.partition("/")[0], *map(type, each.events)}
        if len(each.events) <= SMALL_EVENTS or not each.is_numbered or features - covered:
            taken.append(each)
            covered |= features
    assert len(taken) >= LEAST_RECORDINGS
    return taken


async def follow(gateway: Gateway, stream: Played) -> tuple[list[Event], Outcome]:
    async with gateway.follow(ID, starting_after=stream.starting_after) as response:
        events = [event async for event in response]
        return events, await response.outcome()


async def mismatches(stream: Played, manner: Manner, cuts: Sequence[int]) -> list[str]:
    """The cuts after which the stream was not mended."""
    wrong: list[str] = []
    for cut in cuts:
        async with Gateway(
            "http://stub", api_key="key", http=stream.transport(manner(cut)), patience=stream.patience
        ) as gateway:
            events, outcome = await follow(gateway, stream)
        if not is_same(outcome.state, events, stream) or outcome.proof is not Proof.TERMINAL_EVENT:
            wrong.append(f"{stream.name} cut at {cut}: {len(events)} of {len(stream.events)} events, {outcome.status}")
    return wrong


def places(stream: Played, step: int | None) -> range:
    """Where to cut a stream: everywhere, or after every `step` events; None for a few places."""
    count = len(stream.events) + 1
    return range(0, count, step or max(1, count // MOST_CUTS_OF_A_SAMPLE))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@thorough_too
@pytest.mark.parametrize("manner", MANNERS, ids=[each.__name__ for each in MANNERS])
async def test_a_recorded_stream_cut_after_any_event_is_whole_again(
    manner: Manner,
    is_complete: bool,
    recordings: list[Recording],
    recordings_sample: list[Recording],
    record_property: Tell,
) -> None:
    streams = chosen(recordings) if is_complete else list(map(played, recordings_sample))
    if manner is with_duplicates_and_holes:
        streams = [each for each in streams if each.is_numbered]  # without numbers nobody could tell
    wrong: list[str] = []
    runs = 0
    for stream in streams:
        cuts = places(stream, 1 if is_complete else None)
        runs += len(cuts)
        wrong += await mismatches(stream, manner, cuts)
    tell(record_property, f"{len(streams)} recordings, {manner.__name__}", runs, wrong)
    assert not wrong


@pytest.mark.parametrize("anyio_backend", ["trio"])
@thorough_too
@pytest.mark.parametrize("manner", MANNERS, ids=[each.__name__ for each in MANNERS])
async def test_so_it_is_on_trio(
    manner: Manner,
    is_complete: bool,
    recordings: list[Recording],
    recordings_sample: list[Recording],
    record_property: Tell,
) -> None:
    of_all = chosen(recordings) if is_complete else list(map(played, recordings_sample))
    streams = [each for each in of_all if each.is_numbered][::4]
    wrong: list[str] = []
    runs = 0
    for stream in streams:
        cuts = places(stream, 5 if is_complete else None)
        runs += len(cuts)
        wrong += await mismatches(stream, manner, cuts)
    tell(record_property, f"{len(streams)} recordings, {manner.__name__}, trio", runs, wrong)
    assert not wrong


# The emulator, cut by its own faults

STREAMS: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "text": (MKA1, {"input": "echo Straße, naïve, 漢字 and 🙂🙂🙂 in 14 words or so"}),
    "a thought, then text": (OPENAI, KINDS["reasoning summary"]),
    "a function": (MKA1, KINDS["a function"]),
    "code": (OPENAI, KINDS["code"]),
    "an agent": (MKA1, OF_MKA1["an agent"]),
}
EMULATED_MANNERS = {
    "between events": "drop:after_events={cut},on=create",
    "inside an event": "drop:after_events={cut},where=frame,on=create",
    "inside a character": "drop:after_events={cut},where=character,on=create",
    "twice more without progress": "drop:after_events={cut},on=create;drop:after_events=0,on=resume,where=frame,times=2",
    "with duplicates and holes": "drop:after_events={cut},on=create;duplicate:after_events=1,count=2;"
    "gap:after_events=2,on=resume,times=1;reorder:after_events=1,on=resume",
}
QUICK = Patience(backoff=Backoff(first_seconds=0.0), gap_seconds=0.0)


async def follow_emulated(name: str, faults: str) -> tuple[list[Event], Outcome]:
    dialect, body = STREAMS[name]
    # Time goes on only while somebody waits, so that the response still runs when it is resumed.
    app = Emulator(Options(faults=parse_faults(faults) if faults else ()), clock=HandClock(jumps=True))
    transport = AsgiTransport(app)
    async with (
        Gateway("http://emulator", api_key="key", dialect=dialect, http=transport, patience=QUICK) as gateway,
        gateway.stream(model="toy", background=True, **body) as response,
    ):
        events = [event async for event in response]
        outcome = await response.outcome()
    await transport.aclose()
    return events, outcome


@thorough_too
@pytest.mark.parametrize("name", STREAMS)
async def test_an_emulated_stream_cut_anywhere_is_whole_again(
    name: str, is_complete: bool, anyio_backend: str, record_property: Tell
) -> None:
    uncut, ending = await follow_emulated(name, "")
    assert not ending.repairs
    wrong: list[str] = []
    runs = 0
    for place, (manner, faults) in enumerate(EMULATED_MANNERS.items()):
        step, offset = (1, 0) if is_complete else (len(EMULATED_MANNERS), place)  # each way cuts at other places
        for cut in range(1 + offset, len(uncut) + 1, step):  # before the first event nobody has an id to resume with
            runs += 1
            events, outcome = await follow_emulated(name, faults.format(cut=cut))
            is_good = is_whole(events, uncut, STREAMS[name][0]) and outcome.proof is not None
            if not is_good or snapshot_json(outcome.state) != snapshot_json(ending.state):
                wrong.append(f"{manner}, {cut}: {len(events)} of {len(uncut)} events, {outcome.status}")
    tell(record_property, f"an emulated stream of {len(uncut)} events, {name}, {anyio_backend}", runs, wrong)
    assert not wrong


def is_whole(events: list[Event], uncut: list[Event], dialect: Dialect) -> bool:
    """Whether every event came; or, where a Response that is over is streamed as its terminal event, all up to then."""
    if dialect.finished_replay is FinishedReplay.TERMINAL_EVENT:
        return events == uncut[: len(events)]
    return events == uncut


# Over real connections

TRANSPORTS: dict[str, Callable[[], Transport]] = {"httpx": HttpxTransport, "direct": DirectTransport}
WIRE_FAULTS = ["how=rst", "how=rst,where=frame", "where=chunk", "how=fin,where=character"]


def sample(recordings: Sequence[Recording]) -> Iterator[tuple[Played, Recording, int, str]]:
    """Every eighth recording that was chosen, each cut in another place and another way."""
    by_name = {each.name: each for each in recordings}
    for place, stream in enumerate(chosen(recordings)[::8]):
        cut = 1 + place * 7 % len(stream.events)
        yield stream, by_name[stream.name], cut, WIRE_FAULTS[place % len(WIRE_FAULTS)]


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_a_recording_played_back_by_the_emulator_and_cut_on_the_wire_is_whole_again(
    name: str, recordings: list[Recording], record_property: Tell
) -> None:
    transport = TRANSPORTS[name]()
    wrong: list[str] = []
    runs = repairs = 0
    for stream, recording, cut, how in sample(recordings):
        runs += 1
        options = Options(
            playback=recording.path,
            tokens_per_second=None,
            faults=parse_faults(f"drop:after_events={cut},{how},on=create"),
        )
        async with emulate(options) as url:
            async with Gateway(url, api_key="key", dialect=OPENAI, http=transport, patience=stream.patience) as gateway:
                async with gateway.stream(model="toy", input="hi", background=True) as response:
                    events = [event async for event in response]
                    outcome = await response.outcome()
        repairs += len(outcome.repairs)
        if not is_same(outcome.state, events, stream):
            wrong.append(f"{stream.name} cut at {cut}, {how}: {len(events)} of {len(stream.events)}, {outcome.reason}")
    await transport.aclose()
    tell(record_property, f"recordings over {name}", runs, wrong)
    assert not wrong
    assert repairs


def tell(record_property: Tell, what: str, runs: int, wrong: Sequence[str]) -> None:
    """For the summary of the tests."""
    record_property("tally", f"cut points of {what}: {runs:,} runs, {len(wrong)} mismatches")
