"""Where a client is sent: an emulator with a fault, perhaps a relay, and the link in front of it."""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import evolve, frozen

from streamfold.chaos import Drop, parse_faults
from streamfold.emulator import Emulator, Options, emulate
from tests.clients.judge import Report, Verdict, judge
from tests.clients.link import Link, link
from tests.clients.table import ANSWER, FAULTS, INPUT, NETWORK_CUT, Way
from tests.clients.worker import Worker
from tests.servers.program import Program, free_port

# Where the client's connection is cut, the answer is still being sent; else all of it would be on the way already.
PACE = 4.0
DEADLINE_SECONDS = 60.0  # a program's first answer includes its imports


@frozen
class Outcome:
    """What one client made of one answer. creates: How often the model was asked for it."""

    verdict: Verdict
    creates: int
    report: Report | None

    def __str__(self) -> str:
        more = f", {self.creates} creates" if self.creates != 1 else ""
        return f"{self.verdict}{more}"


@frozen
class Site:
    """A model, and the link in front of it. job: What programs are also told."""

    emulator: Emulator
    link: Link
    job: Mapping[str, Any]

    def try_out(self, worker: Worker) -> Outcome:
        """Send a client there, under a key of its own: then no relay takes it for one that came before."""
        creates = self.emulator.journal.counters["creates"]
        self.link.seen.clear()
        job = {"url": self.link.url, "input": INPUT, "key": uuid4().hex, **self.job}
        report = worker.ask(job, seconds=DEADLINE_SECONDS)
        seen = self.link.seen
        verdict = judge(report, ANSWER, has_end=bool(seen) and seen[-1].has_end)
        return Outcome(verdict, self.emulator.journal.counters["creates"] - creates, report)


class Sites:
    """All sites; each is started when it is first asked for, and all stop at the end of the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sites: dict[tuple[str, str], Site] = {}
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> "Sites":
        self._portal = self._stack.enter_context(start_blocking_portal())
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def site(self, way: Way, fault: str) -> Site:
        """The one of this way and this fault.

        Raises:
            DidNotStart: The relay does not listen.
        """
        key = way.name, fault
        if key not in self._sites:
            self._sites[key] = self._start(way, fault)
        return self._sites[key]

    def _start(self, way: Way, fault: str) -> Site:
        if way.cuts:
            drop = drop_of(fault)
            return self.start(way.relay, drop=drop and evolve(drop, times=way.cuts), job=way.job, pace=PACE)
        if fault != NETWORK_CUT:
            return self.start(way.relay, faults=FAULTS[fault], job=way.job)
        if way.relay is None:
            return self.start(None, drop=drop_of(fault), job=way.job, pace=PACE)
        return self.start(way.relay, upstream_drop=drop_of(fault), job=way.job, pace=PACE)

    def start(
        self,
        relay: tuple[str, ...] | None,
        *,
        faults: str = "",
        playback: bytes | None = None,
        drop: Drop | None = None,
        upstream_drop: Drop | None = None,
        pace: float = 0.0,
        job: Mapping[str, Any] | None = None,
    ) -> Site:
        """Start a site.

        Args:
            relay: The flags of the relay; None for no relay.
            faults: What the model does wrong, as text.
            playback: The recorded stream that it answers with, whatever it is asked.
            drop: Where the link to the client cuts.
            upstream_drop: Where a link between the relay and the model cuts.
            pace: How many tokens the model sends in a second; 0: as fast as it can.
            job: What programs are also told.

        Raises:
            DidNotStart: The relay does not listen.
        """
        emulator = Emulator(Options(tokens_per_second=pace, faults=faults, playback=playback))
        url = self._stack.enter_context(emulate(emulator))
        if relay is not None:
            upstream = self._link(url, upstream_drop).url if upstream_drop else url
            url = self._relay(upstream, relay).url.removesuffix("/v1")
        return Site(emulator, self._link(url, drop), job or {})

    def _link(self, url: str, drop: Drop | None) -> Link:
        assert self._portal is not None
        target = int(url.rsplit(":", 1)[1])
        return self._stack.enter_context(self._portal.wrap_async_context_manager(link(target, drop)))

    def _relay(self, upstream: str, flags: tuple[str, ...]) -> Program:
        port = free_port()
        folder = self._folder / f"relay-{port}"
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "streamfold", "relay", "--upstream", upstream, "--port", str(port)]
        program = Program([*command, "--log", "memory:", *flags], port, folder)
        program.start()
        self._stack.callback(program.kill)
        return program


def drop_of(fault: str) -> Drop | None:
    """The drop that a fault is; None if it is another."""
    return next((each for each in parse_faults(FAULTS[fault]) if isinstance(each, Drop)), None)
