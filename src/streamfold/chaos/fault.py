"""What can go wrong with an answer, as values; and the text form in which faults are written everywhere.

`after_events=3` always means: three events of this answer were sent as they should be, and then it happens. Events and
bytes count within one answer, from its beginning. As text, fields stand between commas and faults between semicolons:
`drop:after_events=3,how=rst;gzip`.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from math import inf
from types import MappingProxyType
from typing import Any, ClassVar

from attrs import Attribute, field, fields, fields_dict, frozen

from streamfold.errors import InvalidArgument

__all__ = [
    "FAULTS",
    "Corrupt",
    "Drip",
    "Drop",
    "Duplicate",
    "ErrorFlat",
    "ErrorNested",
    "Fault",
    "FaultTarget",
    "Gap",
    "Gzip",
    "How",
    "Html",
    "KeepaliveFirst",
    "NoTerminal",
    "Refuse",
    "Renumber",
    "Reorder",
    "Stall",
    "TwoTerminals",
    "Where",
    "parse_faults",
]


class FaultTarget(StrEnum):
    """Which answers a fault applies to."""

    ALL = "all"
    STREAM = "stream"  # any stream
    CREATE = "create"
    RESUME = "resume"  # a GET that streams
    RETRIEVE = "retrieve"  # a GET that does not
    CANCEL = "cancel"


class How(StrEnum):
    """How a connection ends: closed in order, or reset."""

    FIN = "fin"
    RST = "rst"


class Where(StrEnum):
    """Where in the answer a connection ends."""

    BETWEEN = "between"  # two events
    FRAME = "frame"  # in the middle of the next event
    CHARACTER = "character"  # inside a character of several bytes, in the next event that has one
    CHUNK = "chunk"  # inside the HTTP chunk header of the next event
    HEAD = "head"  # before the status line


MOST_SHOWN = 60  # characters of a refused value
MOST_EVENTS = 2**53 - 1  # the largest whole number that every JSON reader keeps exactly


def _not(value: object) -> str:
    """The value that was refused, if it is short: a number of 5,000 digits would not even print."""
    is_short = not isinstance(value, int) or abs(value) < 10**MOST_SHOWN
    shown = repr(value) if is_short else ""
    return f", not {shown}" if 0 < len(shown) <= MOST_SHOWN else ""


def check_number(lowest: float, highest: float = inf) -> Callable[[Any, "Attribute[Any]", Any], None]:
    """An attrs validator for a number in this range, or None. Its message names the object's `name` and the field."""

    def check(owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
        if value is None or (isinstance(value, int | float) and lowest <= value <= highest):
            return
        is_bounded = highest < MOST_EVENTS or (isinstance(value, int | float) and value > highest)
        expected = f"from {lowest:.16g} to {highest:.16g}" if is_bounded else f"{lowest:g} or more"
        raise InvalidArgument(f"{owner.name}.{attribute.name}", f"must be {expected}{_not(value)}")

    return check


def _check_word(kind: type[StrEnum]) -> Callable[[Any, "Attribute[Any]", Any], None]:
    def check(fault: "Fault", attribute: "Attribute[Any]", value: object) -> None:
        if value not in list(kind):
            raise InvalidArgument(f"{fault.name}.{attribute.name}", f"must be {' or '.join(kind)}{_not(value)}")

    return check


MOST_SECONDS = 366 * 24 * 60 * 60.0
WITHOUT_BODY = (204, 205, 304)

_COUNT = check_number(0, MOST_EVENTS)
_POSITIVE = check_number(1, MOST_EVENTS)
_SECONDS = check_number(0, MOST_SECONDS)
_TARGET = _check_word(FaultTarget)


def _has_body(fault: "Fault", attribute: "Attribute[Any]", value: object) -> None:
    if value in WITHOUT_BODY:
        raise InvalidArgument(f"{fault.name}.{attribute.name}", f"must not be {value}, which has no body")


@frozen(kw_only=True)
class Fault:
    """What all faults share.

    name: its key in FAULTS. on: which answers it applies to. times: how many of them; None for all.
    """

    name: ClassVar[str] = ""

    on: FaultTarget = field(default=FaultTarget.STREAM, validator=_TARGET)
    times: int | None = field(default=None, validator=_POSITIVE)

    def __str__(self) -> str:
        """The fault as text: its name and the fields that differ from their defaults."""
        values = ((each, getattr(self, each.name)) for each in fields(type(self)))
        given = [f"{each.name}={value}" for each, value in values if value != each.default]
        return self.name + ":" * bool(given) + ",".join(given)


@frozen(kw_only=True)
class Drop(Fault):
    """The connection ends after this many events or bytes of the body, whichever comes first; at once without either."""

    after_events: int | None = field(default=None, validator=_COUNT)
    after_bytes: int | None = field(default=None, validator=_COUNT)
    how: How = field(default=How.FIN, validator=_check_word(How))
    where: Where = field(default=Where.BETWEEN, validator=_check_word(Where))


@frozen(kw_only=True)
class Stall(Fault):
    """Nothing is sent for a while, not even a comment."""

    after_events: int = field(default=0, validator=_COUNT)
    seconds: float = field(default=10.0, validator=_SECONDS)


@frozen(kw_only=True)
class Drip(Fault):
    """All bytes come, but few at a time. bytes: per write. seconds: between two writes."""

    bytes: int = field(default=1, validator=_POSITIVE)
    seconds: float = field(default=0.0, validator=_SECONDS)


@frozen(kw_only=True)
class Duplicate(Fault):
    """The last event is sent again, `count` times."""

    after_events: int = field(default=1, validator=_POSITIVE)
    count: int = field(default=1, validator=_POSITIVE)


@frozen(kw_only=True)
class Reorder(Fault):
    """The next two events change places."""

    after_events: int = field(default=1, validator=_COUNT)


@frozen(kw_only=True)
class Gap(Fault):
    """The next `count` events are left out, and their numbers with them."""

    after_events: int = field(default=1, validator=_COUNT)
    count: int = field(default=1, validator=_POSITIVE)


@frozen(kw_only=True)
class Renumber(Fault):
    """From the next event on, every sequence number is larger by `by`."""

    after_events: int = field(default=0, validator=_COUNT)
    by: int = field(default=1, validator=check_number(-MOST_EVENTS, MOST_EVENTS))


@frozen(kw_only=True)
class Corrupt(Fault):
    """The middle byte of the next event's data becomes 0xff, which is never valid UTF-8."""

    after_events: int = field(default=1, validator=_COUNT)


@frozen(kw_only=True)
class KeepaliveFirst(Fault):
    """A `keepalive` event comes before `response.created` and takes the first sequence number."""

    on: FaultTarget = field(default=FaultTarget.CREATE, validator=_TARGET)


@frozen(kw_only=True)
class ErrorNested(Fault):
    """An `error` event as OpenAI sends it, `{"error": {...}}`, and the Response has failed."""

    on: FaultTarget = field(default=FaultTarget.CREATE, validator=_TARGET)
    after_events: int = field(default=3, validator=_COUNT)


@frozen(kw_only=True)
class ErrorFlat(Fault):
    """An `error` event as MKA1 sends it, `{"code", "message", "param"}`, and the Response has failed."""

    on: FaultTarget = field(default=FaultTarget.CREATE, validator=_TARGET)
    after_events: int = field(default=3, validator=_COUNT)


@frozen(kw_only=True)
class NoTerminal(Fault):
    """The answer ends cleanly but without its terminal event."""


@frozen(kw_only=True)
class TwoTerminals(Fault):
    """The terminal event comes again, with the next number."""


@frozen(kw_only=True)
class Html(Fault):
    """An HTML page instead of the answer."""

    status: int = field(default=200, validator=[check_number(200, 599), _has_body])


@frozen(kw_only=True)
class Refuse(Fault):
    """An error instead of the answer. retry_after: seconds; None for the server's own."""

    on: FaultTarget = field(default=FaultTarget.ALL, validator=_TARGET)
    status: int = field(default=500, validator=check_number(400, 599))
    retry_after: float | None = field(default=None, validator=_SECONDS)


@frozen(kw_only=True)
class Gzip(Fault):
    """The body is compressed, and flushed after each event."""


FAULTS: Mapping[str, type[Fault]] = MappingProxyType(
    {
        "drop": Drop,
        "stall": Stall,
        "drip": Drip,
        "duplicate": Duplicate,
        "reorder": Reorder,
        "gap": Gap,
        "renumber": Renumber,
        "corrupt": Corrupt,
        "keepalive": KeepaliveFirst,
        "error_nested": ErrorNested,
        "error_flat": ErrorFlat,
        "no_terminal": NoTerminal,
        "two_terminals": TwoTerminals,
        "html": Html,
        "refuse": Refuse,
        "gzip": Gzip,
    }
)
"""The kinds of fault by name."""

for _name, _kind in FAULTS.items():
    _kind.name = _name


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split("+"))


# How a field of each type is read from text; an enum reads its own words.
READERS: Mapping[Any, Any] = {
    int: int,
    int | None: int,
    float: float,
    float | None: float,
    tuple[str, ...]: _names,
}


def parse_faults(text: str) -> tuple[Fault, ...]:
    """The faults that a text names, in its order. `str` of a fault is its text again.

    Raises:
        InvalidArgument: There is no such fault or field, or a value is out of its range; the message lists what there is.
    """
    return tuple(_parse_fault(each.strip()) for each in text.split(";") if each.strip())


def _parse_fault(text: str) -> Fault:
    name, _, rest = (each.strip() for each in text.partition(":"))
    kind = FAULTS.get(name)
    if kind is None:
        raise InvalidArgument("fault", f"unknown fault {name[:MOST_SHOWN]!r} (expected {', '.join(FAULTS)})")
    return kind(**read_fields(name, rest, fields_dict(kind)))


def read_fields(name: str, text: str, known: Mapping[str, "Attribute[Any]"]) -> dict[str, Any]:
    """The fields in a text such as `after_events=3,how=rst`. name: whose fields they are, for the message."""
    given: dict[str, Any] = {}
    for pair in text.split(",") if text else ():
        key, is_pair, value = (each.strip() for each in pair.partition("="))
        if key not in known or not is_pair:
            expected = ", ".join(f"{each}=" for each in known)
            raise InvalidArgument(f"{name}.{key[:MOST_SHOWN]}", f"unknown field (expected {expected})")
        read = READERS.get(known[key].type, known[key].type)
        try:
            given[key] = read(value)
        except ValueError:
            words = " or ".join(read) if read not in (int, float) else "a number"
            raise InvalidArgument(f"{name}.{key}", f"must be {words}{_not(value)}") from None
    return given
