"""The door of the room that measures.

In      a Shape of stream; ways to read one, to be timed against each other
Out     the frames of a made stream; rows of a table, and reports of them
Units   deltas, bytes; CPU seconds
Source  docs/reference/benchmarks.md
"""

from streamfold.bench.chart import draw
from streamfold.bench.measure import Spread, Timings, Variant, measure
from streamfold.bench.reading import (
    EVENTS,
    STATES,
    DifferentWork,
    Peer,
    compare,
    decode_all,
    read_events,
    read_states,
)
from streamfold.bench.report import Machine, Report, as_json, as_text, describe_machine
from streamfold.bench.row import Goal, Row
from streamfold.bench.suite import BENCHMARKS, FULL, QUICK, Plan, run
from streamfold.bench.worker import WorkerEnded, measure_apart
from streamfold.bench.workload import Shape, cut, make_stream, payloads

__all__ = [
    "BENCHMARKS",
    "EVENTS",
    "FULL",
    "QUICK",
    "STATES",
    "DifferentWork",
    "Goal",
    "Machine",
    "Peer",
    "Plan",
    "Report",
    "Row",
    "Shape",
    "Spread",
    "Timings",
    "Variant",
    "WorkerEnded",
    "as_json",
    "as_text",
    "compare",
    "cut",
    "decode_all",
    "describe_machine",
    "draw",
    "make_stream",
    "measure",
    "measure_apart",
    "payloads",
    "read_events",
    "read_states",
    "run",
]
