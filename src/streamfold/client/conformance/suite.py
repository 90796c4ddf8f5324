"""All checks, and how to run them.

In      a Transport
Out     nothing
Units   seconds
Errors  AssertionError
Source  streamfold.client.transport.transport
"""

import ssl

import anyio

from streamfold.client.conformance.conduct import CONDUCT
from streamfold.client.conformance.delivery import DELIVERY
from streamfold.client.conformance.framing import FRAMING
from streamfold.client.conformance.site import PATIENCE_SECONDS, Check, Site
from streamfold.client.transport.transport import Transport

__all__ = ["CHECKS", "check"]

CHECKS: dict[str, Check] = {**DELIVERY, **CONDUCT, **FRAMING}
"""The checks by name: the number of the rule, and what must hold."""


async def check(transport: Transport, name: str | None = None, *, tls: ssl.SSLContext | None = None) -> None:
    """Run one check, or all of them, on a transport. Takes servers on 127.0.0.1, and some seconds.

    tls: a server's context, for a certificate of 127.0.0.1 that the transport trusts; the checks then run over https.
    Raises: AssertionError for the first rule that is broken; KeyError for a name that is not in CHECKS.
    """
    for each in CHECKS if name is None else (name,):
        try:
            with anyio.fail_after(2 * PATIENCE_SECONDS):
                await CHECKS[each](Site(transport, tls))
        except TimeoutError as error:
            raise AssertionError(f"{each}: it hangs") from error
        except Exception as error:
            error.add_note(f"the check: {each}")
            raise
