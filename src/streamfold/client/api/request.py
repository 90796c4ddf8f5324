"""Each call of the API as an HTTP Request: paths, queries, headers, and what is refused before it is sent.

In      a base URL, a key, a dialect, and the arguments of a call
Out     Requests
Units   sequence numbers
Errors  InvalidArgument, which names the argument
Source  protocol reference 4 to 8, 10 and 15; docs/reference/client.md

Pure. A key never stands in an error or a representation.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from attrs import field, frozen
from msgspec.json import encode

from streamfold.client.transport.transport import Request
from streamfold.errors import InvalidArgument
from streamfold.schema import Dialect, check_batch, check_create

__all__ = ["Calls", "check_batch_id", "check_include", "check_response_id", "check_starting_after"]

ID = re.compile(r"[A-Za-z0-9_-]+")
HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
MAX_SAFE = 2**53 - 1
BEARER = "Bearer "
EVENT_STREAM = "text/event-stream"


def check_response_id(value: object) -> str:
    """The id, if it may stand in a URL.

    Raises: InvalidArgument.
    """
    return _checked_id("response_id", value)


def check_batch_id(value: object) -> str:
    """The same for a batch's."""
    return _checked_id("batch_id", value)


def _checked_id(name: str, value: object) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise InvalidArgument(name, f"must be letters, digits, _ and -, got {value!r}")
    return value


def check_starting_after(value: object) -> int | None:
    """The sequence number to follow from; None for the whole stream.

    Raises: InvalidArgument for what is no whole number from 0.
    """
    if value is None or (type(value) is int and 0 <= value <= MAX_SAFE):
        return value
    raise InvalidArgument(
        "starting_after", f"must be a whole number from 0, or None for the whole stream, got {value!r}"
    )


def check_include(value: Iterable[object]) -> tuple[str, ...]:
    """What is to be included besides.

    Raises: InvalidArgument for a text where a list of them should be.
    """
    names = [] if isinstance(value, str) else [each for each in value if isinstance(each, str)]
    if len(names) != len(list(value)):
        raise InvalidArgument("include", f"must be a list of names, got {value!r}")
    return tuple(names)


def check_base_url(value: object, *, dialect: Dialect) -> str:
    """The URL that paths are put behind: with the dialect's own prefix, where the URL has no path.

    Raises: InvalidArgument.
    """
    wanted = f"must be a URL as https://host or https://host/v1, got {value!r}"
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError as error:  # a port that is no number, an address without its bracket
        raise InvalidArgument("base_url", wanted) from error
    if not is_url:
        raise InvalidArgument("base_url", wanted)
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidArgument("base_url", "must have no user, no query and no fragment")
    path = parts.path.rstrip("/") or dialect.path_prefix or ""
    return f"{parts.scheme}://{parts.netloc}{path}"


def check_header(name: str, value: object) -> str:
    """A value that may stand in a header.

    Raises: InvalidArgument, which does not repeat it.
    """
    if not isinstance(value, str) or not HEADER_VALUE.fullmatch(value):
        raise InvalidArgument(name, "must be a text of printable ASCII characters, and not empty")
    return value


@frozen(kw_only=True)
class Calls:
    """The calls of one gateway, for one key. idle_seconds, connect_seconds: how patient each is."""

    base_url: str
    api_key: str = field(repr=False)
    on_behalf_of: str | None = None
    dialect: Dialect
    connect_seconds: float = 5.0
    idle_seconds: float = 60.0
    extra_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def to(
        cls,
        base_url: str,
        *,
        api_key: str,
        dialect: Dialect,
        on_behalf_of: str | None = None,
        connect_seconds: float = 5.0,
        idle_seconds: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> "Calls":
        """The same, with everything checked.

        Raises: InvalidArgument.
        """
        key = check_header("api_key", api_key).removeprefix(BEARER)
        if on_behalf_of is not None:
            check_header("on_behalf_of", on_behalf_of)
        return cls(
            base_url=check_base_url(base_url, dialect=dialect),
            api_key=check_header("api_key", key),
            on_behalf_of=on_behalf_of,
            dialect=dialect,
            connect_seconds=connect_seconds,
            idle_seconds=idle_seconds,
            extra_headers=tuple((name, check_header(name, value)) for name, value in (headers or {}).items()),
        )

    # Responses

    def create(self, parameters: Mapping[str, Any], *, stream: bool) -> Request:
        """POST a response. What the caller left out is left out."""
        body = {name: value for name, value in parameters.items() if value is not None} | {"stream": stream}
        if complaint := check_create(body, self.dialect):
            raise InvalidArgument(*complaint)
        return self._post("/responses", body, accept=EVENT_STREAM if stream else "application/json")

    def follow(
        self,
        response_id: str,
        *,
        starting_after: int | None = None,
        include: Sequence[str] = (),
        include_obfuscation: bool | None = None,
    ) -> Request:
        """GET the stream of a response, after a number."""
        query = [
            ("stream", "true"),
            *self._including(include, include_obfuscation),
            *([] if starting_after is None else [("starting_after", str(starting_after))]),
        ]
        return self._get(f"/responses/{check_response_id(response_id)}", query, accept=EVENT_STREAM)

    def retrieve(self, response_id: str, *, include: Sequence[str] = ()) -> Request:
        """GET a response as it is."""
        return self._get(f"/responses/{check_response_id(response_id)}", self._including(include, None))

    def cancel(self, response_id: str) -> Request:
        """POST a cancel."""
        return self._post(f"/responses/{check_response_id(response_id)}/cancel", None)

    def update(self, response_id: str, metadata: Mapping[str, str] | None) -> Request:
        """POST another metadata."""
        if metadata is None:
            raise InvalidArgument("metadata", "must be an object")
        if complaint := check_create({"model": "any", "metadata": metadata}, self.dialect):
            raise InvalidArgument(*complaint)
        return self._post(f"/responses/{check_response_id(response_id)}", {"metadata": dict(metadata)})

    def delete(self, response_id: str) -> Request:
        """DELETE a response."""
        return self._request("DELETE", f"/responses/{check_response_id(response_id)}")

    def list_responses(self, *, page: Mapping[str, object]) -> Request:
        """GET the responses, a page of them."""
        return self._get("/responses", _page(page))

    def input_items(self, response_id: str, *, page: Mapping[str, object], include: Sequence[str] = ()) -> Request:
        """GET what a response was asked, a page of it."""
        query = [*self._including(include, None), *_page(page)]
        return self._get(f"/responses/{check_response_id(response_id)}/input_items", query)

    # Batches

    def create_batch(self, parameters: Mapping[str, Any]) -> Request:
        """POST a batch."""
        body = {name: value for name, value in parameters.items() if value is not None}
        if complaint := check_batch(body, self.dialect):
            raise InvalidArgument(*complaint)
        return self._post("/batches", body)

    def retrieve_batch(self, batch_id: str) -> Request:
        """GET a batch as it is."""
        return self._get(f"/batches/{check_batch_id(batch_id)}", [])

    def cancel_batch(self, batch_id: str) -> Request:
        """POST a cancel of a batch."""
        return self._post(f"/batches/{check_batch_id(batch_id)}/cancel", None)

    def list_batches(self, *, page: Mapping[str, object]) -> Request:
        """GET the batches, a page of them."""
        return self._get("/batches", _page(page))

    # How they are made

    def _including(self, include: Sequence[str], include_obfuscation: bool | None) -> list[tuple[str, str]]:
        name = self.dialect.include_parameter or "include"
        query = [(name, value) for value in check_include(include)]
        if include_obfuscation is not None:
            query.append(("include_obfuscation", "true" if include_obfuscation else "false"))
        return query

    def _get(self, path: str, query: Iterable[tuple[str, str]], *, accept: str = "application/json") -> Request:
        asked = urlencode(list(query), quote_via=quote)
        return self._request("GET", f"{path}?{asked}" if asked else path, accept=accept)

    def _post(self, path: str, body: Mapping[str, Any] | None, *, accept: str = "application/json") -> Request:
        return self._request("POST", path, body=b"" if body is None else _encoded(body), accept=accept)

    def _request(
        self, method: str, path: str, *, body: bytes | None = None, accept: str = "application/json"
    ) -> Request:
        headers = [
            ("authorization", BEARER + self.api_key),
            ("accept", accept),
            ("user-agent", "streamfold"),
            *([("content-type", "application/json")] if body else []),
            *([("x-on-behalf-of", self.on_behalf_of)] if self.on_behalf_of else []),
            *self.extra_headers,
        ]
        return Request(
            method=method,
            url=self.base_url + path,
            headers=tuple(headers),
            body=body,
            connect_timeout_seconds=self.connect_seconds,
            idle_timeout_seconds=self.idle_seconds,
        )


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgument("body", f"cannot be written as JSON: {error}") from error


def _page(page: Mapping[str, object]) -> list[tuple[str, str]]:
    """Which page of a list: after, before, limit, order.

    Raises: InvalidArgument.
    """
    query: list[tuple[str, str]] = []
    for name, value in page.items():
        if value is None:
            continue
        if name == "limit" and not (type(value) is int and 1 <= value <= 100):
            raise InvalidArgument(name, f"must be a whole number from 1 to 100, got {value!r}")
        if name == "order" and value not in {"asc", "desc"}:
            raise InvalidArgument(name, f"must be asc or desc, got {value!r}")
        if name in {"after", "before"}:
            _checked_id(name, value)
        query.append((name, str(value)))
    return query
