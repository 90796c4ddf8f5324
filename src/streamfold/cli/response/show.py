"""`streamfold get` and `list`: a response, or those that a gateway keeps, as they are now."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from msgspec import to_builtins

from streamfold.cli.options import Document, ResponseId, flag_words, valid_text
from streamfold.cli.output.outcome import answer_words
from streamfold.cli.output.table import write_rows
from streamfold.cli.response.gateway import visit
from streamfold.cli.settings import Flags, Settings, read_settings
from streamfold.cli.terminal import ERROR, Output, print_result, quoted, say, say_command, timestamp
from streamfold.schema import Response, is_terminal_status

COLUMNS = ("response", "status", "created", "model")


def get(id: ResponseId, /, *, json: Document = False, flags: Flags | None = None) -> int:
    """Show a response as it is now."""
    settings = read_settings(flags)
    return print_response(visit(settings, lambda gateway: gateway.retrieve(id)), settings, json=json)


def list_(
    *,
    limit: Annotated[int, Parameter(help="How many, at most 100.", validator=Number(gte=1, lte=100))] = 20,
    after: Annotated[str | None, Parameter(help="List those that follow this id.", validator=valid_text)] = None,
    json: Document = False,
    flags: Flags | None = None,
) -> int:
    """List the responses that the gateway keeps, newest first."""
    settings = read_settings(flags)
    page = visit(settings, lambda gateway: gateway.list(after=after, limit=limit))
    last = page.last_id or (page.data[-1].id if page.data else None)
    if json:
        data = [*map(_document, page.data)]
        Output().write_json({"data": data, "has_more": page.has_more, "last_id": last})
        return 0
    if page.data:
        write_rows(Output(), COLUMNS, [*map(_cells, page.data)])
    else:
        say("no responses")
    if page.has_more and last:
        say(f"there are more; add {' '.join(map(quoted, flag_words('--after', last)))}")
    return 0


def _cells(response: Response) -> tuple[str, ...]:
    try:
        created = "-" if response.created_at is None else timestamp(float(response.created_at))
    except (ValueError, OverflowError, OSError):
        created = "-"
    return response.id or "-", response.status or "-", created, response.model or "-"


def _document(response: Response) -> dict[str, object]:
    return {**to_builtins(response), "output_text": response.output_text}


def print_response(response: Response, settings: Settings, *, json: bool) -> int:
    """Print a response: its text if it has ended, else its id and how to follow it. Returns the exit code."""
    is_over = is_terminal_status(response.status)
    words = response.output_text.removesuffix("\n") if is_over else response.id or ""
    if json or words:
        print_result(_document(response), words, json=json)
    if not json:
        for line in answer_words(response):
            say(settings.hide(line))
    if not is_over and not json:
        say(f"{response.status}; follow it {settings.again}:")
        say_command("follow", id=response.id or "", options=settings.flags)
    if not is_over or response.status == "completed":
        return 0
    say(settings.hide(f"{response.id}: {response.status}: {_reason(response)}"))
    return ERROR


def _reason(response: Response) -> str:
    error, details = response.error, response.incomplete_details
    return (error and error.message) or (details and details.reason) or "no reason given"
