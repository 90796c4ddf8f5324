"""Draw what an event costs each reader of the same stream, in CPU µs on a log scale, as SVG or PNG.

matplotlib (extra `bench`) is imported only to draw, because it is slow to load.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from streamfold.bench import Row, Spread

__all__ = ["draw", "is_drawable"]

OURS, THEIRS, INK = "#1f77b4", "#b8b8b8", "#444444"
FOLLOWED = "following-each"

Costs = Mapping[str, Spread]  # of each variant


def is_drawable(rows: Sequence[Row]) -> bool:
    """Whether anything was measured that the chart shows."""
    return bool(_panels(rows))


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the generated stream that most variants read (the largest of equals), and the one that was followed, if any.

    Raises:
        ValueError: Neither was measured.
    """
    panels = _panels(rows)
    if not panels:
        raise ValueError("nothing to draw: no stream was read or followed; run `streams` or `following`")
    heights = [0.5 * len(costs) + 1.6 for costs in panels.values()]
    figure: Any = import_module("matplotlib.figure").Figure(figsize=(9, sum(heights)), layout="constrained")
    all_axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)
    for axes, (title, costs) in zip(all_axes[:, 0], panels.items(), strict=True):
        _draw_panel(axes, title, costs)
    figure.savefig(path)


def _panels(rows: Sequence[Row]) -> dict[str, Costs]:
    """What each variant cost, by the title of its benchmark."""
    panels: dict[str, Costs] = {}
    streams = _costs([row for row in rows if row.benchmark.startswith("stream-")])
    if streams:
        benchmark = max(streams, key=lambda name: (len(streams[name]), int(name.removeprefix("stream-"))))
        deltas = int(benchmark.removeprefix("stream-"))
        panels[f"Reading one Responses stream of {deltas:,} text deltas"] = streams[benchmark]
    if followed := _costs([row for row in rows if row.benchmark == FOLLOWED]):
        panels["Following one over a socket, each event its own write"] = followed[FOLLOWED]
    return panels


def _costs(rows: Sequence[Row]) -> dict[str, dict[str, Spread]]:
    """What each variant cost, by benchmark."""
    found: dict[str, dict[str, Spread]] = {}
    for row in rows:
        if row.theirs is not None and not row.name.startswith("noise"):
            costs = found.setdefault(row.benchmark, {})
            costs.setdefault(row.subject, row.ours)  # where two rows tell of one variant, the first had more rounds
            costs.setdefault(row.reference, row.theirs)
    return found


def _draw_panel(axes: Any, title: str, costs: Costs) -> None:
    names = sorted(costs, key=lambda name: costs[name].median, reverse=True)
    _draw_bars(axes, {name: costs[name] for name in names})
    axes.set_xscale("log")
    axes.set_xlim(costs[names[-1]].low / 3, 3 * costs[names[0]].high)
    axes.set_xlabel("CPU µs an event, median and quartiles (log scale; shorter is faster)")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_bars(axes: Any, costs: dict[str, Spread]) -> None:
    medians = [cost.median for cost in costs.values()]
    below = [cost.median - cost.low for cost in costs.values()]
    above = [cost.high - cost.median for cost in costs.values()]
    colors = [OURS if name.startswith("streamfold") else THEIRS for name in costs]
    axes.barh(list(costs), medians, color=colors, xerr=[below, above], error_kw={"ecolor": INK, "capsize": 3})
    for place, cost in enumerate(costs.values()):
        at = (cost.high, place)
        axes.annotate(f"{cost.median:.3g}", at, (6, 0), textcoords="offset points", va="center", color=INK)
