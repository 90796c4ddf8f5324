"""Draw docs/assets/demo.svg: the second part of `streamfold demo`, its faults, its repairs and what it came to.

python docs/assets/make_demo_picture.py
"""

import io
import re
from pathlib import Path

import anyio
from rich.console import Console, RenderableType
from rich.text import Text

from streamfold.cli.output.lines import FollowView
from streamfold.cli.output.screen import Screen, line
from streamfold.cli.stage import MAX_NOTES
from streamfold.cli.story import FAULTS, tell
from streamfold.cli.terminal import Output

WIDTH, HEIGHT = 116, 27
# While the answer still runs: when all faults but the last have come, and their repairs.
LAST_FAULT = len(FAULTS)


class Still:
    """A stage that keeps the picture as it was when the last fault came, and a little after."""

    def __init__(self) -> None:
        self.drawing: RenderableType = Text()
        self._console = Console(width=WIDTH, height=HEIGHT, force_terminal=True, file=io.StringIO())

    def line(self, words: str) -> None:
        """Nothing: the picture has no lines."""

    def view(self) -> FollowView:
        """A picture that is not shown."""
        self._screen = Screen(
            Output(), console=self._console, max_notes=MAX_NOTES, foot="Each fault and each repair, as they come"
        )
        return self._screen

    def fault(self, number: int, fault: str) -> None:
        """Note it, as the demo does; at the last one keep the picture."""
        self._screen.note(line(("✗ ", "red"), (f"connection {number}: {fault}", "dim")))
        if number == LAST_FAULT:
            self.drawing = self._screen.draw()


async def main() -> None:
    """Tell the story, and draw it."""
    stage = Still()
    claims = await tell(stage, tokens_per_second=75.0, seed=0)
    console = Console(record=True, width=WIDTH, force_terminal=True, file=io.StringIO())
    console.print(stage.drawing, Text())
    for claim in claims:
        mark = ("✓ ", "green") if claim.holds else ("✗ ", "red")
        console.print(Text.assemble(mark, claim.sentence), no_wrap=True, overflow="ellipsis")
    # Without the fonts that it would fetch: a page that shows the picture opens no other connection.
    drawing = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="streamfold demo"), flags=re.DOTALL)
    Path(__file__).with_name("demo.svg").write_text(drawing, encoding="utf-8")


anyio.run(main)
