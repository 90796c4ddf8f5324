"""What the query of a GET asks for, or the problem that refuses it.

`include` and `include[]` mean the same: one SDK repeats the one, the other SDK the other. If any other parameter is
given twice, the last one counts. Unknown parameters are ignored. Nothing here raises: bad input is a value.
"""

from typing import Literal, TypeAlias
from urllib.parse import parse_qsl

from attrs import frozen

from streamfold.schema import Dialect
from streamfold.serving.create import check_parameter
from streamfold.serving.reply import Problem, invalid

__all__ = ["PageQuery", "RetrieveQuery", "read_page_query", "read_retrieve_query"]

Order: TypeAlias = Literal["asc", "desc"]
MAX_LIMIT = 100
MAX_CURSOR = 2**53 - 1  # the largest whole number that every JSON reader keeps exactly


@frozen(kw_only=True)
class RetrieveQuery:
    """How a Response is asked for. starting_after: the cursor, exclusive; None for all events."""

    stream: bool = False
    starting_after: int | None = None
    include: tuple[str, ...] = ()
    include_obfuscation: bool | None = None


@frozen(kw_only=True)
class PageQuery:
    """Which page of a list is asked for. after, before: ids of the objects next to it, which are not in it."""

    after: str | None = None
    before: str | None = None
    limit: int = 20
    order: Order = "desc"
    include: tuple[str, ...] = ()


def read_retrieve_query(query: bytes, dialect: Dialect) -> RetrieveQuery | Problem:
    """What GET .../responses/{id} asks for. Without `stream`, a valid `starting_after` has no effect."""
    given, include = _parse(query)
    cursor = _read_cursor(given.get("starting_after", ""), dialect)
    stream, obfuscation = _read_boolean(given, "stream"), _read_boolean(given, "include_obfuscation")
    for each in (_check_include(include, dialect), cursor, stream, obfuscation):
        if isinstance(each, Problem):
            return each
    return RetrieveQuery(
        stream=stream is True,
        starting_after=cursor if isinstance(cursor, int) else None,
        include=include,
        include_obfuscation=obfuscation if isinstance(obfuscation, bool) else None,
    )


def read_page_query(query: bytes, dialect: Dialect) -> PageQuery | Problem:
    """What a GET of a list, or of input_items, asks for."""
    given, include = _parse(query)
    if problem := _check_include(include, dialect):
        return problem
    set_ones = {name: value for name, value in given.items() if value}
    limit = _whole_number("limit", set_ones.get("limit", "20"), 1, MAX_LIMIT)
    if isinstance(limit, Problem):
        return limit
    order = set_ones.get("order", "desc")
    if order not in ("asc", "desc"):
        return invalid("order", "must be asc or desc")
    return PageQuery(
        after=set_ones.get("after"),
        before=set_ones.get("before"),
        limit=limit,
        order="asc" if order == "asc" else "desc",
        include=include,
    )


def _parse(query: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    pairs = parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True)
    include = tuple(value for name, value in pairs if name in ("include", "include[]"))
    return dict(pairs), include


def _check_include(include: tuple[str, ...], dialect: Dialect) -> Problem | None:
    complaint = check_parameter("include", list(include), dialect)
    return invalid(*complaint) if complaint else None


def _read_cursor(text: str, dialect: Dialect) -> int | Problem | None:
    """The cursor, from the dialect's lowest on; None if there is no text."""
    if not text:
        return None
    return _whole_number("starting_after", text, dialect.lowest_starting_after or 0, MAX_CURSOR)


def _whole_number(name: str, text: str, low: int, high: int) -> int | Problem:
    digits = text.removeprefix("-")
    is_whole = digits.isascii() and digits.isdigit() and len(digits) <= len(str(MAX_CURSOR))
    if is_whole and low <= int(text) <= high:
        return int(text)
    return invalid(name, f"must be a whole number from {low} to {high}")


def _read_boolean(given: dict[str, str], name: str) -> bool | Problem | None:
    match given.get(name, "").lower():
        case "":
            return None
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            return invalid(name, "must be true or false")
