"""Draw docs/assets/demo.svg: what `streamfold demo` shows when two thirds of its stream are in.

python docs/assets/make_demo_picture.py
"""

import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
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
local_fonts = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
drawing = console.export_svg(title="streamfold demo", code_format=local_fonts)
Path(__file__).with_name("demo.svg").write_text(drawing, encoding="utf-8")
