"""The line of facts: where in the stream, its status there, its usage, whether it is live.

In      a Timeline, a row, the state there
Out     one line
Units   sequence numbers; tokens
Source  docs/reference/cli.md
"""

from msgspec import Struct
from msgspec.json import Decoder
from rich.text import Text

from streamfold.cli.inspect.row import STATUS_STYLES
from streamfold.cli.inspect.timeline import Timeline
from streamfold.cli.terminal import without_controls
from streamfold.fold import State, snapshot_json
from streamfold.schema import UNDECODABLE

__all__ = ["status_line"]

SEPARATOR = "  ·  "


class _Usage(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Used(Struct):
    usage: _Usage | None = None


_decode_used = Decoder(_Used).decode


def status_line(timeline: Timeline, row: int, state: State | None, *, is_following: bool, told: str) -> Text:
    """The line. told: what else is to be said, first of all."""
    parts: list[Text] = [Text(without_controls(" ".join(told.split())), "bold red")] if told else []
    parts.append(Text(_where(timeline, row), "bold"))
    if state is not None and state.status:
        parts.append(Text(without_controls(state.status), STATUS_STYLES.get(state.status, "yellow")))
    if state is not None and (used := _used(state)):
        parts.append(Text(used))
    parts.append(_how(timeline, is_following=is_following))
    line = Text(SEPARATOR).join(parts)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _where(timeline: Timeline, row: int) -> str:
    last = timeline.last_number
    if last is None:
        return "no event yet"
    number = timeline.number_at(row)
    return f"before {timeline.first:,}" if number is None else f"at {number:,} of {last:,}"


def _used(state: State) -> str:
    """The tokens, where the Response tells them: gateways do so at the end."""
    if not state.is_terminal:
        return ""
    try:
        usage = _decode_used(snapshot_json(state)).usage
    except UNDECODABLE:
        return ""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return ""
    return f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"


def _how(timeline: Timeline, *, is_following: bool) -> Text:
    if timeline.is_finished:
        return Text("finished", "dim")
    return Text("live", "bold green") if is_following else Text("open, not followed (f)", "dim")
