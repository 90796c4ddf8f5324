"""An embedded relay: whoever reads, a response is followed to its end, and every reader sees it whole."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from streamfold.client import Gateway
from streamfold.emulator import Options
from streamfold.errors import (
    InvalidArgument,
    LogUnusable,
    RelayBusy,
    RequestRefused,
    StreamBroken,
    TransportError,
    UnknownStream,
    UsageError,
)
from streamfold.log import MemoryLog, SqliteLog, StreamKey
from streamfold.relay import Relay, RelayOptions
from streamfold.session import CancelResult
from streamfold.sse import Frame
from tests.relay.setting import Setting, names, open_setting, read_all

pytestmark = pytest.mark.anyio

SLOWLY = Options(tokens_per_second=400)
HOLDS = Options(tokens_per_second=None, hold_after_events=6)


async def test_any_number_of_readers_see_every_event_once_however_late_they_come() -> None:
    async with open_setting(SLOWLY) as at:
        held = await at.relay.create(model="toy", input="count to 20")
        seen: list[Sequence[Frame]] = []

        async def read() -> None:
            seen.append(await read_all(at.relay.read(held.id)))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(read)
        seen.append(await read_all(at.relay.read(held.id)))
        assert all(each == seen[0] for each in seen)
        assert [int(frame.id) for frame in seen[0]] == list(range(len(seen[0])))
        assert names(seen[0])[-1] == "response.completed"
        assert at.creates == 1


async def test_a_reader_begins_after_any_number_and_gets_the_rest() -> None:
    async with open_setting() as at:
        held = await at.relay.create(model="toy", input="count to 9")
        whole = await read_all(at.relay.read(held.id))
        for number in range(len(whole)):
            assert await read_all(at.relay.read(held.id, after=number)) == whole[number + 1 :]


@pytest.mark.parametrize("max_behind", [0, 8])
@pytest.mark.parametrize("window_bytes", [1, 2_000, 1_000_000])
async def test_what_is_in_memory_and_what_is_only_in_the_log_read_alike(max_behind: int, window_bytes: int) -> None:
    options = RelayOptions(max_behind=max_behind, window_bytes=window_bytes)
    async with open_setting(SLOWLY, options) as at:
        held = await at.relay.create(model="toy", input="count to 30")
        frames = await read_all(at.relay.read(held.id))
        stored = await at.log.read(StreamKey("", held.id))
        assert [(frame.event.decode(), frame.data) for frame in frames] == [(each.name, each.data) for each in stored]


async def test_a_cut_upstream_is_repaired_and_no_reader_sees_it() -> None:
    cut = Options(tokens_per_second=None, faults="drop:after_events=7,where=frame")
    async with open_setting(cut) as at:
        held = await at.relay.create(model="toy", input="count to 9", background=True)
        frames = await read_all(at.relay.read(held.id))
        assert [int(frame.id) for frame in frames] == list(range(len(frames)))
        assert names(frames)[-1] == "response.completed"
        assert at.creates == 1


async def test_a_lost_upstream_ends_with_response_failed_and_a_broken_body_for_every_reader() -> None:
    lost = Options(tokens_per_second=None, faults="drop:after_events=7")
    async with open_setting(lost) as at:
        held = await at.relay.create(model="toy", input="count to 9", store=False)
        for _ in range(2):  # live or just ended, and then from the log
            frames: list[Frame] = []
            with pytest.raises(StreamBroken, match="upstream"):
                async for frame in at.relay.read(held.id):
                    frames.append(frame)
            assert names(frames)[-1] == "response.failed"
            assert b'"code":"upstream_lost"' in frames[-1].data
            assert b"1, 2" in frames[-1].data, "everything that was received is kept"
            assert [int(frame.id) for frame in frames] == list(range(len(frames)))
        assert at.creates == 1


async def test_a_cancel_reports_what_happened() -> None:
    async with open_setting(HOLDS) as at:
        held = await at.relay.create(model="toy", input="count to 9", background=True)
        frames = at.relay.read(held.id)
        first = await anext(frames)
        assert await at.relay.cancel(held.id) is CancelResult.CANCEL_WON
        assert names([first, *await read_all(frames)])[-1] == "response.cancelled"
        assert await at.relay.cancel(held.id) is CancelResult.ALREADY_TERMINAL


async def test_another_tenant_finds_nothing() -> None:
    async with open_setting() as at:
        held = await at.relay.create(model="toy", input="hi", tenant="one")
        assert names(await read_all(at.relay.read(held.id, tenant="one")))[-1] == "response.completed"
        with pytest.raises(UnknownStream):
            await read_all(at.relay.read(held.id, tenant="two"))
        with pytest.raises(UnknownStream):
            await at.relay.reply(None, held.id)
        with pytest.raises(UnknownStream):
            await at.relay.cancel(held.id, tenant="two")


async def test_a_create_that_is_refused_raises_what_the_gateway_said() -> None:
    async with open_setting(Options(faults="refuse:status=401")) as at:
        with pytest.raises(RequestRefused, match="401"):
            await at.relay.create(model="toy", input="hi")
        with pytest.raises(InvalidArgument, match="temperature"):
            await at.relay.create(model="toy", input="hi", temperature=99)
        assert at.relay.streams.following == 0


async def test_a_gateway_that_is_not_there_raises() -> None:
    async with (
        MemoryLog() as log,
        Gateway("http://127.0.0.1:9/v1", api_key="any", max_retries=0) as gateway,
        Relay(gateway, log) as relay,
    ):
        with pytest.raises(TransportError):
            await relay.create(model="toy", input="hi")


async def test_a_relay_that_is_not_open_says_how_to_open_it() -> None:
    async with MemoryLog() as log, Gateway("http://127.0.0.1:9/v1", api_key="any") as gateway:
        with pytest.raises(UsageError, match="async with"):
            await Relay(gateway, log).create(model="toy", input="hi")


async def test_a_relay_that_stops_breaks_its_readers_off_and_the_next_one_continues() -> None:
    async with open_setting(HOLDS, log=(log := MemoryLog())) as at:
        async with Relay(at.gateway, log) as first:
            held = await first.create(model="toy", input="count to 9", background=True)
            frames = first.read(held.id)
            seen = [await anext(frames)]
        with pytest.raises(StreamBroken):
            async for frame in frames:
                seen.append(frame)
        rest = at.relay.read(held.id, after=int(seen[-1].id))
        assert await at.relay.cancel(held.id) is CancelResult.CANCEL_WON  # so that it ends
        seen += await read_all(rest)
        assert [int(frame.id) for frame in seen] == list(range(len(seen)))
        assert names(seen)[-1] == "response.cancelled"
        assert at.creates == 1


async def test_two_relays_on_one_log_serve_the_same_response_live() -> None:
    async with open_setting(SLOWLY, log=(log := MemoryLog())) as at, Relay(at.gateway, log) as other:
        held = await at.relay.create(model="toy", input="count to 30", background=True)
        assert await read_all(other.read(held.id)) == await read_all(at.relay.read(held.id))


class Unread:
    """A relay whose foreground response is cancelled as soon as nobody reads it."""

    options = RelayOptions(cancel_when_unread_seconds=0.0, heartbeat_seconds=0.02)


async def ends_of(at: Setting, response_id: str) -> list[str]:
    return names(await read_all(at.relay.read(response_id)))


async def test_a_foreground_response_that_nobody_reads_is_cancelled() -> None:
    async with open_setting(HOLDS, Unread.options) as at:
        held = await at.relay.create(model="toy", input="count to 9")
        while held.end is None:
            await held.wait()
        assert (await at.gateway.retrieve(held.id)).status == "cancelled"


async def test_a_background_response_is_followed_though_nobody_reads_it() -> None:
    async with open_setting(SLOWLY, Unread.options) as at:
        held = await at.relay.create(model="toy", input="count to 20", background=True)
        while held.end is None:
            await held.wait()
        assert (await ends_of(at, held.id))[-1] == "response.completed"


async def test_limits_refuse_one_more_and_say_which() -> None:
    async with open_setting(HOLDS, RelayOptions(max_streams=1, max_readers=1)) as at:
        held = await at.relay.create(model="toy", input="count to 9", background=True)
        with pytest.raises(RelayBusy, match="1 open streams"):
            await at.relay.create(model="toy", input="count to 9")
        frames = at.relay.read(held.id)
        await anext(frames)
        with pytest.raises(RelayBusy, match="1 readers"):
            await anext(at.relay.read(held.id))
        frames.close()
        await anext(at.relay.read(held.id))


async def test_an_id_that_an_upstream_gives_twice_is_refused_and_mixes_nothing(tmp_path: Path) -> None:
    async with open_setting(log=SqliteLog(tmp_path / "log.db")) as at:
        held = await at.relay.create(model="toy", input="count to 9", background=True)
        whole = await read_all(at.relay.read(held.id))
    async with open_setting(log=SqliteLog(tmp_path / "log.db")) as at:  # an emulator that begins again gives it again
        with pytest.raises(LogUnusable, match="another response before"):
            await at.relay.create(model="toy", input="count to 20", background=True)
        assert await read_all(at.relay.read(held.id)) == whole


async def test_a_relay_that_died_while_it_wrote_the_end_leaves_nothing_out(tmp_path: Path) -> None:
    options = Options(tokens_per_second=None, faults="drop:after_events=7")
    path = tmp_path / "log.db"
    async with open_setting(options, log=SqliteLog(path)) as at:
        held = await at.relay.create(model="toy", input="count to 9")  # in the foreground: only a GET has the rest
        whole = await read_all(at.relay.read(held.id))
        key, final = StreamKey("", held.id), await at.log.checkpoint(StreamKey("", held.id))
        # The same records with the final checkpoint, but not finished: it was killed in between.
        other = SqliteLog(tmp_path / "other.db")
        async with other, Relay(at.gateway, other) as relay:
            lease = await other.acquire(key, owner="dead", seconds=0)
            await other.append(lease, await at.log.read(key))
            assert final is not None
            await other.save_checkpoint(lease, final)
            assert await read_all(relay.read(held.id)) == whole
    assert "9" in b"".join(frame.data for frame in whole if b"delta" in frame.event).decode()


async def test_streams_are_dropped_when_their_time_is_over() -> None:
    options = RelayOptions(retain_unstored_seconds=0, expire_every_seconds=0.01)
    async with open_setting(options=options) as at:
        held = await at.relay.create(model="toy", input="hi", store=False)
        while held.end is None:
            await held.wait()
        while await at.log.info(StreamKey("", held.id)) is not None:
            await anyio.lowlevel.checkpoint()
        kept = await at.relay.create(model="toy", input="hi")
        assert (await ends_of(at, kept.id))[-1] == "response.completed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_behind", -1),
        ("window_bytes", 0),
        ("heartbeat_seconds", 0),
        ("cancel_when_unread_seconds", -1),
        ("retain_seconds", float("nan")),
        ("max_readers", 0),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(InvalidArgument, match=name):
        RelayOptions(**{name: value})  # type: ignore[arg-type]
