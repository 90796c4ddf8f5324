"""The commands, put together."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter, UnusedCliTokensError

from streamfold.cli.demo import demo
from streamfold.cli.emulator import emulator
from streamfold.cli.fold.command import fold
from streamfold.cli.log.show import diff, inspect, ls, replay, show
from streamfold.cli.log.upkeep import doctor, drop, expire, export, fork, import_, verify
from streamfold.cli.relay import relay
from streamfold.cli.response.batch import batch_commands
from streamfold.cli.response.follow import cancel, create, follow
from streamfold.cli.response.show import get, list_
from streamfold.cli.terminal import USAGE, Failure, Output, say

PAGES = {"--help", "-h", "--version"}  # what cyclopts prints itself, as it does for a group without a command


def _log_commands() -> App:
    log = App(name="log", help="Work with a log of responses: list, replay, compare, copy and verify them.")
    commands: list[Callable[..., int]] = [ls, show, replay, diff, export, fork, verify, doctor, expire, drop]
    for command in commands:
        log.command(command)
    log.command(import_, name="import")
    return log


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(name="SHELL", help="bash, zsh or fish.")], /
) -> int:
    """Print a script that completes commands and options in a shell."""
    Output().write(app.generate_completion(shell=shell))
    return 0


app: App = App(
    name="streamfold",
    help="Follow, record and inspect streamed LLM responses.",
    help_format="plaintext",  # the default, Markdown, takes 25 ms to load
    version=lambda: version("streamfold"),  # looked up only if asked for
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # entry.py reports it
)
for _command in (
    demo,
    create,
    get,
    follow,
    cancel,
    batch_commands(),
    fold,
    _log_commands(),
    inspect,
    emulator,
    relay,
    completion,
):
    app.command(_command)
app.command(list_, name="list")


def _with_stdin_last(arguments: Sequence[str]) -> list[str]:
    """Cyclopts takes a lone `-` for an option; after `--` it is an argument. Only a FILE may be one."""
    takes_a_file = arguments[:1] == ["fold"] or arguments[:2] in (["log", "import"], ["log", "export"])
    if not takes_a_file or "-" not in arguments or "--" in arguments:
        return list(arguments)
    return [*(each for each in arguments if each != "-"), "--", "-"]


def _usage(error: CycloptsError) -> str:
    command = " ".join(["streamfold", *(error.command_chain or ())])
    sentence, _, _ = str(error).partition(" Available commands: ")
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        sentence = f"unexpected argument {error.unused_tokens[0]!r}"
    elif isinstance(error, MissingArgumentError) and error.argument is not None:
        is_given = error.keyword is not None or error.argument.tokens
        sentence = f"{error.keyword or error.argument.name} {'needs a value' if is_given else 'is required'}"
    sentence = sentence.rstrip(". ")
    return f"{sentence} See {command} --help" if sentence.endswith("?") else f"{sentence}; see {command} --help"


def run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name, and return its exit code."""
    arguments = list(arguments)
    console = None
    if len(arguments) < 2 or PAGES & set(arguments):
        from streamfold.cli.output.console import Drawing  # rich takes 60 ms to load

        console = Drawing()
    try:
        exit_code: object = app(_with_stdin_last(arguments), exit_on_error=False, print_error=False, console=console)
    except CycloptsError as error:
        say(_usage(error))
        return USAGE
    except Failure as failure:
        say(failure.reason)
        return failure.exit_code
    return exit_code if isinstance(exit_code, int) else 0
