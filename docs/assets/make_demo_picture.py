"""Draw docs/assets/demo.svg: what `streamfold demo` prints on a terminal.

python docs/assets/make_demo_picture.py
"""

import io
import re
from pathlib import Path

from rich.console import Console

from streamfold.cli.demo.command import show
from streamfold.cli.demo.page import DemoPage

WIDTH = 80

console = Console(record=True, width=WIDTH, force_terminal=True, file=io.StringIO())
show(DemoPage(console))
# Without the fonts that it would fetch: a page that shows the picture opens no other connection.
drawing = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="make demo"), flags=re.DOTALL)
Path(__file__).with_name("demo.svg").write_text(drawing, encoding="utf-8")
