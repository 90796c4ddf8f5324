"""A whole number as an option's value.

In      the words that cyclopts took for it
Out     an int; cyclopts' own reading takes 1.5 too, and drops the half
Errors  ValueError, which becomes wrong usage
"""

from collections.abc import Sequence
from typing import Any

from cyclopts import Token

__all__ = ["whole_number"]


def whole_number(_: Any, tokens: Sequence[Token]) -> int:
    """The number that the option's one word is.

    Raises: ValueError.
    """
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f'"{tokens[0].value}" is no whole number') from None
