"""Does a transport keep the contract of `Transport`? Run these checks on your own:

@pytest.mark.parametrize("name", CHECKS)
async def test_my_transport(name):
    async with my_transport() as transport:
        await check(transport, name)
"""

from streamfold.client.conformance.site import FaultyServer, Story, Wire, chunk, head, serve
from streamfold.client.conformance.suite import CHECKS, check

__all__ = ["CHECKS", "FaultyServer", "Story", "Wire", "check", "chunk", "head", "serve"]
