"""Measure variants against each other in one run, and report the result as a table or as JSON."""

from streamfold.bench.measure import Spread, Timings, Variant, measure
from streamfold.bench.report import Goal, Machine, Report, Row, as_json, as_text, describe_machine

__all__ = [
    "Goal",
    "Machine",
    "Report",
    "Row",
    "Spread",
    "Timings",
    "Variant",
    "as_json",
    "as_text",
    "describe_machine",
    "measure",
]
