"""Records that somebody deletes or trims on the server: noticed by the next append and by readers; leases; sockets."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from streamfold.errors import InvalidArgument, LeaseHeld, LogUnusable
from streamfold.log import Lease, Record, StreamKey, open_log, tail
from streamfold.log.valkey import ValkeyLog
from streamfold.log.valkey.address import Address, Level
from streamfold.log.valkey.script import names_of
from tests.log.valkeys import Valkey, running

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

KEY = StreamKey("tenant", "resp_1")
NAMES = names_of(KEY)


def some(first: int, count: int = 1) -> list[Record]:
    return [Record(number, "delta", b'{"n":%d}' % number) for number in range(first, first + count)]


# What happens to the records 5 to 14, how many are left, and the first that is missing.
LOSSES: dict[str, tuple[tuple[str, ...], int, int]] = {
    "deleted": (("DEL", NAMES.records), 0, 5),
    "trimmed to the last three": (("XTRIM", NAMES.records, "MAXLEN", "3"), 3, 5),
    "trimmed below a number": (("XTRIM", NAMES.records, "MINID", "9-1"), 6, 5),
    "without the last": (("XDEL", NAMES.records, "14-1"), 9, 14),
    "without one in the middle": (("XDEL", NAMES.records, "8-1"), 9, 8),
    "without all, but for the key": (("XTRIM", NAMES.records, "MAXLEN", "0"), 0, 5),
}


async def begin(log: ValkeyLog) -> Lease:
    lease = await log.acquire(KEY, owner="one", seconds=30, first_number=5)
    await log.append(lease, some(5, 10))
    return lease


@pytest.mark.parametrize("name", LOSSES)
async def test_records_that_are_gone_are_noticed_by_the_next_append(name: str, valkey: Valkey) -> None:
    command, left, _ = LOSSES[name]
    async with ValkeyLog(valkey.url) as log:
        lease = await begin(log)
        valkey.ask(*command)
        for records, status in ((some(15), None), (some(14), None), ([], "completed"), (some(15), "completed")):
            with pytest.raises(LogUnusable, match=f"the server has {left} of its 10 records.*nothing was written"):
                await log.append(lease, records, status=status)
        info = await log.info(KEY)
        assert info is not None
        assert (info.next_number, info.status) == (15, None)
        assert await log.drop(KEY)
        await begin(log)


@pytest.mark.parametrize("name", LOSSES)
async def test_records_that_are_gone_are_noticed_by_readers_and_tails(name: str, valkey: Valkey) -> None:
    command, _, gone = LOSSES[name]
    async with ValkeyLog(valkey.url) as log:
        await begin(log)
        valkey.ask(*command)
        with anyio.fail_after(10):
            with pytest.raises(LogUnusable, match=f"record {gone} is missing; restore the log from a copy"):
                async with tail(log, KEY, safety_seconds=0.01) as records:
                    async for _ in records:
                        pass
            with pytest.raises(LogUnusable, match=f"record {gone} is missing"):
                after = None
                while page := await log.read(KEY, after=after, limit=4):
                    after = page[-1].sequence_number
        assert [each.key for each in await log.damages()] == [KEY]


async def test_a_reader_that_is_at_the_end_is_not_alarmed(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        await begin(log)
        for after in (14, 15, 2**52):
            assert await log.read(KEY, after=after) == []
        assert (await log.read(KEY, after=3))[0].sequence_number == 5
        assert await log.read(StreamKey("tenant", "none")) == []


async def test_a_lease_of_a_clock_that_was_ahead_lasts_no_longer_than_its_length(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        lease = await log.acquire(KEY, owner="one", seconds=0.2)
        valkey.ask("HSET", NAMES.head, "lease", str(int(lease.expires_at * 1000) + 3_600_000))
        with pytest.raises(LeaseHeld) as held:
            await log.acquire(KEY, owner="two", seconds=30)
        assert held.value.seconds <= 0.2
        await anyio.sleep(held.value.seconds + 0.05)
        await log.acquire(KEY, owner="two", seconds=30)


async def test_a_head_without_a_length_is_waited_for_as_before(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        await log.acquire(KEY, owner="one", seconds=20)
        valkey.ask("HDEL", NAMES.head, "length")
        with pytest.raises(LeaseHeld) as held:
            await log.acquire(KEY, owner="two", seconds=30)
        assert held.value.seconds > 10
        info = await log.info(KEY)
        assert info is not None
        assert info.lease_seconds == 0


# A socket of this machine


@pytest.fixture
def with_socket(tmp_path: Path) -> Iterator[tuple[Valkey, Path]]:
    path = tmp_path / "a b.sock"
    with running(tmp_path / "server", unixsocket=str(path), requirepass="a:b/c") as server:
        yield server, path


@pytest.mark.parametrize("scheme", ["unix", "valkey+unix", "redis+unix"])
async def test_a_server_is_reached_through_its_socket(scheme: str, with_socket: tuple[Valkey, Path]) -> None:
    server, path = with_socket
    url = f"{scheme}://:a%3Ab%2Fc@{str(path).replace(' ', '%20')}?db=3"
    async with open_log(url) as log:
        lease = await log.acquire(KEY, owner="one", seconds=30)
        async with tail(log, KEY) as records:
            await log.append(lease, some(0, 3), status="completed")
            assert [each.sequence_number async for each in records] == [0, 1, 2]
        settings = (await log.diagnose()).settings
        assert (settings["address"], settings["servers"]) == (f"unix://{path}?db=3", str(path))
    assert b"db3" in server.ask("INFO", "keyspace")


async def refusal(url: str) -> str:
    with anyio.fail_after(8), pytest.raises(LogUnusable) as refused:
        async with ValkeyLog(url):
            pass
    return str(refused.value)


async def test_what_is_wrong_with_a_socket_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "there is no such socket; start the server" in await refusal(f"unix://{tmp_path}/none.sock")
    assert "it is not a socket; name the server's `unixsocket`" in await refusal(f"unix://{tmp_path}/file")
    assert "the socket cannot be reached: Not a directory" in await refusal(f"unix://{tmp_path}/file/none.sock")


async def test_a_wrong_password_is_told_and_not_shown(with_socket: tuple[Valkey, Path]) -> None:
    said = await refusal(f"unix://:other-one@{str(with_socket[1]).replace(' ', '%20')}")
    assert "it refuses the user or the password" in said
    assert "other-one" not in said


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("unix:///run/valkey.sock", Address("/run/valkey.sock", 0, is_unix=True)),
        ("unix:///a%20b?db=2&level=disk", Address("/a b", 0, 2, is_unix=True, level=Level.DISK)),
        ("valkey+unix://me:pw@/run/s", Address("/run/s", 0, user="me", password="pw", is_unix=True)),
    ],
)
async def test_an_address_of_a_socket(url: str, address: Address) -> None:
    assert Address.parse(url) == address
    assert "pw" not in f"{address} {address!r}"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("unix://", "it has no path of a socket; write three slashes"),
        ("unix://run/valkey.sock", "it has no path of a socket; write three slashes"),
        ("unix:///run/", "it has no path of a socket"),
        ("unix:///run/s?db=x", "database must be a number"),
        ("unix:///run/s?cluster=true", "the servers of a cluster cannot be reached through one socket"),
        ("unix:///run/s?tls=true", "the options are db and level, got tls"),
    ],
)
async def test_an_address_of_a_socket_that_is_wrong(url: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        Address.parse(url)
