"""Simulate sessions against a model of a gateway, and report what happened.

    python -m tests.sim.run --runs 200000 --seed 1 [--jobs N]
    python -m tests.sim.run --scenario '{"seed":7,...}'        repeat one run, as a failure printed it

Run n is generated from seed + n. On a terminal it shows progress. It ends with one line of counts. At the first failure it
exits with status 1 and prints the seed and the smallest scenario that fails in the same way. `streamfold.sim.audit`
says what must be true of every run.
"""

import argparse
import os
import random
import re
import sys
import time
import traceback
from collections.abc import Iterator
from functools import cache
from multiprocessing import get_context

from benchmarks.stream.workload import Shape, make_stream, payloads
from streamfold.errors import InvalidArgument
from streamfold.sim import Scenario, TranscriptCache, audit, read_scenario, simulate
from streamfold.sse import Frame
from tests.sim.generate import generate_scenario
from tests.sim.shrink import shrink
from tests.sim.summary import Summary

STREAMS = 24
BATCH = 250


@cache
def transcripts() -> TranscriptCache:
    """Streams of 5 to 60 text deltas, with and without reasoning and tools before them."""
    shapes = [
        Shape(deltas=5 + 55 * place // (STREAMS - 1), seed=place, reasoning=place % 3 == 1, tools=place % 4 == 1)
        for place in range(STREAMS)
    ]
    streams = sorted((payloads(make_stream(shape)) for shape in shapes), key=len)
    return TranscriptCache(streams, lambda name, data: Frame(event=name, data=data))


def generate(seed: int) -> Scenario:
    """The scenario of a seed."""
    return generate_scenario(seed, transcripts().lengths())


def failure(scenario: Scenario, summary: Summary | None = None) -> str:
    """What is wrong with the run of a scenario, its kind first; empty if nothing is."""
    try:
        run = simulate(scenario, transcripts())
        violations = audit(run)
    except Exception:
        if summary is not None:
            summary.raised += 1
        return "raised: " + traceback.format_exc(limit=-3)
    if summary is not None:
        summary.add(run, violations)
    return "\n".join(map(str, violations))


def batch(seeds: range) -> tuple[Summary, dict[int, str]]:
    """Carry out these runs. Returns the counts, and what failed by its seed."""
    summary, failures = Summary(), dict[int, str]()
    for seed in seeds:
        if found := failure(generate(seed), summary):
            failures[seed] = found
    return summary, failures


def signature(found: str) -> str:
    """The way in which a run failed: its first line without numbers and ids."""
    return re.sub(r"[0-9a-f]*\d[0-9a-f]*", "", found.partition("\n")[0])[:80]


def print_failure(scenario: Scenario, found: str) -> None:
    """Print a failing scenario, and the smallest that fails in the same way."""
    small = shrink(scenario, lambda each: signature(failure(each)) == signature(found))
    print(f"failed: seed {scenario.seed}\n{found}\nmade smaller: {failure(small)}\n--scenario '{small}'", flush=True)


def batches(runs: int, seed: int) -> list[range]:
    """The seeds of all runs, in batches."""
    return [range(seed + begin, seed + min(begin + BATCH, runs)) for begin in range(0, runs, BATCH)]


def results(work: list[range], jobs: int) -> Iterator[tuple[Summary, dict[int, str]]]:
    """The results of the batches, in order whatever the number of processes."""
    if jobs == 1:
        yield from map(batch, work)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(batch, work)


def run(*, runs: int, seed: int, jobs: int = 1) -> int:
    """Carry out the runs, up to the first batch that fails. Returns the exit status."""
    total, began = Summary(), time.monotonic()
    for summary, failures in results(batches(runs, seed), jobs):
        total.join(summary)
        if sys.stderr.isatty():
            print(f"\r{total.runs:,} of {runs:,} runs", end="", file=sys.stderr, flush=True)
        if failures:
            for failed, found in failures.items():
                print_failure(generate(failed), found)
                break
            break
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    print(f"{total}; {time.monotonic() - began:.0f} s, seed {seed}", flush=True)
    return 1 if total.runs < runs or total.violations else 0


def run_scenario(text: str) -> int:
    """Repeat one run and print what happened. Returns the exit status."""
    try:
        scenario = read_scenario(text)
    except InvalidArgument as error:
        print(error, file=sys.stderr)
        return 2
    done = simulate(scenario, transcripts())
    for fact in done.facts[:60]:
        print(
            f"{fact.at:9.3f}  {fact.call}: {fact.got if isinstance(fact.got, str) else (fact.got.status, fact.got.excerpt[:150])}"
        )
    for repair in done.session.repairs[:60]:
        print(f"{repair.at:9.3f}  repair: {repair.kind} after {repair.after}: {repair.reason}")
    numbers = [each.event.sequence_number for each in done.applied]
    print(f"applied {numbers[:1]}..{numbers[-1:]} ({len(numbers)}) of {len(done.events)}")
    print(f"{done.at:9.3f}  {_outcome_text(done.outcome)}")
    violations = audit(done)
    print("\n".join(map(str, violations)) or "nothing is wrong")
    return 1 if violations else 0


def _outcome_text(outcome: object) -> str:
    words = ("status", "proof", "cancel", "conflicts", "is_compacted", "compacted_after", "reason")
    return ", ".join(f"{word}: {getattr(outcome, word, None)}" for word in words)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200_000, help="how many runs")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(1 << 30), help="to repeat the same runs"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    parser.add_argument("--scenario", help="repeat this one run")
    given = parser.parse_args()
    return run_scenario(given.scenario) if given.scenario else run(runs=given.runs, seed=given.seed, jobs=given.jobs)


if __name__ == "__main__":
    sys.exit(main())
