"""Does an engine keep the promise of `EventLog`? Run these checks on your own.

In      an empty EventLog, and how to let time go by for it
Out     nothing, or AssertionError with what was broken
Units   seconds
Errors  AssertionError
Source  streamfold.log.log; docs/reference/log.md

    @pytest.mark.parametrize("name", CHECKS)
    async def test_my_engine(name):
        async with MyLog() as log:
            await check(log, name)
"""

from streamfold.log.contract.suite import CHECKS, check

__all__ = ["CHECKS", "check"]
