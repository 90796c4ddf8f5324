"""`streamfold create`: a response made, and either waited for, left in the background, or followed.

In      the model, the input, and any other parameter of the API
Out     without --stream: the text, or the id of what runs in the background; with --json the Response on one line.
        With --stream: as `streamfold follow`
Errors  none: each is one line
Source  docs/reference/cli.md
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter
from msgspec import DecodeError
from msgspec.json import decode, encode

from streamfold.cli.failure import ERROR, USAGE, Failure, say, say_command
from streamfold.cli.log.place import NO_LOG, LogFlags
from streamfold.cli.response.following import Following, choose_view, follow_to_the_end, next_command
from streamfold.cli.response.gateway import visit
from streamfold.cli.settings import Flags, Settings, read_settings
from streamfold.cli.terminal import Output
from streamfold.schema import Response, is_terminal_status

if TYPE_CHECKING:
    from streamfold.client import FollowedResponse, Gateway
    from streamfold.log import EventLog

__all__ = ["create"]

ASKED = Group("What is asked", sort_key=1)
STDIN = "-"


def create(
    *,
    model: Annotated[str, Parameter(help="The model.", group=ASKED)],
    input: Annotated[
        str | None, Parameter(help="The prompt; - for stdin.", group=ASKED, allow_leading_hyphen=True)
    ] = None,
    instructions: Annotated[
        str | None, Parameter(help="What the model is told first.", group=ASKED, allow_leading_hyphen=True)
    ] = None,
    background: Annotated[
        bool, Parameter(help="Let it run at the gateway, whoever listens.", group=ASKED, show_default=False)
    ] = False,
    parameter: Annotated[
        list[str] | None,
        Parameter(help="Any other parameter of the API, as NAME=VALUE; VALUE is JSON, or a text.", group=ASKED),
    ] = None,
    stream: Annotated[bool, Parameter(help="Follow it, as streamfold follow does.", show_default=False)] = False,
    json: Annotated[
        bool, Parameter(help="Each event as a line of JSON, the outcome last.", show_default=False)
    ] = False,
    into: LogFlags = NO_LOG,
    flags: Flags | None = None,
) -> int:
    """Make a response."""
    parameters: dict[str, Any] = _parameters(parameter or ())
    parameters |= {"model": model} | ({"background": True} if background else {})
    parameters |= {} if input is None else {"input": sys.stdin.read() if input == STDIN and sys.stdin else input}
    parameters |= {} if instructions is None else {"instructions": instructions}
    if len(parameters) == 1 + background:
        raise Failure("nothing is asked: give --input TEXT, or --input - for stdin", USAGE)
    settings = read_settings(flags)
    if stream:
        return _create_and_follow(settings, parameters, json=json, into=into)
    if into.log:
        raise Failure("--log is for --stream: what is not streamed has no events to record", USAGE)
    response = visit(settings, lambda gateway: gateway.create(**parameters))
    return _tell(response, settings, json=json)


def _parameters(given: Sequence[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for each in given:
        name, is_pair, value = each.partition("=")
        if not is_pair or not name:
            raise Failure(f"--parameter: must be NAME=VALUE, got {each!r}", USAGE)
        try:
            parameters[name] = decode(value)
        except (DecodeError, RecursionError):
            parameters[name] = value
    return parameters


def _create_and_follow(settings: Settings, parameters: dict[str, Any], *, json: bool, into: LogFlags) -> int:
    view = choose_view(Output(), settings, json=json, in_the_middle=False)

    async def begin(gateway: "Gateway", log: "EventLog | None") -> "FollowedResponse":
        from streamfold.client import record

        response = gateway.stream(on_repair=view.repair, **parameters)
        return response if log is None else record(response, log, tenant=into.tenant)

    return follow_to_the_end(settings, Following(view), begin, into=into, again=("--json",) if json else ())


def _tell(response: Response, settings: Settings, *, json: bool) -> int:
    output = Output()
    if json:
        output.write_bytes(encode(response) + b"\n")
    elif is_terminal_status(response.status):
        text = output_text(response)
        output.write(text if text.endswith("\n") else f"{text}\n")
    else:
        output.write(f"{response.id}\n")
        say(f"{response.status}; follow it with:")
        say_command(next_command(response.id or "", None, settings.again))
    if not is_terminal_status(response.status) or response.status == "completed":
        return 0
    error, details = response.error, response.incomplete_details
    because = (error and error.message) or (details and details.reason) or "no reason given"
    say(settings.hide(f"{response.id}: {response.status}: {because}"))
    return ERROR


def output_text(response: Response) -> str:
    """The text of all output_text parts."""
    parts = (part for item in response.output for part in getattr(item, "content", None) or ())
    return "".join(part.text or "" for part in parts if part.type == "output_text")
