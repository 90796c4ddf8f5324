"""JSON for a reader at a terminal: indented, coloured while it is short, and nothing in it that steers.

In      JSON bytes; C0 controls are already escaped in them, by the rules of JSON
Out     the same JSON, indented by two, on the terminal
Units   characters
"""

import re

from msgspec import json

from streamfold.cli.terminal import Output

__all__ = ["write_pretty"]

MAX_COLOURED = 256 * 1024  # colours are found by regular expressions, a megabyte in a second
OTHER_CONTROLS = re.compile("[\x7f-\x9f]")


def write_pretty(data: bytes, output: Output, *, has_colours: bool) -> None:
    """The JSON, on the terminal. has_colours: where the terminal has them, and the JSON is not too long."""
    text = OTHER_CONTROLS.sub(_escape, json.format(data, indent=2).decode())
    if has_colours and len(text) <= MAX_COLOURED:
        _write_coloured(text)
    else:
        output.write(f"{text}\n")


def _escape(control: re.Match[str]) -> str:
    return f"\\u{ord(control[0]):04x}"


def _write_coloured(text: str) -> None:
    from rich.console import Console
    from rich.highlighter import JSONHighlighter

    Console().print(JSONHighlighter()(text), soft_wrap=True)
