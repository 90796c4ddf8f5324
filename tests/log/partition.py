"""Partition a Valkey cluster, with the writers on the smaller side: `make test-partition`, as root on Linux.

One primary and eight writers are in one network namespace, the other five servers in another. The cut removes the link.
The lone primary acknowledges until it notices; the others elect its replica, and once the link is back the old primary
forgets all that it took alone. The writers follow the rule of writer.py. It prints how many records were acknowledged,
forgotten and sent again; the exit status is 1 if a record is missing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import msgspec
from redis.crc import key_slot

from streamfold.log import StreamKey, open_log
from streamfold.log.valkey import ValkeyLog
from streamfold.log.valkey.script import names_of
from tests.log.valkeys import PRIMARIES, Cluster, Valkey, find_server, free_port, joined, until
from tests.log.writer import Tale, record, write

WRITERS = 8
PAUSE_SECONDS = 0.002
NETWORK = "10.77.{}.{}"
SETTINGS = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": "2000",
    "repl-diskless-sync-delay": "0",
    "protected-mode": "no",
}


def ip(*command: str) -> None:
    subprocess.run(["ip", *command], check=True, capture_output=True)


class Sides:
    """Two namespaces, "a" and "b", on one bridge with this one, which can reach both."""

    def __init__(self, number: int) -> None:
        self._number = (os.getpid() + number) % 250  # another one each time: what was deleted lingers
        self.bridge = f"sf{self._number}"
        self.network = f"{NETWORK.format(self._number, 0)}/24"

    def address(self, side: str) -> str:
        return NETWORK.format(self._number, {"a": 1, "b": 2, "here": 254}[side])

    def name(self, side: str) -> str:
        return f"{self.bridge}{side}"

    def within(self, side: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name(side))

    @contextmanager
    def made(self) -> Iterator["Sides"]:
        with ExitStack() as stack:
            stack.callback(ip, "link", "del", self.bridge)
            ip("link", "add", self.bridge, "type", "bridge")
            ip("addr", "add", f"{self.address('here')}/24", "dev", self.bridge)
            ip("link", "set", self.bridge, "up")
            for side in "ab":
                stack.callback(ip, "netns", "del", self.name(side))
                self._make(side)
                stack.callback(ip, "link", "del", self.name(side))
            yield self

    def _make(self, side: str) -> None:
        name, inside = self.name(side), f"{self.name(side)}i"
        ip("netns", "add", name)
        ip("link", "add", name, "type", "veth", "peer", "name", inside, "netns", name)
        ip("link", "set", name, "master", self.bridge, "up")
        ip("-n", name, "addr", "add", f"{self.address(side)}/24", "dev", inside)
        ip("-n", name, "link", "set", inside, "up")
        ip("-n", name, "link", "set", "lo", "up")
        # What cannot go by the link goes nowhere, and by no other way.
        ip("-n", name, "route", "add", "blackhole", self.network, "metric", "9999")

    def cut(self) -> None:
        ip("link", "set", self.name("a"), "down")

    def heal(self) -> None:
        ip("link", "set", self.name("a"), "up")


@contextmanager
def cluster_on(sides: Sides, folder: Path) -> Iterator[Cluster]:
    """The first node alone on side a, all others on side b."""
    with ExitStack() as stack:
        nodes: list[Valkey] = []
        for number in range(2 * PRIMARIES):
            side = "b" if number else "a"
            node = Valkey(
                folder / f"node {number}", SETTINGS, free_port(), sides.address(side), within=sides.within(side)
            )
            stack.callback(node.kill)
            node.start()
            nodes.append(node)
        for node in nodes:
            node.wait()
        yield joined(nodes)


def keys_alone() -> list[StreamKey]:
    """Streams whose slots the first primary has."""
    keys = (StreamKey("tenant", f"resp_{number}") for number in range(1000))
    mine = [key for key in keys if key_slot(names_of(key).head.encode()) < 16384 // PRIMARIES]
    return mine[:WRITERS]


async def write_all(url: str) -> None:
    """The writing process: it writes until its input ends, then tells what became of it."""
    tales = {key.response_id: Tale() for key in keys_alone()}
    is_over = anyio.Event()
    async with ValkeyLog(url, patience_seconds=1) as log, anyio.create_task_group() as tasks:
        for key in keys_alone():
            tale = tales[key.response_id]
            tasks.start_soon(write_one, log, key, tale, is_over)
        await anyio.to_thread.run_sync(sys.stdin.read)
        is_over.set()
    sys.stdout.buffer.write(msgspec.json.encode(tales))


async def write_one(log: ValkeyLog, key: StreamKey, tale: Tale, is_over: anyio.Event) -> None:
    await write(log, key, tale, goes_on=lambda: not is_over.is_set(), pause_seconds=PAUSE_SECONDS)


async def missing_of(url: str, tales: dict[str, Tale]) -> int:
    """How many records that were acknowledged are not there, as they were."""
    missing = 0
    async with open_log(url) as log:
        for key in keys_alone():
            there = set(await log.read(key, limit=1_000_000))
            expected = {record(key, number) for number in range(tales[key.response_id].acknowledged)}
            missing += len(expected ^ there)
    return missing


def run(folder: Path, number: int, *, level: str, cut_seconds: float) -> int:
    """The tale of one partition. Returns: 1 where a record is missing, or was forgotten that level=replica promised."""
    with Sides(number).made() as sides, cluster_on(sides, folder) as cluster:
        url = f"{cluster.url}&level={level}"
        writer = subprocess.Popen(
            [*sides.within("a"), sys.executable, "-m", "tests.log.partition", "--write", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            time.sleep(2)
            sides.cut()
            time.sleep(cut_seconds)
            sides.heal()
            until(lambda: b"role:slave" in cluster.nodes[0].ask("INFO", "replication"), seconds=30)
            time.sleep(2)
            told, _ = writer.communicate(timeout=120)
        finally:
            writer.kill()
            writer.wait()
        tales = msgspec.json.decode(told, type=dict[str, Tale])
        missing = anyio.run(missing_of, f"valkey://{cluster.nodes[1].url[9:]}?cluster=true", tales)
    counted = {name: sum(getattr(each, name) for each in tales.values()) for name in Tale.__annotations__}
    print(
        f"level={level}, cut for {cut_seconds:.0f} s: {counted['acknowledged']:,} records acknowledged, of which the log"
        f" forgot {counted['forgotten']:,}; {counted['gaps']} gaps told, {counted['again']:,} records sent again,"
        f" {counted['unsure']} appends not acknowledged; {missing} missing at the end"
    )
    return int(missing > 0 or (level != "primary" and counted["forgotten"] > 0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", action="append", choices=["primary", "replica"])
    parser.add_argument("--cut-seconds", type=float, default=8)
    parser.add_argument("--write", metavar="URL", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.write:
        anyio.run(write_all, asked.write)
        return 0
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("ip") is None:
        print("skipped: namespaces of the network need root, Linux, and the program `ip` (Debian: iproute2)")
        return 0
    find_server()
    failed = 0
    for number, level in enumerate(asked.level or ["primary", "replica"]):
        with tempfile.TemporaryDirectory() as folder:
            failed |= run(Path(folder), number, level=level, cut_seconds=asked.cut_seconds)
    return failed


if __name__ == "__main__":
    sys.exit(main())
