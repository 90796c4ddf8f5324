"""The contract's checks, all of them, and how one is run.

In      an empty EventLog, and how to let time go by for it
Out     nothing, or AssertionError with what was broken
Units   seconds
Errors  AssertionError
Source  docs/reference/log.md
"""

from collections.abc import Mapping

import anyio

from streamfold.log.contract.reading import READING
from streamfold.log.contract.site import Check, Site, Sleep
from streamfold.log.contract.writing import WRITING
from streamfold.log.log import EventLog

__all__ = ["CHECKS", "check"]

CHECKS: Mapping[str, Check] = {**WRITING, **READING}
MOST_SECONDS = 60.0


async def check(log: EventLog, name: str, *, sleep: Sleep = anyio.sleep) -> None:
    """Run one of CHECKS. log: an empty one. sleep: lets so many seconds of the log's own clock go by.

    Raises: AssertionError.
    """
    with anyio.fail_after(MOST_SECONDS):
        await CHECKS[name](Site(log, sleep))
