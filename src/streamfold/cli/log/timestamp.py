"""A moment as a user reads it.

In      seconds since 1970
Out     as `2026-11-22 11:18:03Z`: in UTC, for a log may be read on another machine
Units   seconds
"""

from datetime import UTC, datetime

__all__ = ["moment"]


def moment(seconds: float) -> str:
    """The second, as a text."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"
