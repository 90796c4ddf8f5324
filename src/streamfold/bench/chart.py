"""Results as a picture: what an event costs each reader of the same stream.

In      the Rows of a made stream
Out     an SVG or PNG file, by the name's ending
Units   CPU µs an event, on a log scale
Errors  ImportError where matplotlib (extra `bench`) is missing; ValueError where no made stream was measured

matplotlib is imported by its name, when a picture is drawn: nothing else here needs it, and it is slow to load.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from streamfold.bench.measure import Spread
from streamfold.bench.row import Row

__all__ = ["draw"]

OURS, THEIRS, INK = "#1f77b4", "#b8b8b8", "#444444"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the made stream that most variants read; of equals, the largest."""
    benchmark, costs = _costs(rows)
    names = sorted(costs, key=lambda name: costs[name].median, reverse=True)
    figure: Any = import_module("matplotlib.figure").Figure(figsize=(9, 0.5 * len(names) + 1.6), layout="constrained")
    axes = figure.subplots()
    _draw_bars(axes, {name: costs[name] for name in names})
    axes.set_xscale("log")
    axes.set_xlim(costs[names[-1]].low / 3, 3 * costs[names[0]].high)
    axes.set_xlabel("CPU µs an event, median and quartiles (log scale; shorter is faster)")
    axes.set_title(f"Reading one Responses stream of {int(benchmark.removeprefix('stream-')):,} text deltas")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _draw_bars(axes: Any, costs: dict[str, Spread]) -> None:
    medians = [cost.median for cost in costs.values()]
    below = [cost.median - cost.low for cost in costs.values()]
    above = [cost.high - cost.median for cost in costs.values()]
    colors = [OURS if name.startswith("streamfold") else THEIRS for name in costs]
    axes.barh(list(costs), medians, color=colors, xerr=[below, above], error_kw={"ecolor": INK, "capsize": 3})
    for place, cost in enumerate(costs.values()):
        at = (cost.high, place)
        axes.annotate(f"{cost.median:.3g}", at, (6, 0), textcoords="offset points", va="center", color=INK)


def _costs(rows: Sequence[Row]) -> tuple[str, dict[str, Spread]]:
    """The benchmark that is drawn, and what each variant cost in it."""
    streams: dict[str, dict[str, Spread]] = {}
    for row in rows:
        if row.benchmark.startswith("stream-") and row.theirs is not None and not row.name.startswith("noise"):
            costs = streams.setdefault(row.benchmark, {})
            costs.setdefault(row.subject, row.ours)  # where two rows tell of one variant, the first had more rounds
            costs.setdefault(row.reference, row.theirs)
    if not streams:
        raise ValueError("no made stream was measured; run the benchmark `streams`")
    benchmark = max(streams, key=lambda name: (len(streams[name]), int(name.removeprefix("stream-"))))
    return benchmark, streams[benchmark]
