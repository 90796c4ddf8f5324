"""The commands, put together.

In      arguments, without the program's name
Out     the exit code of the command they name; for arguments that name none, one line and 2
Source  docs/reference/cli.md
"""

from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App, CycloptsError, Parameter

from streamfold.cli.demo import demo
from streamfold.cli.emulator import emulator
from streamfold.cli.failure import USAGE, Failure, say
from streamfold.cli.fold.command import fold
from streamfold.cli.inspect import inspect
from streamfold.cli.log.commands import log_commands
from streamfold.cli.response.batch import batch_commands
from streamfold.cli.response.cancel import cancel
from streamfold.cli.response.create import create
from streamfold.cli.response.follow import follow

__all__ = ["app", "run"]


def _version() -> str:
    return version("streamfold")


app: App = App(
    name="streamfold",
    help="Event-sourced state for streamed LLM responses.",
    help_format="plaintext",  # its default, Markdown, takes 25 ms to load
    version=_version,
    default_parameter=Parameter(negative=()),
    result_action="return_value",
)
for _command in (demo, create, follow, cancel, batch_commands(), fold, log_commands(), inspect, emulator):
    app.command(_command)


def _with_stdin_last(arguments: Sequence[str]) -> list[str]:
    """Cyclopts takes a lone `-` for an option; behind `--` it is an argument, as everywhere else. Only a FILE may be one."""
    takes_a_file = arguments[:1] == ["fold"] or arguments[:2] in (["log", "import"], ["log", "export"])
    if not takes_a_file or "-" not in arguments or "--" in arguments:
        return list(arguments)
    return [*(each for each in arguments if each != "-"), "--", "-"]


def run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name. Returns: its exit code."""
    arguments = list(arguments)
    try:
        exit_code: object = app(_with_stdin_last(arguments), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        say(f"{str(error).rstrip('. ')}; see streamfold --help")
        return USAGE
    except Failure as failure:
        say(failure.reason)
        return failure.exit_code
    return exit_code if isinstance(exit_code, int) else 0
