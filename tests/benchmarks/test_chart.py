"""The chart is a picture in the format that its file name says, of what an event costs each reader."""

from pathlib import Path

import pytest

from benchmarks.chart import draw
from streamfold.bench import Goal, Row, Spread

EVENTS = Row(
    benchmark="stream-1000",
    name="bytes → events",
    subject="streamfold events",
    ours=Spread(0.4, 0.45, 0.5, 0.55, 0.6, 9),
    unit="µs/event",
    reference="msgspec, one by one",
    theirs=Spread.of([0.25]),
    ratio=Spread(1.8, 1.9, 2.0, 2.1, 2.2, 9),
    goal=Goal("≤", 2.0),
)
MEMORY = Row("memory", "every state kept", "streamfold states", Spread.of([150.0]), "bytes/event")


@pytest.mark.parametrize(("name", "start"), [("chart.svg", b"<?xml"), ("chart.png", b"\x89PNG")])
def test_a_picture_is_drawn_in_the_format_of_its_name(tmp_path: Path, name: str, start: bytes) -> None:
    draw([EVENTS, MEMORY], tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_report_without_a_generated_stream_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        draw([MEMORY], tmp_path / "chart.svg")
