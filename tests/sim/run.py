"""Try the session against a model of a gateway, over and over, and say what came of it.

    python tests/sim/run.py --runs 100000 --seed 1 [--jobs N]
    python tests/sim/run.py --script '{"seed":7,...}'        one run again, as a failure printed it

In      a seed: run n is drawn from seed + n
Out     progress on a terminal, and one closing line; exit 1 at a failure, with its seed and a script made smaller
Units   runs

What must hold is what `streamfold.sim.audit` says: nothing lost, nothing applied twice, no wrong outcome, every run
ended.
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

from streamfold.bench import Shape, make_stream, payloads
from streamfold.errors import InvalidArgument
from streamfold.sim import Library, Script, Tally, audit, draw_script, perform, read_script, shrink
from streamfold.sse import Frame

STREAMS = 24
BATCH = 250


@cache
def library() -> Library:
    """Streams of 5 to 60 text deltas, with and without reasoning and tools before them."""
    shapes = [
        Shape(deltas=5 + 55 * place // (STREAMS - 1), seed=place, reasoning=place % 3 == 1, tools=place % 4 == 1)
        for place in range(STREAMS)
    ]
    streams = sorted((payloads(make_stream(shape)) for shape in shapes), key=len)
    return Library(streams, lambda name, data: Frame(event=name, data=data))


def draw(seed: int) -> Script:
    """The script of a seed."""
    return draw_script(seed, library().lengths())


def failure(script: Script, tally: Tally | None = None) -> str:
    """What is wrong with the script's run, its kind first; empty if nothing is."""
    try:
        run = perform(script, library())
        complaints = audit(run)
    except Exception:
        if tally is not None:
            tally.raised += 1
        return "raised: " + traceback.format_exc(limit=-3)
    if tally is not None:
        tally.add(run, complaints)
    return "\n".join(map(str, complaints))


def batch(seeds: range) -> tuple[Tally, dict[int, str]]:
    """Do these runs. Returns: the counts, and what failed by its seed."""
    tally, failures = Tally(), dict[int, str]()
    for seed in seeds:
        if found := failure(draw(seed), tally):
            failures[seed] = found
    return tally, failures


def manner_of(found: str) -> str:
    """In which way a run failed: its first line, without the numbers and ids."""
    return re.sub(r"[0-9a-f]*\d[0-9a-f]*", "", found.partition("\n")[0])[:80]


def tell_failure(script: Script, found: str) -> None:
    """Print a failing script, and the smallest that fails in the same way."""
    small = shrink(script, lambda each: manner_of(failure(each)) == manner_of(found))
    print(f"failed: seed {script.seed}\n{found}\nmade smaller: {failure(small)}\n--script '{small}'", flush=True)


def batches(runs: int, seed: int) -> list[range]:
    """The seeds of all runs, in batches."""
    return [range(seed + begin, seed + min(begin + BATCH, runs)) for begin in range(0, runs, BATCH)]


def results(work: list[range], jobs: int) -> Iterator[tuple[Tally, dict[int, str]]]:
    """The batches done, in their order whatever the number of processes."""
    if jobs == 1:
        yield from map(batch, work)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(batch, work)


def run(*, runs: int, seed: int, jobs: int = 1) -> int:
    """Do the runs, up to the first batch that fails. Returns: the exit code."""
    total, began = Tally(), time.monotonic()
    for tally, failures in results(batches(runs, seed), jobs):
        total.join(tally)
        if sys.stderr.isatty():
            print(f"\r{total.runs:,} of {runs:,} runs", end="", file=sys.stderr, flush=True)
        if failures:
            for failed, found in failures.items():
                tell_failure(draw(failed), found)
                break
            break
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    print(f"{total}; {time.monotonic() - began:.0f} s, seed {seed}", flush=True)
    return 1 if total.runs < runs or total.complaints else 0


def run_script(text: str) -> int:
    """Do one run again, and tell what happened. Returns: the exit code."""
    try:
        script = read_script(text)
    except InvalidArgument as error:
        print(error, file=sys.stderr)
        return 2
    done = perform(script, library())
    for fact in done.facts[:60]:
        print(
            f"{fact.at:9.3f}  {fact.call}: {fact.got if isinstance(fact.got, str) else (fact.got.status, fact.got.excerpt[:150])}"
        )
    for repair in done.session.repairs[:60]:
        print(f"{repair.at:9.3f}  repair: {repair.kind} after {repair.after}: {repair.reason}")
    numbers = [each.event.sequence_number for each in done.applied]
    print(f"applied {numbers[:1]}..{numbers[-1:]} ({len(numbers)}) of {len(done.truth.feed.lines)}")
    print(f"{done.at:9.3f}  {_outcome_text(done.outcome)}")
    complaints = audit(done)
    print("\n".join(map(str, complaints)) or "nothing is wrong")
    return 1 if complaints else 0


def _outcome_text(outcome: object) -> str:
    words = ("status", "proof", "cancel", "conflicts", "is_compacted", "compacted_after", "reason")
    return ", ".join(f"{word}: {getattr(outcome, word, None)}" for word in words)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000, help="how many")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30), help="to run it again")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes share the work")
    parser.add_argument("--script", help="do this one run")
    given = parser.parse_args()
    return run_script(given.script) if given.script else run(runs=given.runs, seed=given.seed, jobs=given.jobs)


if __name__ == "__main__":
    sys.exit(main())
