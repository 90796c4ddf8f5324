"""Measure streamfold against other readers and clients, of the same bytes: `python -m benchmarks --help`."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.chart import draw, is_drawable
from benchmarks.client.following import FULL_FOLLOWING, QUICK_FOLLOWING, measure_following
from benchmarks.client.recorded import FULL_RECORDED, QUICK_RECORDED, measure_recorded
from benchmarks.client.resuming import FULL_RESUMING, QUICK_RESUMING, measure_resuming
from benchmarks.log.sqlite import FULL_LOGGING, QUICK_LOGGING, measure_logs
from benchmarks.log.travel import FULL_TRAVEL, QUICK_TRAVEL, measure_travel
from benchmarks.log.valkey import FULL_SERVING, QUICK_SERVING, measure_valkey
from benchmarks.relay.suite import FULL_RELAY, QUICK_RELAY, measure_relay
from benchmarks.stream.peers import LIBRARIES, OPENAI_STATE, PEERS
from benchmarks.stream.recordings import Recordings, measure_recordings
from benchmarks.stream.suite import BENCHMARKS, FULL, QUICK, Scale, run
from streamfold.bench import Report, Row, as_json, as_text, describe_machine

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
FOLLOWING = "following"
LOG = "log"
RECORDED = "recorded"
RELAY = "relay"
RESUMING = "resuming"
TRAVEL = "travel"
VALKEY = "valkey"
RECORDINGS = "recordings"
NOTHING = Recordings((), (), ())
# What has processes, files or servers of its own: measured in full, and quickly.
APART: Mapping[str, tuple[Callable[[], Iterator[Row]], Callable[[], Iterator[Row]]]] = {
    FOLLOWING: (partial(measure_following, FULL_FOLLOWING), partial(measure_following, QUICK_FOLLOWING)),
    LOG: (partial(measure_logs, FULL_LOGGING), partial(measure_logs, QUICK_LOGGING)),
    RECORDED: (partial(measure_recorded, FULL_RECORDED), partial(measure_recorded, QUICK_RECORDED)),
    RELAY: (partial(measure_relay, FULL_RELAY), partial(measure_relay, QUICK_RELAY)),
    RESUMING: (partial(measure_resuming, FULL_RESUMING), partial(measure_resuming, QUICK_RESUMING)),
    TRAVEL: (partial(measure_travel, FULL_TRAVEL), partial(measure_travel, QUICK_TRAVEL)),
    VALKEY: (partial(measure_valkey, FULL_SERVING), partial(measure_valkey, QUICK_SERVING)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the requested benchmarks. Returns 1 if a goal was missed and `--strict` was given, else 0."""
    asked = parse(arguments)
    machine = describe_machine(LIBRARIES)
    scale = QUICK if asked.quick else FULL
    names = asked.only or [*BENCHMARKS, *APART, RECORDINGS]
    rows = tuple(measured(scale, [name for name in names if name != RECORDINGS], is_quick=asked.quick))
    recorded = find_recordings(scale) if RECORDINGS in names else NOTHING
    report = Report(machine, rows + recorded.rows, recorded.details, recorded.notes)
    print(as_text(report), end="")
    write(report, asked.json, asked.chart)
    return int(asked.strict and any(row.is_met is False for row in report.rows))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller streams and fewer rounds: a minute, noisier")
    parser.add_argument(
        "--only", action="append", choices=[*BENCHMARKS, *APART, RECORDINGS], help="one benchmark; repeatable"
    )
    parser.add_argument("--json", type=Path, default=RESULTS / "latest.json", help="where the figures go")
    parser.add_argument("--chart", type=Path, default=RESULTS / "latest.svg", help="where the picture goes: .svg, .png")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a goal is missed")
    return parser.parse_args(arguments)


def measured(scale: Scale, names: Sequence[str], *, is_quick: bool) -> Iterator[Row]:
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        if name in APART:
            yield from APART[name][is_quick]()
        else:
            yield from run(scale, peers=PEERS, only=[name])


def find_recordings(scale: Scale) -> Recordings:
    """Measure the corpus next to the repository or in STREAMFOLD_CORPUS; without one, return a note."""
    folder = Path(os.environ.get("STREAMFOLD_CORPUS") or HERE.parent.parent / "shared") / "recordings"
    if not folder.is_dir():
        note = "no recordings: put the corpus beside the repository as `shared`, or name it in STREAMFOLD_CORPUS"
        return Recordings((), (), (note,))
    print("measuring recordings ...", file=sys.stderr, flush=True)
    return measure_recordings(folder, OPENAI_STATE, rounds=scale.slow_rounds, sample_seconds=scale.sample_seconds / 10)


def write(report: Report, json: Path, chart: Path) -> None:
    """Write the figures, and the chart if there is something to draw."""
    json.parent.mkdir(parents=True, exist_ok=True)
    json.write_bytes(as_json(report))
    if is_drawable(report.rows):
        chart.parent.mkdir(parents=True, exist_ok=True)
        draw(report.rows, chart)


if __name__ == "__main__":
    sys.exit(main())
