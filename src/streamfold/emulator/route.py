"""Which endpoint a method and a path name, in which dialect.

In      the method and the path of a request
Out     a Route, or the Problem that it names none
Units   HTTP statuses
Errors  none
Source  docs/reference/emulator.md
"""

import re
from typing import NamedTuple

from streamfold.emulator.request import Problem
from streamfold.schema import MKA1, OPENAI, Dialect

__all__ = ["Route", "dialect_of", "find_route"]


class Route(NamedTuple):
    """One endpoint, as `retrieve_response`, and the id in its path; empty where it has none."""

    endpoint: str
    dialect: Dialect
    id: str = ""


_PREFIXES = {str(each.path_prefix): each for each in (MKA1, OPENAI)}
_ID = r"(?P<id>[^/]+)"
_TABLE = {
    r"/responses": {"POST": "create_response", "GET": "list_responses"},
    rf"/responses/{_ID}": {"GET": "retrieve_response", "POST": "update_response", "DELETE": "delete_response"},
    rf"/responses/{_ID}/cancel": {"POST": "cancel_response"},
    rf"/responses/{_ID}/input_items": {"GET": "list_input_items"},
    r"/batches": {"POST": "create_batch", "GET": "list_batches"},
    rf"/batches/{_ID}": {"GET": "retrieve_batch"},
    rf"/batches/{_ID}/cancel": {"POST": "cancel_batch"},
}
_PATHS = {re.compile(pattern): methods for pattern, methods in _TABLE.items()}


def find_route(method: str, path: str) -> Route | Problem:
    """The endpoint, 404 for a path that is none, 405 for a method that it does not take."""
    for prefix, dialect in _PREFIXES.items():
        if not path.startswith(f"{prefix}/"):
            continue
        for pattern, methods in _PATHS.items():
            found = pattern.fullmatch(path.removeprefix(prefix).rstrip("/"))
            if found and method in methods:
                return Route(methods[method], dialect, found.groupdict().get("id", ""))
            if found:
                return Problem(405, f"Method {method} is not allowed here; use {' or '.join(methods)}.")
    return Problem(404, f"Unknown request URL: {method} {path}. Try /api/v1/llm/responses or /v1/responses.")


def dialect_of(path: str) -> Dialect:
    """The dialect of a path, even of one that names no endpoint."""
    return next((each for prefix, each in _PREFIXES.items() if path.startswith(prefix)), MKA1)
