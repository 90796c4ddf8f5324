"""All checks, and how to run them."""

import ssl

from streamfold.check import Suite
from streamfold.client.conformance.behaviour import BEHAVIOUR
from streamfold.client.conformance.delivery import DELIVERY
from streamfold.client.conformance.site import MAX_SECONDS, Setup
from streamfold.client.transport.transport import Transport

__all__ = ["CHECKS", "check"]

CHECKS: Suite[Setup] = Suite(DELIVERY, BEHAVIOUR, max_seconds=MAX_SECONDS)
"""The checks by name: the number of the rule, and what must hold."""


async def check(transport: Transport, name: str | None = None, *, tls: ssl.SSLContext | None = None) -> None:
    """Run one check, or all of them, on a transport. It starts servers on 127.0.0.1, and takes some seconds.

    Args:
        transport: The transport to check.
        name: One of CHECKS; None for all.
        tls: A server's context, for a certificate of 127.0.0.1 that the transport trusts: the checks run over https.

    Raises:
        AssertionError: The first rule that is broken.
        KeyError: There is no check of this name.
    """
    for each in CHECKS if name is None else (name,):
        await CHECKS.run(each, Setup(transport, tls))
