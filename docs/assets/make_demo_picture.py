"""Draw docs/assets/demo.svg: `streamfold demo` while its answer streams, and what it checks at the end.

python docs/assets/make_demo_picture.py
"""

import io
import re
from pathlib import Path

import anyio
from rich.console import Console, RenderableType
from rich.text import Text

from streamfold.cli.demo import FAULTS, FOOT, MAX_NOTES, tell
from streamfold.cli.output.screen import Screen
from streamfold.cli.terminal import Output

WIDTH, HEIGHT = 116, 27
LAST_FAULT = f"connection {len(FAULTS)}:"


class Still(Screen):
    """A screen that is not shown, and keeps its picture of the moment when the last fault happened."""

    drawing: RenderableType = Text()

    def note(self, words: str) -> None:
        """Note it as the demo does."""
        super().note(words)
        if words.startswith(LAST_FAULT):
            self.drawing = self.draw()


async def main() -> None:
    """Run the demo, and draw it."""
    hidden = Console(width=WIDTH, height=HEIGHT, force_terminal=True, file=io.StringIO())
    still = Still(Output(), console=hidden, max_notes=MAX_NOTES, foot=FOOT)
    claims = await tell(still, lambda _: None, words=400, words_per_second=75.0, seed=0)
    console = Console(record=True, width=WIDTH, force_terminal=True, file=io.StringIO())
    console.print(still.drawing, Text())
    for claim in claims:
        mark = ("✓ ", "green") if claim.holds else ("✗ ", "red")
        console.print(Text.assemble(mark, claim.sentence), no_wrap=True, overflow="ellipsis")
    # Without the fonts that it would fetch: a page that shows the picture opens no other connection.
    drawing = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="streamfold demo"), flags=re.DOTALL)
    Path(__file__).with_name("demo.svg").write_text(drawing, encoding="utf-8")


anyio.run(main)
