"""Rows of a list: drawn as a table on a terminal, with tabs between the columns in a pipe."""

from collections.abc import Sequence

from streamfold.cli.terminal import Output, in_a_row


def write_rows(output: Output, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write the rows. Only the table has a header."""
    if not output.is_terminal:
        output.write("".join("\t".join(map(in_a_row, row)) + "\n" for row in rows))
        return
    from rich.table import Table
    from rich.text import Text

    from streamfold.cli.output.console import Drawing

    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(in_a_row(cell), no_wrap=True) for cell in row))
    Drawing().print(table)
