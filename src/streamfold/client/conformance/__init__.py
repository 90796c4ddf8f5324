"""Does a transport keep the contract of `Transport`? Run these checks on your own.

In      a Transport
Out     nothing, or AssertionError with the promise that was broken
Units   seconds
Errors  AssertionError
Source  streamfold.client.transport.transport has the rules, by number; docs/how-to/your-own-http-client.md

    @pytest.mark.parametrize("name", CHECKS)
    async def test_my_transport(name):
        async with my_transport() as transport:
            await check(transport, name)
"""

from streamfold.client.conformance.faults import Server, Story, Wire, chunk, head, serve
from streamfold.client.conformance.suite import CHECKS, check

__all__ = ["CHECKS", "Server", "Story", "Wire", "check", "chunk", "head", "serve"]
