"""Measure variants against each other in one run, and report the result as a table or as JSON."""

from streamfold.bench.measure import Spread, Timings, Variant, measure
from streamfold.bench.report import Goal, Machine, Report, Row, as_json, as_text, describe_machine
from streamfold.bench.workload import Shape, cut, make_stream, payloads

__all__ = [
    "Goal",
    "Machine",
    "Report",
    "Row",
    "Shape",
    "Spread",
    "Timings",
    "Variant",
    "as_json",
    "as_text",
    "cut",
    "describe_machine",
    "make_stream",
    "measure",
    "payloads",
]
