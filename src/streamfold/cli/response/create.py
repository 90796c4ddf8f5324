"""`streamfold create`: create a response, and wait for it, leave it in the background, or follow it."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter
from msgspec import DecodeError, to_builtins
from msgspec.json import decode, encode

from streamfold.cli.log.place import NO_LOG, RecordFlags
from streamfold.cli.options import STDIN, EventDocuments
from streamfold.cli.response.follow import Following, choose_view, follow_to_the_end
from streamfold.cli.response.gateway import visit
from streamfold.cli.settings import Flags, Settings, read_settings
from streamfold.cli.terminal import ERROR, USAGE, Failure, Output, say, say_command
from streamfold.schema import Response, is_terminal_status

if TYPE_CHECKING:
    from streamfold.client import FollowedResponse, Gateway
    from streamfold.log import EventLog

REQUEST = Group("Request", sort_key=1)


def create(
    *,
    model: Annotated[str, Parameter(help="The model.", group=REQUEST)],
    input: Annotated[
        str | None, Parameter(help="The prompt; - reads stdin.", group=REQUEST, allow_leading_hyphen=True)
    ] = None,
    instructions: Annotated[
        str | None, Parameter(help="The system message.", group=REQUEST, allow_leading_hyphen=True)
    ] = None,
    background: Annotated[
        bool,
        Parameter(help="Keep it running at the gateway if you disconnect.", group=REQUEST, show_default=False),
    ] = False,
    parameter: Annotated[
        list[str] | None,
        Parameter(help="Any other API parameter, as NAME=VALUE. VALUE is JSON or plain text.", group=REQUEST),
    ] = None,
    stream: Annotated[bool, Parameter(help="Follow it, like streamfold follow.", show_default=False)] = False,
    json: EventDocuments = False,
    into: RecordFlags = NO_LOG,
    flags: Flags | None = None,
) -> int:
    """Create a response."""
    parameters: dict[str, Any] = _parameters(parameter or ())
    parameters |= {"model": model} | ({"background": True} if background else {})
    parameters |= {} if input is None else {"input": sys.stdin.read() if input == STDIN and sys.stdin else input}
    parameters |= {} if instructions is None else {"instructions": instructions}
    if len(parameters) == 1 + background:
        raise Failure("no prompt: pass --input TEXT, or --input - to read stdin", USAGE)
    settings = read_settings(flags)
    if stream:
        return _create_and_follow(settings, parameters, json=json, into=into)
    if into.log:
        raise Failure("--log needs --stream: without it there are no events to record", USAGE)
    response = visit(settings, lambda gateway: gateway.create(**parameters))
    return _print(response, settings, json=json)


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


def _create_and_follow(settings: Settings, parameters: dict[str, Any], *, json: bool, into: RecordFlags) -> int:
    view = choose_view(Output(), settings, json=json)

    async def begin(gateway: "Gateway", log: "EventLog | None") -> "FollowedResponse":
        from streamfold.client import record

        response = gateway.stream(on_repair=view.repair, **parameters)
        return response if log is None else record(response, log, tenant=into.tenant)

    return follow_to_the_end(settings, Following(view), begin, into=into, json=json)


def _print(response: Response, settings: Settings, *, json: bool) -> int:
    output = Output()
    is_over = is_terminal_status(response.status)
    if json:
        output.write_bytes(encode(to_builtins(response) | {"output_text": response.output_text}) + b"\n")
    elif is_over:
        text = response.output_text
        output.write(text if text.endswith("\n") else f"{text}\n")
    else:
        output.write(f"{response.id}\n")
        say(f"{response.status}; follow it with:")
        say_command("follow", response.id or "", *settings.flags)
    if not is_over or response.status == "completed":
        return 0
    say(settings.hide(f"{response.id}: {response.status}: {_reason(response)}"))
    return ERROR


def _reason(response: Response) -> str:
    error, details = response.error, response.incomplete_details
    return (error and error.message) or (details and details.reason) or "no reason given"
