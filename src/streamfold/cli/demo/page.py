"""Where the demo prints: a heading for each part, a line for each thing that happens, a mark for each check."""

from textwrap import wrap

from rich.console import Console
from rich.text import Text

from streamfold.cli.output.console import Drawing

INDENT = "   "
MARKS = {True: "✓ ", False: "✗ "}
PLAIN_MARKS = {True: "ok: ", False: "FAILED: "}  # where the encoding has no other


class DemoPage:
    """Prints the demo. Lines are wrapped on a terminal and stay whole in a pipe.

    Args:
        console: Where it is printed; None for stdout.

    Attributes:
        checks: Whether each thing holds that was checked so far.
        unwritten: The error that kept a line from being printed.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.checks: list[bool] = []
        self.unwritten: OSError | None = None
        self._console = console or Drawing()
        self._marks = MARKS if self._console.encoding.startswith("utf") else PLAIN_MARKS

    def heading(self, words: str) -> None:
        """Start a part."""
        self._print("\n", "", words, "bold")

    def line(self, words: str) -> None:
        """Print something that happened."""
        self._print("", INDENT, words, "")

    def check(self, sentence: str, *, holds: bool) -> None:
        """Print a claim, and whether it holds."""
        self.checks.append(holds)
        self._print("", INDENT + self._marks[holds], sentence, "green" if holds else "bold red")

    def summary(self, sentence: str, *, is_good: bool) -> None:
        """Print what all of it comes to."""
        self._print("\n", "", sentence, "bold green" if is_good else "bold red")

    def plain(self, words: str) -> None:
        """Print a line that belongs to no part."""
        self._print("", "", words, "")

    def command(self, line: str) -> None:
        """Print a line to be copied, which is never wrapped."""
        self._print("", "", line, "", is_wrapped=False)

    def _print(self, before: str, mark: str, words: str, style: str, *, is_wrapped: bool = True) -> None:
        lines = [words]
        if self._console.is_terminal and is_wrapped:
            room = max(1, self._console.width - len(mark))
            lines = wrap(words, room, break_long_words=False, break_on_hyphens=False)
        text = f"\n{' ' * len(mark)}".join(lines)
        try:
            self._console.print(Text.assemble(before, mark, text, style=style), soft_wrap=True)
        except OSError as error:
            self.unwritten = error
            raise


def none_or(count: int) -> str:
    """The count, or the word `none` for 0."""
    return str(count) if count else "none"
