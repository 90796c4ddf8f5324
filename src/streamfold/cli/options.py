"""Options that several commands share, with one help text and one check each."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from cyclopts import Group, Parameter, Token
from cyclopts.validators import Number

from streamfold.fold import SequencePolicy

STDIN = "-"
DEFAULT_MAX_BYTES = 4 * 1024**3

LIMITS = Group("Limits", sort_key=2)
AT_LEAST_ONE = Number(gte=1)


def _whole_number(_: Any, tokens: Sequence[Token]) -> int:
    """Cyclopts itself would accept 1.5 and drop the half."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f'"{tokens[0].value}" is not a whole number') from None


def valid_text(_: object, value: str | Sequence[str] | None) -> None:
    """Refuse an argument that is not UTF-8. Only the name of a file may be any bytes."""
    try:
        "".join(value or ()).encode()
    except UnicodeEncodeError:
        raise ValueError("It must be valid UTF-8") from None


def sequence_number(help: str, *, name: str | None = None) -> Parameter:
    """Describe an option or argument that takes a sequence number."""
    return Parameter(name=name, help=help, converter=_whole_number, validator=Number(gte=0))


def flag_words(flag: str, value: object) -> tuple[str, ...]:
    """Return the words that give a flag its value; none if it has none."""
    if value is None or value == "":
        return ()
    return (f"{flag}={value}",) if str(value).startswith("-") else (flag, str(value))


ResponseId: TypeAlias = Annotated[str, Parameter(name="ID", help="The response's id.")]
RecordedFile: TypeAlias = Annotated[
    str, Parameter(name="FILE", help="A recorded stream, plain or gzip; - reads stdin.")
]
Document: TypeAlias = Annotated[bool, Parameter(help="Print one JSON document.", show_default=False)]
EventDocuments: TypeAlias = Annotated[
    bool, Parameter(help="Print each event as a line of JSON, then the outcome.", show_default=False)
]
Policy: TypeAlias = Annotated[SequencePolicy, Parameter(help="How far to trust the server's sequence numbers.")]
MaxBytes: TypeAlias = Annotated[
    int, Parameter(help="Stop unpacking a gzip file at this size, in bytes.", group=LIMITS, validator=AT_LEAST_ONE)
]
MaxFrameBytes: TypeAlias = Annotated[
    int, Parameter(help="The largest frame to accept, in bytes.", group=LIMITS, validator=AT_LEAST_ONE)
]
