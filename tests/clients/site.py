"""Where a client is sent: an emulator with a fault, perhaps a relay, and the link in front of it."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import frozen

from streamfold.chaos import Drop, parse_faults
from streamfold.emulator import Emulator, Options, emulate
from tests.clients.judge import Report, Verdict, judge
from tests.clients.link import Link, link
from tests.clients.table import ANSWER, FAULTS, INPUT, Way
from tests.clients.worker import Worker
from tests.servers.program import Program, free_port

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
    """A model, and the link in front of it. attempts: How often a program asks before it gives up."""

    emulator: Emulator
    link: Link
    attempts: int = 1

    def try_out(self, worker: Worker) -> Outcome:
        """Send a client there, under a key of its own: then no relay takes it for one that came before."""
        creates, streams = self.emulator.journal.counters["creates"], len(self.link.seen)
        job = {"url": self.link.url, "input": INPUT, "key": uuid4().hex, "attempts": self.attempts}
        report = worker.ask(job, seconds=DEADLINE_SECONDS)
        seen = self.link.seen[streams:]
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
            faults = FAULTS[fault]
            drop = next((each for each in parse_faults(faults) if isinstance(each, Drop)), None)
            self._sites[key] = (
                self.start(way.relay, drop=drop, attempts=way.attempts)
                if way.is_client_hop
                else self.start(way.relay, faults=faults, attempts=way.attempts)
            )
        return self._sites[key]

    def start(
        self,
        relay: tuple[str, ...] | None,
        *,
        faults: str = "",
        playback: bytes | None = None,
        drop: Drop | None = None,
        attempts: int = 1,
    ) -> Site:
        """Start a site.

        Args:
            relay: The flags of the relay; None for no relay.
            faults: What the model does wrong, as text.
            playback: The recorded stream that it answers with, whatever it is asked.
            drop: Where the link cuts.
            attempts: How often a program asks before it gives up.

        Raises:
            DidNotStart: The relay does not listen.
        """
        assert self._portal is not None
        emulator = Emulator(Options(tokens_per_second=0, faults=faults, playback=playback))
        url = self._stack.enter_context(emulate(emulator))
        port = int(url.rsplit(":", 1)[1]) if relay is None else self._relay(url, relay).port
        proxy = self._stack.enter_context(self._portal.wrap_async_context_manager(link(port, drop)))
        return Site(emulator, proxy, attempts)

    def _relay(self, upstream: str, flags: tuple[str, ...]) -> Program:
        port = free_port()
        folder = self._folder / f"relay-{port}"
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "streamfold", "relay", "--upstream", upstream, "--port", str(port), *flags]
        program = Program(command, port, folder)
        program.start()
        self._stack.callback(program.kill)
        return program
