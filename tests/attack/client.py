"""Attack one transport on one event loop with every scenario of `upstreams`, and judge how each call ended.

    python -m tests.attack.client --transport direct --backend trio [--match 'redirect: '] [--json]

Each scenario meets two calls: a followed response (made, repaired and, in the family `cancel`, cancelled) and a plain one.
A call may end in an Outcome or in an error of streamfold. Anything else is a fault: another exception, a call that is not
done at the deadline, and the key in any message, reason or log record. Memory is measured for the whole process.
"""

import argparse
import importlib
import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

import anyio
from attrs import Factory, asdict, define

from streamfold.client import Gateway
from streamfold.client.conformance.site import Story, serve
from streamfold.client.transport.tls import shared_context
from streamfold.errors import StreamfoldError
from streamfold.session import Backoff, Outcome, Patience
from tests.attack.stories import KEY
from tests.attack.upstreams import scenarios

TRANSPORTS = ("httpx", "httpx2", "direct")
BACKENDS = ("asyncio", "trio")
AT_ONCE = 16
MEBIBYTE = 1 << 20
# Small limits and little patience: what the client does at a limit does not depend on how large it is.
PATIENCE = Patience(
    backoff=Backoff(first_seconds=0.01, max_seconds=0.05, max_retry_after_seconds=0.1),
    max_attempts=2,
    total_seconds=0.8,
    stalled_seconds=0.5,
    idle_seconds=0.3,
    poll_seconds=0.05,
    gap_seconds=0.05,
    cancel_grace_seconds=0.1,
    cancel_seconds=0.5,
    window_bytes=MEBIBYTE,
    max_frame_bytes=MEBIBYTE,
    max_body_bytes=4 * MEBIBYTE,
)
DEADLINE_SECONDS = 10.0  # far beyond total_seconds, for machines that are busy
# What all calls at once may hold: the limits above twice over (a body, and its copy while it is decoded), and 64 MiB for
# everything else, the attacker's own bytes included.
MEMORY_MIB = 64 + AT_ONCE * 2 * (PATIENCE.max_frame_bytes + PATIENCE.window_bytes + PATIENCE.max_body_bytes) // MEBIBYTE


@define
class Report:
    """What happened on one transport and loop. faults: one line each. ends: how often a call ended in which way."""

    transport: str
    backend: str
    scenarios: int = 0
    calls: int = 0
    faults: list[str] = Factory(list)
    ends: dict[str, int] = Factory(dict)
    peak_mib: int = 0
    slowest_seconds: float = 0.0
    slowest: str = ""
    stall_seconds: float = 0.0


class Kept(logging.Handler):
    """Keeps what the loggers said."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage() + repr(record.args))


def _peak_mib() -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM"))


def _told(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error!s} {error!r}"
        error = error.__cause__


async def _follow(gateway: Gateway, *, cancels: bool) -> Outcome:
    async with gateway.stream(model="m", input="x", background=True, max_retries=1) as response:
        if cancels:
            await response.cancel()
        async for _ in response:
            pass
        return await response.outcome()


async def _call(name: str, gateway: Gateway) -> Outcome | None:
    family, _, what = name.partition(": ")
    if not what.endswith(" (plain)"):
        return await _follow(gateway, cancels=family == "cancel")
    if family == "cancel":
        await gateway.cancel("resp_1")
    elif family == "GET":
        await gateway.retrieve("resp_1")
    else:
        await gateway.create(model="m", input="x", max_retries=1)
    return None


class Attack:
    """One run over scenarios."""

    def __init__(self, report: Report, log: Kept) -> None:
        self.report = report
        self._log = log
        self._slots = anyio.CapacityLimiter(AT_ONCE)

    async def against(self, name: str, story: Story) -> None:
        """One call on one hostile server."""
        async with self._slots, serve(story) as server:
            http: Any = self.report.transport
            if http != "direct":
                # Without a context of its own, each client would load the certificates for 40 ms, and stall the loop.
                http = importlib.import_module(http).AsyncClient(trust_env=False, verify=shared_context())
            begun = time.monotonic()
            with anyio.move_on_after(DEADLINE_SECONDS) as scope:
                await self._judge(name, server.url, http)
            if http != "direct":
                with anyio.move_on_after(1, shield=True):
                    await http.aclose()
            took = time.monotonic() - begun
            if took > self.report.slowest_seconds:
                self.report.slowest_seconds, self.report.slowest = round(took, 2), name
            if scope.cancelled_caught:
                self._fault(name, f"not done after {DEADLINE_SECONDS:g} s")

    async def _judge(self, name: str, url: str, http: Any) -> None:
        self.report.calls += 1
        told: list[str] = []
        try:
            async with Gateway(
                url, api_key=KEY, dialect="openai", http=http, patience=PATIENCE, timeout=0.8
            ) as gateway:
                told.append(repr(gateway))
                outcome = await _call(name, gateway)
        except StreamfoldError as error:
            end = type(error).__name__
            told += _told(error)
        except Exception as error:
            end = f"untyped {type(error).__name__}"
            self._fault(name, f"untyped: {traceback.format_exception_only(error)[-1].strip()[:300]}")
        else:
            end = "a result" if outcome is None else str(outcome.status)
            if outcome is not None:
                told += [outcome.reason, *(each.reason for each in outcome.repairs), *map(str, outcome.conflicts)]
        self.report.ends[end] = self.report.ends.get(end, 0) + 1
        if any(KEY in each for each in told):
            self._fault(name, "the key is in a message: " + next(each for each in told if KEY in each)[:300])

    def _fault(self, name: str, what: str) -> None:
        self.report.faults.append(f"{name}: {what}")

    def look_at_the_log(self) -> None:
        """The log holds no key."""
        if leaked := [line for line in self._log.lines if KEY in line]:
            self._fault("logging", f"the key is in {len(leaked)} records, such as {leaked[0][:300]}")


async def attack(report: Report, stories: dict[str, Story]) -> None:
    """Run every story, `AT_ONCE` at a time, and fill in the report."""
    log = Kept()
    root = logging.getLogger("streamfold")
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    root.propagate = False
    run = Attack(report, log)
    report.scenarios = len(stories)

    async def beat() -> None:
        while True:
            begun = time.monotonic()
            await anyio.sleep(0.02)
            report.stall_seconds = max(report.stall_seconds, round(time.monotonic() - begun - 0.02, 2))

    before = _peak_mib()
    async with anyio.create_task_group() as clock:
        clock.start_soon(beat)
        async with anyio.create_task_group() as tasks:
            for name, story in stories.items():
                tasks.start_soon(run.against, name, story)
                tasks.start_soon(run.against, f"{name} (plain)", story)
        clock.cancel_scope.cancel()
    run.look_at_the_log()
    report.peak_mib = _peak_mib() - before
    if report.peak_mib > MEMORY_MIB:
        report.faults.append(f"memory: {report.peak_mib} MiB more at the peak, beyond {MEMORY_MIB}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--transport", choices=TRANSPORTS, required=True)
    parser.add_argument("--backend", choices=BACKENDS, required=True)
    parser.add_argument("--match", default="", help="only scenarios whose name contains this")
    parser.add_argument("--every", type=int, default=1, help="each n-th of them")
    arguments = parser.parse_args()
    stories = {name: story for name, story in scenarios().items() if arguments.match in name}
    report = Report(arguments.transport, arguments.backend)
    anyio.run(attack, report, dict(list(stories.items())[:: arguments.every]), backend=arguments.backend)
    json.dump(asdict(report), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
