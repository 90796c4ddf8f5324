"""The door of the command line, which nothing imports.

In      the arguments of the process
Out     an exit code
Source  docs/reference/cli.md
"""

from streamfold.cli.entry import main

__all__ = ["main"]
