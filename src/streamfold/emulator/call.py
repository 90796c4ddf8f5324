"""One request, as the endpoints see it: who asks for what, and when.

In      the parts of an HTTP request
Out     Call; the tenant that a request belongs to, or the Problem that it belongs to none
Units   Unix seconds
Errors  none
Source  docs/reference/emulator.md
"""

import hashlib
from collections.abc import Mapping

from attrs import field, frozen

from streamfold.chaos import Fault
from streamfold.emulator.request import Problem
from streamfold.emulator.route import Route
from streamfold.schema import Dialect

__all__ = ["Call", "tenant_of"]


@frozen(kw_only=True)
class Call:
    """A request that names an endpoint and says who asks. tenant: a name without the key in it."""

    route: Route
    tenant: str
    query: bytes
    body: bytes = field(repr=False)
    now: float
    faults: tuple[Fault, ...] = ()

    @property
    def id(self) -> str:
        """The id in its path."""
        return self.route.id

    @property
    def dialect(self) -> Dialect:
        """The dialect of its path."""
        return self.route.dialect


def tenant_of(headers: Mapping[str, str], *, key: str | None) -> str | Problem:
    """Who asks: a digest of the bearer token and of X-On-Behalf-Of. headers: their names in lower case.

    key: the only token that is taken; None for any that is not empty.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        return Problem(401, "No API key given; send `Authorization: Bearer KEY`.", code="missing_api_key")
    if key is not None and token != key:
        return Problem(401, "Incorrect API key given.", code="invalid_api_key")
    owner = f"{token}\n{headers.get('x-on-behalf-of', '')}"
    return hashlib.blake2b(owner.encode(), digest_size=16).hexdigest()
