"""What the head of a request says: which endpoint, in which dialect, and for which tenant."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from attrs import field, frozen

from streamfold.schema import MKA1, OPENAI, Dialect
from streamfold.serving.reply import Problem

__all__ = ["PREFIXES", "ApiCall", "Endpoint", "Route", "dialect_of", "find_route", "tenant_of"]


class Endpoint(StrEnum):
    """The calls of the Responses and Batches APIs."""

    CREATE_RESPONSE = "create_response"
    LIST_RESPONSES = "list_responses"
    RETRIEVE_RESPONSE = "retrieve_response"
    UPDATE_RESPONSE = "update_response"
    DELETE_RESPONSE = "delete_response"
    CANCEL_RESPONSE = "cancel_response"
    LIST_INPUT_ITEMS = "list_input_items"
    CREATE_BATCH = "create_batch"
    LIST_BATCHES = "list_batches"
    RETRIEVE_BATCH = "retrieve_batch"
    CANCEL_BATCH = "cancel_batch"


@frozen
class Route:
    """One endpoint, and the id in its path; empty if the path has none."""

    endpoint: Endpoint
    dialect: Dialect
    id: str = ""


@frozen(kw_only=True)
class ApiCall:
    """A request that names an endpoint and comes from a known tenant. now: Unix seconds when it was read."""

    route: Route
    tenant: str
    query: bytes
    body: bytes = field(repr=False)
    now: float

    @property
    def id(self) -> str:
        """The id in its path."""
        return self.route.id

    @property
    def dialect(self) -> Dialect:
        """The dialect of its path."""
        return self.route.dialect


PREFIXES: Mapping[str, Dialect] = MappingProxyType({str(each.path_prefix): each for each in (MKA1, OPENAI)})
"""The dialects by what comes before `/responses` in their paths."""

_ID = r"(?P<id>[^/]+)"
_METHODS: Mapping[str, Mapping[str, Endpoint]] = {
    r"/responses": {"POST": Endpoint.CREATE_RESPONSE, "GET": Endpoint.LIST_RESPONSES},
    rf"/responses/{_ID}": {
        "GET": Endpoint.RETRIEVE_RESPONSE,
        "POST": Endpoint.UPDATE_RESPONSE,
        "DELETE": Endpoint.DELETE_RESPONSE,
    },
    rf"/responses/{_ID}/cancel": {"POST": Endpoint.CANCEL_RESPONSE},
    rf"/responses/{_ID}/input_items": {"GET": Endpoint.LIST_INPUT_ITEMS},
    r"/batches": {"POST": Endpoint.CREATE_BATCH, "GET": Endpoint.LIST_BATCHES},
    rf"/batches/{_ID}": {"GET": Endpoint.RETRIEVE_BATCH},
    rf"/batches/{_ID}/cancel": {"POST": Endpoint.CANCEL_BATCH},
}


def find_route(method: str, path: str, prefixes: Mapping[str, Dialect] = PREFIXES) -> Route | Problem:
    """The endpoint; a 404 for an unknown path, a 405 for a method that the path does not take."""
    for prefix, dialect in prefixes.items():
        if not path.startswith(f"{prefix}/"):
            continue
        for pattern, methods in _METHODS.items():
            found = re.fullmatch(pattern, path.removeprefix(prefix).rstrip("/"))
            if found and method in methods:
                return Route(methods[method], dialect, found.groupdict().get("id", ""))
            if found:
                return Problem(405, f"Method {method} is not allowed here; use {' or '.join(methods)}.")
    return Problem(404, f"Unknown request URL: {method} {path}. Try /api/v1/llm/responses or /v1/responses.")


def dialect_of(path: str, prefixes: Mapping[str, Dialect] = PREFIXES) -> Dialect:
    """The dialect in which to refuse a path, even an unknown one."""
    return next((each for prefix, each in prefixes.items() if path.startswith(prefix)), MKA1)


def tenant_of(headers: Mapping[str, str], *, key: str | None) -> str | Problem:
    """The name of the tenant: a digest of the bearer token and of X-On-Behalf-Of, with neither of them in it.

    Args:
        headers: Names in lower case.
        key: The only token that is accepted; None for any that is not empty.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        return Problem(401, "No API key given; send `Authorization: Bearer KEY`.", code="missing_api_key")
    if key is not None and not hmac.compare_digest(token.encode(), key.encode()):
        return Problem(401, "Incorrect API key given.", code="invalid_api_key")
    owner = f"{token}\n{headers.get('x-on-behalf-of', '')}"
    return hashlib.blake2b(owner.encode(), digest_size=16).hexdigest()
