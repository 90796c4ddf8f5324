"""What an endpoint answers, before it is sent: a JSON body, a stream, or a refusal in the dialect's words.

In      values, Problems
Out     Json, Stream, Pending; error bodies
Units   HTTP statuses; Unix seconds
Errors  none
Source  docs/reference/emulator.md; error bodies: the protocol reference, section 9
"""

from typing import Any, TypeAlias

import msgspec
from attrs import frozen

from streamfold.emulator.record import Record
from streamfold.emulator.request import Problem
from streamfold.emulator.wire import error_body
from streamfold.schema import Dialect

__all__ = ["Json", "Pending", "Reply", "Stream", "refusal"]

Headers: TypeAlias = tuple[tuple[str, str], ...]


@frozen
class Json:
    """A whole JSON answer."""

    status: int
    body: bytes
    headers: Headers = ()

    @classmethod
    def of(cls, value: Any, *, status: int = 200) -> "Json":
        """The answer that holds this value."""
        return cls(status, msgspec.json.encode(value))


@frozen(kw_only=True)
class Stream:
    """A stream of a Record's events.

    start: the index of its first entry. obfuscation: whether deltas carry padding. single: type and data of the only
    event of a stream of a Response that was over already. is_foreground: whether the answer is the only way to see
    these events, so that leaving it may cancel the Response.
    """

    record: Record
    dialect: Dialect
    obfuscation: bool
    start: int = 0
    single: tuple[str, bytes] | None = None
    is_foreground: bool = False


@frozen
class Pending:
    """A Response that is answered as JSON when it is over."""

    record: Record


Reply: TypeAlias = Json | Stream | Pending


def refusal(
    problem: Problem, dialect: Dialect, *, invalid_status: int = 400, retry_after_seconds: float | None = None
) -> Json:
    """The answer that tells a Problem. invalid_status: for a field that is out of its range."""
    status = invalid_status if problem.status == 400 and problem.code == "invalid_value" else problem.status
    headers: Headers = () if retry_after_seconds is None else (("retry-after", f"{retry_after_seconds:g}"),)
    return Json(status, error_body(problem, dialect), headers)
