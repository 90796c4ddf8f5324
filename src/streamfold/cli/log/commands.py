"""`streamfold log ...`: the commands on a log, put together.

In      nothing
Out     the group of commands
Source  docs/reference/cli.md
"""

from collections.abc import Callable

from cyclopts import App

from streamfold.cli.log.diff import diff
from streamfold.cli.log.health import doctor, verify
from streamfold.cli.log.listing import ls
from streamfold.cli.log.show import replay, show
from streamfold.cli.log.transfer import export, import_
from streamfold.cli.log.upkeep import drop, expire, fork

__all__ = ["log_commands"]


def log_commands() -> App:
    """All of them, below `streamfold log`."""
    log = App(name="log", help="Look into a log of responses, go back in time, copy and verify what it has.")
    commands: list[Callable[..., int]] = [ls, show, replay, diff, export, fork, verify, doctor, expire, drop]
    for command in commands:
        log.command(command)
    log.command(import_, name="import")
    return log
