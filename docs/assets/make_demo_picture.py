"""Draw docs/assets/demo.svg: what `streamfold demo` shows when two thirds of its stream are in.

python docs/assets/make_demo_picture.py
"""

import io
import re
from pathlib import Path

from rich.console import Console

from streamfold.bench import Shape, make_stream
from streamfold.cli.pace import Pace
from streamfold.cli.picture import Picture
from streamfold.cli.rate import measure

frames = make_stream(Shape(deltas=600))
console = Console(record=True, width=92, height=22, force_terminal=True, file=io.StringIO())
picture = Picture(measure(frames), total=len(frames), console=console)
picture.show(frames[: len(frames) * 2 // 3], [], pace=Pace(None))
console.file = io.StringIO()
console.export_text()  # forget what was drawn on the way
console.print(picture.draw())
# Without the fonts that it would fetch: a page that shows the picture opens no other connection.
drawing = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="streamfold demo"), flags=re.DOTALL)
Path(__file__).with_name("demo.svg").write_text(drawing, encoding="utf-8")
