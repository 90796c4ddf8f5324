"""ValkeyLog: what can be wrong with a server, what it survives, its other processes, and what its keys are."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from streamfold.errors import InvalidArgument, LogUnusable, UsageError
from streamfold.log import (
    Durability,
    Lease,
    MemoryLog,
    Record,
    SqliteLog,
    StreamKey,
    open_log,
    tail,
)
from streamfold.log.valkey import ValkeyLog
from streamfold.log.valkey.script import names_of
from tests.log.crash import Tally
from tests.log.crash_valkey import run
from tests.log.handover_valkey import run as hand_over
from tests.log.race import ROOT, race
from tests.log.valkeys import Valkey, free_port, running

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

KEY = StreamKey("tenant", "resp_1")
DAY = 86_400


def some(first: int, count: int, *, bytes: int = 0) -> list[Record]:
    return [Record(number, "delta", b'{"n":%d}' % number + b" " * bytes) for number in range(first, first + count)]


async def begin(log: ValkeyLog, count: int = 0) -> Lease:
    lease = await log.acquire(KEY, owner="one", seconds=30)
    await log.append(lease, some(0, count))
    return lease


async def numbers(log: ValkeyLog) -> list[int]:
    return [each.sequence_number for each in await log.read(KEY, limit=100_000)]


# What is no Valkey that a log can be kept on


async def refusal(url: str, *, patience_seconds: float = 20.0) -> str:
    """The one line that it is refused with; fails where that takes long."""
    with anyio.fail_after(8), pytest.raises(LogUnusable) as refused:
        async with ValkeyLog(url, patience_seconds=patience_seconds):
            pass
    said = str(refused.value)
    assert "\n" not in said
    return said


@contextmanager
def answering(said: bytes) -> Iterator[str]:
    """A server of something else."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield f"valkey://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("settings", "query", "says"),
    [
        pytest.param(
            {"maxmemory-policy": "allkeys-lru"},
            "",
            "maxmemory-policy is allkeys-lru\\); set .* noeviction",
            id="evicts",
        ),
        pytest.param({"maxmemory-policy": "volatile-ttl"}, "", "may evict whole streams", id="evicts what has a time"),
        pytest.param(
            {"appendonly": "no"}, "?level=disk", "level=disk needs (appendonly yes|Redis 7.2)", id="nothing on the disk"
        ),
        pytest.param({}, "?cluster=true", "cluster mode is off on this server; remove cluster=true", id="no cluster"),
    ],
)
async def test_a_server_that_would_lose_records_is_refused(
    valkey: Valkey, settings: dict[str, str], query: str, says: str
) -> None:
    before = {name: valkey.ask("CONFIG", "GET", name)[1].decode() for name in settings}
    for name, value in settings.items():
        valkey.ask("CONFIG", "SET", name, value)
    try:
        said = await refusal(valkey.url + query)
    finally:
        for name, value in before.items():
            valkey.ask("CONFIG", "SET", name, value)
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(said)


async def test_where_no_server_is_one_line_says_so_at_once() -> None:
    said = await refusal(f"valkey://user:secret@127.0.0.1:{free_port()}/0")
    assert "it cannot be reached" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"220 mail\r\n"], ids=["HTTP", "nothing", "mail"]
)
async def test_what_is_no_valkey_is_refused_in_one_line(said: bytes) -> None:
    with answering(said) as url:
        assert url[9:] in await refusal(url)


async def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path) -> None:
    with running(tmp_path / "valkey", requirepass="right-one") as server:
        for given in (":wrong-one@", "", "someone:wrong-one@"):
            said = await refusal(server.url.replace("//", f"//{given}"))
            assert "it refuses the user or the password" in said
            assert "one" not in said.partition(": ")[2].replace("one of", "")
        async with ValkeyLog(server.url.replace("//", "//:right-one@")) as log:
            await begin(log, 3)
            assert "right-one" not in str(await log.diagnose())


async def test_a_node_of_a_cluster_is_told_from_a_single_server(tmp_path: Path) -> None:
    with running(tmp_path / "valkey", cluster_enabled="yes") as server:
        assert "it is part of a cluster; add ?cluster=true" in await refusal(server.url)


async def test_a_user_without_config_is_served_and_told(valkey: Valkey) -> None:
    valkey.ask("ACL", "SETUSER", "app", "on", ">word", "~sf:*", "&sf:*", "+@all", "-config")
    async with ValkeyLog(valkey.url.replace("//", "//app:word@")) as log:
        await begin(log, 3)
        async with tail(log, KEY) as records:
            assert (await anext(records)).sequence_number == 0
        assert "CONFIG is refused" in " ".join((await log.diagnose()).unsafe)


async def test_a_server_that_refuses_scripts_says_so_at_the_first_write(valkey: Valkey) -> None:
    valkey.ask("ACL", "SETUSER", "app", "on", ">word", "~sf:*", "&sf:*", "+@all", "-evalsha", "-eval")
    async with ValkeyLog(valkey.url.replace("//", "//app:word@")) as log:
        with pytest.raises(LogUnusable, match="scripts"):
            await log.acquire(KEY, owner="one", seconds=1)


async def test_a_full_memory_refuses_an_append_and_leaves_it_undone(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        lease = await begin(log, 3)
        valkey.ask("CONFIG", "SET", "maxmemory", "1mb")
        try:
            with pytest.raises(LogUnusable, match="its memory is full, and nothing was written"):
                await log.append(lease, some(3, 2))
            assert await numbers(log) == [0, 1, 2]
            assert await log.drop(KEY), "what makes room is allowed"
        finally:
            valkey.ask("CONFIG", "SET", "maxmemory", "0")


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "",
        "somewhere",
        "sqlite:",
        "memory:x",
        "http://host/0",
        "valkey:",
        "valkey://",
        "valkey://:6379",
        "valkey://host:port",
        "valkey://host:99999",
        "valkey://host/zero",
        "valkey://host/-1",
        "valkey://host?level=best",
        "valkey://host?levels=disk",
        "valkey://host?cluster=1",
        "valkey://host/1?cluster=true",
        "valkey://user:secret@",
        "valkey://user:sec/ret@host",
    ],
)
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^url: ") as refused:
        open_log(url)
    assert "sec" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("valkey://host", "valkey://host:6379/0"),
        ("redis://user:p%40ss@host:7000/3?level=replica", "valkey://host:7000/3"),
        ("rediss://[::1]:7000", "valkeys://[::1]:7000/0"),
        ("valkeys://host/?cluster=true", "valkeys://host:6379/0"),
    ],
)
async def test_an_address_names_an_engine(url: str, shown: str) -> None:
    log = open_log(url)
    assert isinstance(log, ValkeyLog)
    with pytest.raises(LogUnusable, match="not open; use it with `async with`") as refused:
        await log.info(KEY)
    assert refused.value.where == shown


async def test_the_engines_of_this_machine_have_addresses_too(tmp_path: Path) -> None:
    async with open_log("memory:") as memory, open_log(f"sqlite:{tmp_path}/log.db") as sqlite:
        assert (type(memory), type(sqlite)) == (MemoryLog, SqliteLog)


async def test_without_redis_py_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setattr("streamfold.log.address.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r'pip install "streamfold\[valkey\]"'):
        open_log("valkey://host")


async def test_the_door_of_the_log_does_not_load_redis_py() -> None:
    command = "import sys, streamfold.log; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["open_seconds", "kept_seconds"])
async def test_a_time_to_live_is_more_than_nothing(name: str, seconds: float) -> None:
    with pytest.raises(InvalidArgument, match="must be greater than 0 and finite, got"):
        ValkeyLog("valkey://host", **{name: seconds})


async def test_on_trio_one_line_says_that_it_runs_on_asyncio_alone() -> None:
    code = """
import trio
from streamfold.errors import LogUnusable
from streamfold.log import open_log
async def main():
    try:
        async with open_log("valkey://127.0.0.1"):
            pass
    except LogUnusable as error:
        print(error)
trio.run(main)
"""
    said = await to_thread.run_sync(
        lambda: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    )
    assert said.stdout == "valkey://127.0.0.1:6379/0: it needs asyncio; with trio, use a SqliteLog\n"


# What it survives


async def test_a_server_that_forgot_the_script_is_given_it_again(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        lease = await begin(log, 2)
        valkey.ask("SCRIPT", "FLUSH")
        assert await log.append(lease, some(2, 1)) == 3


async def test_a_restart_in_the_middle_is_waited_out(tmp_path: Path) -> None:
    with running(tmp_path / "valkey", appendonly="yes", appendfsync="always") as server:
        async with ValkeyLog(server.url) as log, anyio.create_task_group() as tasks:
            assert log.durability is Durability.POWER
            lease = await begin(log, 2)
            server.kill()
            tasks.start_soon(log.append, lease, some(2, 3), name="waits")
            await anyio.wait_all_tasks_blocked()
            server.start()
            await to_thread.run_sync(server.wait)
        async with ValkeyLog(server.url) as log:
            assert await numbers(log) == list(range(5))


async def test_a_server_that_is_gone_for_too_long_is_told(tmp_path: Path) -> None:
    with running(tmp_path / "valkey") as server:
        async with ValkeyLog(server.url, patience_seconds=0.2) as log:
            lease = await begin(log, 2)
            server.kill()
            with pytest.raises(LogUnusable, match="the last write may be stored or not: append it again"):
                await log.append(lease, some(2, 1))
            with pytest.raises(LogUnusable, match="cannot be reached"):
                await log.read(KEY)


async def test_no_record_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    """A few of the kills that `make crash-valkey` does."""
    tally = await to_thread.run_sync(lambda: run(tmp_path, kills=5, seed=1, tally=Tally()))
    assert (tally.kills, tally.lost, tally.damaged) == (5, 0, 0)
    assert tally.acknowledged > 0


# Its other processes


@pytest.mark.parametrize("processes", [3, pytest.param(8, marks=pytest.mark.thorough)])
async def test_no_number_is_won_twice_by_processes_that_race_for_it(valkey: Valkey, processes: int) -> None:
    won, fenced = await to_thread.run_sync(lambda: race(valkey.url, processes=processes, numbers=100))
    async with ValkeyLog(valkey.url) as log:
        there = {each.sequence_number: each.name for each in await log.read(KEY, limit=100)}
    assert {number: name for name, numbers in won.items() for number in numbers} == there
    assert sum(map(len, won.values())) == len(there) == 100
    assert fenced > 0


async def test_a_paused_writer_that_wakes_is_fenced(valkey: Valkey) -> None:
    code = """
import sys, anyio
from streamfold.errors import WriterFenced
from streamfold.log import Record, StreamKey, open_log
async def main():
    async with open_log(sys.argv[1]) as log:
        lease = await log.acquire(StreamKey("tenant", "resp_1"), owner="old", seconds=0)
        try:
            for number in range(10**9):
                await log.append(lease, [Record(number, "old", b"")])
                print(number, flush=True)
        except WriterFenced as fenced:
            print("fenced", flush=True)
anyio.run(main)
"""
    old = subprocess.Popen([sys.executable, "-c", code, valkey.url], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert old.stdout is not None
        await to_thread.run_sync(lambda: [old.stdout.readline() for _ in range(20)])
        old.send_signal(signal.SIGSTOP)
        async with ValkeyLog(valkey.url) as log:
            lease = await log.acquire(KEY, owner="new", seconds=30)
            await log.append(lease, [Record(lease.next_number, "new", b"")])
            old.send_signal(signal.SIGCONT)
            said = await to_thread.run_sync(lambda: old.communicate(timeout=30)[0])
            assert said.splitlines()[-1] == "fenced"
            assert (await log.read(KEY, limit=100_000))[-1] == Record(lease.next_number, "new", b"")
    finally:
        old.kill()
        old.wait()


async def test_a_tail_hears_of_what_another_process_appends(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log, ValkeyLog(valkey.url) as other:
        lease = await begin(log, 2)
        with anyio.fail_after(5):
            async with tail(other, KEY, safety_seconds=3600) as records:
                for number in range(20):
                    assert (await anext(records)).sequence_number == number
                    if number >= 1:
                        await log.append(lease, some(number + 1, 1))
                await log.append(lease, [], status="completed")
                assert [each.sequence_number async for each in records] == [20]


@pytest.mark.parametrize("stories", [30, pytest.param(150, marks=pytest.mark.thorough)])
async def test_a_tail_has_no_hole_and_no_repeat_in_any_order(valkey: Valkey, stories: int) -> None:
    """A part of what `python -m tests.log.handover --engine valkey` does."""
    assert await hand_over(valkey, stories=stories, seed=1) == []


@pytest.mark.parametrize("bytes", [10, 1_000, 100_000])
async def test_a_tail_takes_records_from_the_message_or_where_it_is_too_large_from_the_log(
    valkey: Valkey, bytes: int
) -> None:
    async with ValkeyLog(valkey.url) as log, ValkeyLog(valkey.url) as other:
        lease = await begin(log, 1)
        with anyio.fail_after(5):
            async with tail(other, KEY, safety_seconds=3600) as records:
                assert (await anext(records)).sequence_number == 0
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(log.append, lease, some(1, 4, bytes=bytes))
                    assert [await anext(records) for _ in range(4)] == some(1, 4, bytes=bytes)


@pytest.mark.parametrize("what", ["cancel", "end", "drop"])
async def test_who_waits_for_a_cancel_is_sent_no_records_and_hears_of_it_at_once(valkey: Valkey, what: str) -> None:
    names = names_of(KEY)
    async with ValkeyLog(valkey.url) as log, ValkeyLog(valkey.url) as other:
        lease = await begin(log, 2)
        with anyio.fail_after(5):
            async with log.watch(KEY, growth=False) as watch:
                heard = valkey.ask("PUBSUB", "SHARDNUMSUB", names.channel, names.control)
                assert heard == [names.channel.encode(), 0, names.control.encode(), 1]
                await watch.wait(seconds=0)  # that it listens was news
                await log.append(lease, some(2, 3))
                match what:
                    case "cancel":
                        await other.request_cancel(KEY)
                    case "end":
                        await log.append(lease, [], status="completed")
                    case _:
                        await other.drop(KEY)
                await watch.wait(seconds=3600)


async def test_a_cancelled_call_leaves_the_others_their_answers(valkey: Valkey) -> None:
    async with ValkeyLog(valkey.url) as log:
        lease = await begin(log)

        async def append_and_leave(number: int) -> None:
            with anyio.move_on_after(0):
                await log.append(lease, some(number, 1))

        for number in range(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(append_and_leave, number)
                tasks.start_soon(log.info, KEY)
            await log.append(lease, some(number, 1))
        assert await numbers(log) == list(range(20))


# Replicas and disks


@asynccontextmanager
async def replicated(folder: Path, **settings: str) -> AsyncIterator[tuple[Valkey, Valkey]]:
    with running(folder / "first", repl_diskless_sync_delay="0", **settings) as first:
        with running(folder / "second", replicaof=f"{first.host} {first.port}", **settings) as second:
            with anyio.fail_after(20):
                while b"online" not in first.ask("INFO", "replication"):
                    await anyio.sleep(0.05)
            yield first, second


@pytest.mark.parametrize("level", ["replica", pytest.param("disk", marks=pytest.mark.thorough)])
async def test_what_no_replica_has_is_not_acknowledged_and_can_be_appended_again(
    tmp_path: Path, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replicated(tmp_path, appendonly="yes", appendfsync="always") as (first, second):
        async with ValkeyLog(f"{first.url}?level={level}") as log:
            assert log.durability is Durability.REPLICATED
            lease = await begin(log, 3)
            second.kill()
            monkeypatch.setattr("streamfold.log.valkey.servers.KEPT_SECONDS", 0.1)
            async with ValkeyLog(f"{first.url}?level={level}") as impatient:
                for _ in range(2):  # also where it is there already: nobody else has it
                    with pytest.raises(LogUnusable, match="may be stored or not: append it again"):
                        await impatient.append(lease, some(3, 2))
            assert any("no replica is connected" in each for each in (await log.diagnose()).unsafe)
            second.start()
            with anyio.fail_after(30):
                while True:
                    try:
                        assert await log.append(lease, some(3, 2)) == 5
                        break
                    except LogUnusable:
                        continue
            assert await numbers(log) == list(range(5))
