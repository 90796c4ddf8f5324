"""Does an engine keep the promises of EventLog? Run these checks on your own.

@pytest.mark.parametrize("name", CHECKS)
async def test_my_engine(name):
    async with MyLog() as log:
        await check(log, name)
"""

from streamfold.log.contract.reading import check
from streamfold.log.contract.writing import CHECKS

__all__ = ["CHECKS", "check"]
