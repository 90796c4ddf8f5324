"""Faults as text, written one way everywhere: options, the request header, plans.

In      `drop:after_events=3,how=rst;gzip`: faults between semicolons, fields between commas
Out     Faults
Units   those of the fields
Errors  InvalidArgument that names what cannot be read
Source  docs/reference/emulator.md
"""

from collections.abc import Mapping
from typing import Any

from attrs import fields_dict

from streamfold.chaos.fault import FAULTS, Fault
from streamfold.errors import InvalidArgument

__all__ = ["parse_faults"]

# How a field of each type is read; a word is read by its own type.
READERS: Mapping[Any, Any] = {int: int, int | None: int, float: float, float | None: float}


def parse_faults(text: str) -> tuple[Fault, ...]:
    """The faults that a text names, in its order; none for an empty one. `str` of each gives its text again.

    Raises: InvalidArgument that names the fault and the field.
    """
    return tuple(_parse_fault(each.strip()) for each in text.split(";") if each.strip())


def _parse_fault(text: str) -> Fault:
    name, _, rest = (each.strip() for each in text.partition(":"))
    kind = FAULTS.get(name)
    if kind is None:
        raise InvalidArgument("fault", f"{name!r} is none; use {', '.join(FAULTS)}")
    known = fields_dict(kind)
    given: dict[str, Any] = {}
    for pair in rest.split(",") if rest else ():
        key, is_pair, value = (each.strip() for each in pair.partition("="))
        if key not in known or not is_pair:
            raise InvalidArgument(f"{name}.{key}", f"is no field; use {', '.join(f'{each}=' for each in known)}")
        given[key] = _read(name, key, value, READERS.get(known[key].type, known[key].type))
    return kind(**given)


def _read(name: str, key: str, value: str, kind: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        words = " or ".join(kind) if kind not in (int, float) else "a number"
        raise InvalidArgument(f"{name}.{key}", f"{value!r} must be {words}") from None
