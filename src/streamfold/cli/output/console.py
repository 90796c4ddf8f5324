"""What rich draws: every piece of text is visible, and between them stand rich's own sequences only."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress, ProgressColumn
from rich.segment import Segment

from streamfold.cli.terminal import is_terminal, unguarded_stderr, visible

MIN_COLUMNS = 20  # rich takes minutes to fit a help page into one


class Drawing(Console):
    """A Console on stdout or stderr. Commands use no other."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(file=unguarded_stderr() if stderr else None)
        self.width = max(self.width, MIN_COLUMNS)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render it as rich does. Each segment has its text, or is a sequence of rich's own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Leave it to the command that draws: rich would end the process."""
        raise BrokenPipeError


def progress_bar(*columns: ProgressColumn) -> Progress | None:
    """Return a bar on stderr that disappears at the end; None if stderr is not a terminal."""
    if not is_terminal(unguarded_stderr()):
        return None
    return Progress(
        *columns, console=Drawing(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
    )
