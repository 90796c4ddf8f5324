"""Measure streamfold against other readers and clients, of the same bytes: `python -m benchmarks --help`."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.following import FULL_FOLLOWING, QUICK_FOLLOWING, Following, measure_following
from benchmarks.logs import FULL_LOGGING, QUICK_LOGGING, Logging, measure_logs
from benchmarks.peers import LIBRARIES, OPENAI_STATE, PEERS
from benchmarks.recordings import Recordings, measure_recordings
from benchmarks.valkey import FULL_SERVING, QUICK_SERVING, Serving, measure_valkey
from streamfold.bench import BENCHMARKS, FULL, QUICK, Plan, Report, Row, as_json, as_text, describe_machine, draw, run
from streamfold.bench.chart import is_drawable

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
FOLLOWING = "following"
LOG = "log"
RECORDINGS = "recordings"
NOTHING = Recordings((), (), ())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for. Returns: 1 where a goal was missed and `--strict` was given, else 0."""
    asked = parse(arguments)
    machine = describe_machine(LIBRARIES)
    plan, following = (QUICK, QUICK_FOLLOWING) if asked.quick else (FULL, FULL_FOLLOWING)
    logging, serving = (QUICK_LOGGING, QUICK_SERVING) if asked.quick else (FULL_LOGGING, FULL_SERVING)
    names = asked.only or [*BENCHMARKS, FOLLOWING, LOG, RECORDINGS]
    rows = tuple(measured(plan, following, logging, serving, [name for name in names if name != RECORDINGS]))
    recorded = find_recordings(plan) if RECORDINGS in names else NOTHING
    report = Report(machine, rows + recorded.rows, recorded.details, recorded.notes)
    print(as_text(report), end="")
    write(report, asked.json, asked.chart)
    return int(asked.strict and any(row.is_met is False for row in report.rows))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller streams and fewer rounds: a minute, noisier")
    parser.add_argument(
        "--only", action="append", choices=[*BENCHMARKS, FOLLOWING, LOG, RECORDINGS], help="one benchmark; repeatable"
    )
    parser.add_argument("--json", type=Path, default=RESULTS / "latest.json", help="where the figures go")
    parser.add_argument("--chart", type=Path, default=RESULTS / "latest.svg", help="where the picture goes: .svg, .png")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a goal is missed")
    return parser.parse_args(arguments)


def measured(
    plan: Plan, following: Following, logging: Logging, serving: Serving, names: Sequence[str]
) -> Iterator[Row]:
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        if name == FOLLOWING:
            yield from measure_following(following)
        elif name == LOG:
            yield from measure_logs(logging)
            yield from measure_valkey(serving)
        else:
            yield from run(plan, peers=PEERS, only=[name])


def find_recordings(plan: Plan) -> Recordings:
    """The corpus beside the repository, or the one that STREAMFOLD_CORPUS names; where there is none, a note."""
    folder = Path(os.environ.get("STREAMFOLD_CORPUS") or HERE.parent.parent / "shared") / "recordings"
    if not folder.is_dir():
        note = "no recordings: put the corpus beside the repository as `shared`, or name it in STREAMFOLD_CORPUS"
        return Recordings((), (), (note,))
    print("measuring recordings ...", file=sys.stderr, flush=True)
    return measure_recordings(folder, OPENAI_STATE, rounds=plan.slow_rounds, sample_seconds=plan.sample_seconds / 10)


def write(report: Report, json: Path, chart: Path) -> None:
    """Write the figures, and the picture where there is something to draw."""
    json.parent.mkdir(parents=True, exist_ok=True)
    json.write_bytes(as_json(report))
    if is_drawable(report.rows):
        chart.parent.mkdir(parents=True, exist_ok=True)
        draw(report.rows, chart)


if __name__ == "__main__":
    sys.exit(main())
