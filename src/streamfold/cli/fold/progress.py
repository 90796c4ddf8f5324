"""A bar on stderr while a large file is read: how far, how fast, how long yet.

In      a Source, and its chunks
Out     the same chunks; the bar while a terminal is there to show it, nothing otherwise
Units   bytes, as they stand in the file
"""

import sys
from collections.abc import Iterator

from streamfold.cli.fold.source import Source

__all__ = ["MIN_BYTES", "with_progress"]

MIN_BYTES = 8 * 1024 * 1024
"""What a file must have for a bar: a smaller one is read in a tenth of a second."""


def with_progress(source: Source, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, with a bar for them if the source is large and stderr is a terminal."""
    if source.size is None or source.size < MIN_BYTES or sys.stderr is None or not sys.stderr.isatty():
        return chunks
    return _with_bar(source, chunks, size=source.size)


def _with_bar(source: Source, chunks: Iterator[bytes], *, size: int) -> Iterator[bytes]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=size)
        for chunk in chunks:
            progress.update(task, completed=source.position)
            yield chunk
