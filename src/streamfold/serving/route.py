"""What the head of a request says: which endpoint, in which dialect, for which tenant, and for which web page."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from attrs import field, frozen

from streamfold.schema import MKA1, OPENAI, Dialect
from streamfold.serving.reply import BodyReply, Headers, Problem

__all__ = [
    "PREFIXES",
    "ApiCall",
    "Endpoint",
    "Route",
    "cors_headers",
    "dialect_of",
    "find_route",
    "preflight",
    "tenant_of",
]


class Endpoint(StrEnum):
    """The calls of the Responses, Batches and Models APIs."""

    CREATE_RESPONSE = "create_response"
    LIST_RESPONSES = "list_responses"
    RETRIEVE_RESPONSE = "retrieve_response"
    UPDATE_RESPONSE = "update_response"
    DELETE_RESPONSE = "delete_response"
    CANCEL_RESPONSE = "cancel_response"
    LIST_INPUT_ITEMS = "list_input_items"
    COMPACT = "compact"
    COUNT_INPUT_TOKENS = "count_input_tokens"
    CREATE_BATCH = "create_batch"
    LIST_BATCHES = "list_batches"
    RETRIEVE_BATCH = "retrieve_batch"
    CANCEL_BATCH = "cancel_batch"
    LIST_MODELS = "list_models"
    RETRIEVE_MODEL = "retrieve_model"


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
# The names of endpoints come first: none of them is an id.
_METHODS: Mapping[str, Mapping[str, Endpoint]] = {
    r"/responses": {"POST": Endpoint.CREATE_RESPONSE, "GET": Endpoint.LIST_RESPONSES},
    r"/responses/compact": {"POST": Endpoint.COMPACT},
    r"/responses/input_tokens": {"POST": Endpoint.COUNT_INPUT_TOKENS},
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
    r"/models": {"GET": Endpoint.LIST_MODELS},
    r"/models/(?P<id>.+)": {"GET": Endpoint.RETRIEVE_MODEL},  # a model's name may have slashes
}
# Endpoints that only some dialects have: the value that says so.
_ONLY_IF: Mapping[Endpoint, str] = {
    Endpoint.COMPACT: "can_compact",
    Endpoint.COUNT_INPUT_TOKENS: "can_count_input_tokens",
    Endpoint.LIST_MODELS: "can_list_models",
    Endpoint.RETRIEVE_MODEL: "can_list_models",
}
SHOWN_CHARACTERS = 200  # of a path, in a refusal


def find_route(method: str, path: str, prefixes: Mapping[str, Dialect] = PREFIXES) -> Route | Problem:
    """The endpoint; a 404 for an unknown path, a 405 for a method that the path does not take. HEAD is read as GET."""
    for prefix, dialect in prefixes.items():
        if not path.startswith(f"{prefix}/"):
            continue
        for pattern, methods in _METHODS.items():
            found = re.fullmatch(pattern, path.removeprefix(prefix).rstrip("/"))
            if found is None:
                continue
            endpoint = methods.get("GET" if method == "HEAD" else method)
            if not all(_has(dialect, each) for each in methods.values()):
                break
            if endpoint is not None:
                return Route(endpoint, dialect, found.groupdict().get("id", ""))
            allowed = ", ".join([*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"])
            said = f"Method {method} is not allowed here; use {' or '.join(methods)}."
            return Problem(405, said, code="method_not_allowed", headers=(("allow", allowed),))
    shown = path[:SHOWN_CHARACTERS]
    said = (
        f"Unknown request URL: {method} {shown}. There is no such endpoint; try /api/v1/llm/responses or /v1/responses."
    )
    return Problem(404, said, code="unknown_url")


def _has(dialect: Dialect, endpoint: Endpoint) -> bool:
    needed = _ONLY_IF.get(endpoint)
    return needed is None or getattr(dialect, needed) is True


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
    # A header's bytes were read as Latin-1, so these are the bytes that were sent.
    if key is not None and not hmac.compare_digest(token.encode("latin-1", "replace"), key.encode()):
        return Problem(401, "Incorrect API key given.", code="invalid_api_key")
    owner = f"{token}\n{headers.get('x-on-behalf-of', '')}"
    return hashlib.blake2b(owner.encode(), digest_size=16).hexdigest()


# Web pages (CORS)

METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
SHOWN_TO_PAGES = "x-request-id, retry-after, retry-after-ms, allow"
# What a page may send if it does not list what it wants to. A `*` would not cover `authorization`.
SENT_BY_PAGES = "authorization, content-type, x-on-behalf-of, idempotency-key, last-event-id"
PREFLIGHT_SECONDS = 600
_NAMES = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z, ]{1,2000}")


def cors_headers(headers: Mapping[str, str], origins: str) -> Headers:
    """The headers of every answer, errors too, without which a browser hides it from the page that asked.

    Args:
        headers: Of the request, names in lower case.
        origins: `*` for every page, or the origins that may read the answers, separated by commas; empty for none.
    """
    if origins == "*":
        return ("access-control-allow-origin", "*"), ("access-control-expose-headers", SHOWN_TO_PAGES)
    origin = headers.get("origin", "")
    if not origin or origin not in [each.strip() for each in origins.split(",")]:
        return (("vary", "origin"),) if origins else ()
    return (
        ("access-control-allow-origin", origin),
        ("access-control-expose-headers", SHOWN_TO_PAGES),
        ("vary", "origin"),
    )


def preflight(headers: Mapping[str, str]) -> BodyReply:
    """The answer to OPTIONS: what a page may send. The names that it asks for are allowed, if they are names."""
    asked = headers.get("access-control-request-headers", "")
    allowed = asked if _NAMES.fullmatch(asked) else SENT_BY_PAGES
    known = (("allow", METHODS), ("access-control-allow-methods", METHODS), ("access-control-allow-headers", allowed))
    return BodyReply(204, b"", (*known, ("access-control-max-age", str(PREFLIGHT_SECONDS))))
