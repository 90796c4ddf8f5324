"""Each call of the API as an HTTP Request: path, query, headers and body.

Pure. The paths and queries are those of the protocol reference, 4 to 8, 10 and 15. A key never appears in an error or a
representation.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict
from urllib.parse import quote, urlencode

from attrs import evolve, field, frozen
from msgspec.json import encode

from streamfold.client.api.arguments import (
    check_batch_id,
    check_header,
    check_headers,
    check_include,
    check_known,
    check_mapping,
    check_page,
    check_query,
    check_response_id,
    check_seconds,
    resolve_base_url,
    resolve_dialect,
)
from streamfold.client.api.credentials import IDEMPOTENCY_KEY, Credentials
from streamfold.client.transport.transport import Request
from streamfold.errors import InvalidArgument
from streamfold.schema import Dialect, check_batch, check_create, check_names

BEARER = "Bearer "
EVENT_STREAM = "text/event-stream"
JSON = "application/json"


class CallOptions(TypedDict, total=False):
    """The options of every call. They mean what they mean in openai's SDK.

    Attributes:
        extra_headers: Additional headers. One with the name of ours replaces it.
        extra_query: Additional query parameters. One with the name of ours replaces it.
        extra_body: Fields to add to the JSON body, or to replace ours with the same name. They are not checked.
        timeout: Seconds that the whole call may take, retries included; None for the gateway's `timeout`.
    """

    extra_headers: Mapping[str, str] | None
    extra_query: Mapping[str, object] | None
    extra_body: Mapping[str, object] | None
    timeout: float | None


# Options are merged last, so that a caller can always override what we send: a header or query of the same name replaces
# ours, and a field of the body too. That is what openai's SDK does, and what makes a new parameter usable on the day it
# appears. Parameters of `extra_body` are not checked, for the same reason.
#
# The one field with two meanings is the timeout, because a Request has two of them. A stream has no bound as a whole, so
# its `timeout` is how long connecting and each silence may last. A plain call is one answer after one wait, so its
# `timeout` is the silence that is allowed, and `Sender.ask` bounds the whole call, retries included, by the same number.


@frozen(kw_only=True)
class Calls:
    """The calls of one gateway, for one key, each as a Request.

    `connect_seconds` and `idle_seconds` bound a connection. A `timeout_seconds` replaces them: it is the silence that a
    stream may keep, and bounds a plain call by being the longest that its one answer may be waited for.
    """

    base_url: str
    api_key: str = field(repr=False)
    on_behalf_of: str | None = None
    dialect: Dialect
    connect_seconds: float = 5.0
    idle_seconds: float = 60.0
    timeout_seconds: float | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: Mapping[str, object] = field(factory=dict[str, object], repr=False)

    @classmethod
    def to(
        cls,
        base_url: str,
        *,
        api_key: str,
        dialect: Dialect | str | None = None,
        on_behalf_of: str | None = None,
        connect_seconds: float = 5.0,
        idle_seconds: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> "Calls":
        """The calls of a gateway, with every argument checked."""
        key = check_header("api_key", api_key).removeprefix(BEARER)
        if on_behalf_of is not None:
            check_header("on_behalf_of", on_behalf_of)
        spoken = resolve_dialect(dialect, base_url=base_url)
        return cls(
            base_url=resolve_base_url(base_url, dialect=spoken),
            api_key=check_header("api_key", key),
            on_behalf_of=on_behalf_of,
            dialect=spoken,
            connect_seconds=check_seconds("connect_seconds", connect_seconds),
            idle_seconds=idle_seconds,
            headers=check_headers("headers", headers),
        )

    # One object for a call with options instead of one more argument on each of the methods below.
    def with_options(self, options: CallOptions, *, default_timeout: float | None = None) -> "Calls":
        """The same calls, with the options of one of them."""
        check_known(options, CallOptions.__annotations__)
        timeout = options.get("timeout")
        query = check_query("extra_query", options.get("extra_query"))
        body = check_mapping("extra_body", options.get("extra_body"))
        return evolve(
            self,
            headers=_merged(self.headers, check_headers("extra_headers", options.get("extra_headers"))),
            query=tuple(query),
            body=body,
            timeout_seconds=default_timeout if timeout is None else check_seconds("timeout", timeout),
        )

    # Responses

    def create(self, parameters: Mapping[str, Any], *, stream: bool, idempotency_key: str = "") -> Request:
        """POST a response. A parameter that is None is left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        if complaint := check_names(given):
            raise InvalidArgument(*complaint)
        if given.pop("stream", stream) is not stream:
            raise InvalidArgument("stream", STREAM_OR_NOT[stream])
        body = given | {"stream": stream}
        if complaint := check_create(body, self.dialect, strict=False):
            raise InvalidArgument(*complaint)
        return self._creation("/responses", body, idempotency_key, accept=EVENT_STREAM if stream else JSON)

    def creation_of(self, body: bytes, *, headers: tuple[tuple[str, str], ...]) -> Request:
        """POST a response with this body and these headers, as they are."""
        return evolve(self._request("POST", "/responses", accept=EVENT_STREAM), headers=headers, body=body)

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
        return self._request("GET", _path_of(response_id), query=query, accept=EVENT_STREAM)

    def retrieve(self, response_id: str, *, include: Sequence[str] = ()) -> Request:
        """GET a response as it is."""
        return self._request("GET", _path_of(response_id), query=self._including(include, None))

    def cancel(self, response_id: str) -> Request:
        """POST a cancel."""
        return self._request("POST", f"{_path_of(response_id)}/cancel")

    def update(self, response_id: str, metadata: Mapping[str, str] | None) -> Request:
        """POST other metadata."""
        if metadata is None:
            raise InvalidArgument("metadata", "must be an object")
        if complaint := check_create({"model": "any", "metadata": metadata}, self.dialect):
            raise InvalidArgument(*complaint)
        return self._request("POST", _path_of(response_id), body={"metadata": dict(metadata)})

    def delete(self, response_id: str) -> Request:
        """DELETE a response."""
        return self._request("DELETE", _path_of(response_id))

    def list_responses(self, *, page: Mapping[str, object]) -> Request:
        """GET one page of the responses."""
        return self._request("GET", "/responses", query=check_page(page))

    def input_items(self, response_id: str, *, page: Mapping[str, object], include: Sequence[str] = ()) -> Request:
        """GET one page of the input of a response."""
        query = [*self._including(include, None), *check_page(page)]
        return self._request("GET", f"{_path_of(response_id)}/input_items", query=query)

    # Batches

    def create_batch(self, parameters: Mapping[str, Any], *, idempotency_key: str = "") -> Request:
        """POST a batch."""
        body = {name: value for name, value in parameters.items() if value is not None}
        if complaint := check_batch(body, self.dialect, strict=False):
            raise InvalidArgument(*complaint)
        return self._creation("/batches", body, idempotency_key)

    def retrieve_batch(self, batch_id: str) -> Request:
        """GET a batch as it is."""
        return self._request("GET", _path_of_batch(batch_id))

    def cancel_batch(self, batch_id: str) -> Request:
        """POST a cancel of a batch."""
        return self._request("POST", f"{_path_of_batch(batch_id)}/cancel")

    def list_batches(self, *, page: Mapping[str, object]) -> Request:
        """GET one page of the batches."""
        return self._request("GET", "/batches", query=check_page(page))

    def hide(self, text: str) -> str:
        """The text without the credentials that these calls send."""
        return Credentials(self.list_responses(page={})).hide(text)

    # How a request is made

    def _including(self, include: Sequence[str], include_obfuscation: bool | None) -> list[tuple[str, str]]:
        name = self.dialect.include_parameter or "include"
        query = [(name, value) for value in check_include(include)]
        if include_obfuscation is not None:
            query.append(("include_obfuscation", "true" if include_obfuscation else "false"))
        return query

    def _creation(self, path: str, body: Mapping[str, Any], key: str, *, accept: str = JSON) -> Request:
        headers = ((IDEMPOTENCY_KEY, check_header("idempotency_key", key)),) if key else ()
        return self._request("POST", path, body=body, accept=accept, headers=headers)

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        accept: str = JSON,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Request:
        fields = {**(body or {}), **self.body}
        data = _encoded(fields) if fields else (b"" if method == "POST" else None)
        ours = [
            ("authorization", BEARER + self.api_key),
            ("accept", accept),
            ("user-agent", "streamfold"),
            *([("content-type", JSON)] if data else []),
            *([("x-on-behalf-of", self.on_behalf_of)] if self.on_behalf_of else []),
            *headers,
        ]
        asked = _query(_merged(query, self.query))
        connect, idle = self.connect_seconds, self.idle_seconds
        if (timeout := self.timeout_seconds) is not None:
            connect, idle = timeout if accept == EVENT_STREAM else min(connect, timeout), timeout
        return Request(
            method=method,
            url=f"{self.base_url}{path}?{asked}" if asked else self.base_url + path,
            headers=_merged(ours, self.headers),
            body=data,
            connect_timeout_seconds=connect,
            idle_timeout_seconds=idle,
        )


STREAM_OR_NOT = {
    False: "must not be true here: create() returns a whole Response; use gateway.stream(...) to stream it",
    True: "must not be false here: stream() streams; use gateway.create(...) for a whole Response",
}


def _path_of(response_id: object) -> str:
    return f"/responses/{quote(check_response_id(response_id), safe='')}"


def _path_of_batch(batch_id: object) -> str:
    return f"/batches/{quote(check_batch_id(batch_id), safe='')}"


def _merged(ours: Iterable[tuple[str, str]], theirs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Both, where theirs replaces ours of the same name."""
    names = {name for name, _ in theirs}
    return (*(pair for pair in ours if pair[0] not in names), *theirs)


def _query(pairs: Iterable[tuple[str, str]]) -> str:
    try:
        return urlencode(tuple(pairs), quote_via=quote)
    except UnicodeEncodeError as error:  # a lone surrogate
        raise InvalidArgument("extra_query", f"cannot be written as UTF-8: {error.reason}") from error


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgument("body", f"cannot be written as JSON: {error}") from error
