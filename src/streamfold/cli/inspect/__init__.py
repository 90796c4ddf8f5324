"""The door of the terminal program over the log.

In      an id, and where the log is
Out     the command `streamfold inspect`
Source  docs/reference/cli.md
"""

from streamfold.cli.inspect.command import inspect

__all__ = ["inspect"]
