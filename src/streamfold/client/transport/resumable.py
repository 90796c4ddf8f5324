"""Which requests ask for the stream of a response, and the requests that continue such a stream.

Pure. A request is recognized by its path, under any prefix: a POST of `…/responses` whose body has `"stream": true`, and a
GET of `…/responses/{id}?stream=true`.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from attrs import frozen
from msgspec import MsgspecError, Raw
from msgspec.json import Decoder

from streamfold.client.api.arguments import resolve_dialect
from streamfold.client.api.credentials import IDEMPOTENCY_KEY
from streamfold.client.api.request import EVENT_STREAM, JSON
from streamfold.schema import is_usable_id
from streamfold.session import Call, Connect

COLLECTION = "/responses"
TRUE = frozenset({"true", "1"})
# What describes the body of the first request, or how it is carried: a GET that continues its stream has none of it.
LEFT_OUT = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "transfer-encoding",
        IDEMPOTENCY_KEY,
    }
)
_decode_fields = Decoder(dict[str, Raw]).decode
_decode_names = Decoder(list[str]).decode


@frozen(kw_only=True)
class Resumable:
    """A request for the stream of a response.

    Attributes:
        collection: The URL of all responses, without its query.
        response_id: The id of the response; None if the request creates it.
        starting_after: The sequence number that the request asks to begin after.
        is_background: Whether the response is created to run in the background; None if that is not known.
        is_sure: Whether it asks for a stream. If its body cannot be read before it is sent, only the answer shows that.
        query: What every request that continues the stream has in its query.
        stream_query: What is added where the stream itself is asked for.
    """

    collection: str
    response_id: str | None = None
    starting_after: int | None = None
    is_background: bool | None = None
    is_sure: bool = True
    query: tuple[tuple[str, str], ...] = ()
    stream_query: tuple[tuple[str, str], ...] = ()

    @property
    def can_resume(self) -> bool:
        """Whether its stream outlives a connection, as far as the request says."""
        return self.response_id is not None or self.is_background is True

    def url(self, call: Call, response_id: str) -> str:
        """The URL of a GET that continues the stream, or that retrieves the response."""
        query = [*self.query]
        if isinstance(call, Connect):
            query += [("stream", "true"), *self.stream_query]
            if call.starting_after is not None:
                query.append(("starting_after", str(call.starting_after)))
        asked = f"?{urlencode(query, quote_via=quote)}" if query else ""
        return f"{self.collection}/{quote(response_id, safe='')}{asked}"


def read_request(method: str, url: str, body: bytes | None) -> Resumable | None:
    """Return what a request asks for; None if it is not for the stream of a response.

    Args:
        method: The HTTP method.
        url: Absolute, with its query.
        body: The body; None if it cannot be read before it is sent.
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if method == "POST" and path.endswith(COLLECTION):
        return _read_create(parts, path, body)
    parent, _, segment = path.rpartition("/")
    if method == "GET" and parent.endswith(COLLECTION) and is_usable_id(unquote(segment)):
        return _read_get(parts, parent, unquote(segment))
    return None


def _read_create(parts: SplitResult, path: str, body: bytes | None) -> Resumable | None:
    fields = _fields_of(body)
    if body is not None and fields.get("stream") != Raw(b"true"):
        return None
    collection = _url(parts, path)
    pads = _fields_of(fields.get("stream_options")).get("include_obfuscation")
    padding = [] if pads is None else [("include_obfuscation", bytes(pads).decode())]
    name = resolve_dialect(None, base_url=_base_of(parts, path)).include_parameter or "include"
    return Resumable(
        collection=collection,
        is_background=None if body is None else fields.get("background") == Raw(b"true"),
        is_sure=body is not None,
        query=(*_pairs_of(parts), *((name, value) for value in _names_in(fields.get("include")))),
        stream_query=tuple(padding),
    )


def _read_get(parts: SplitResult, path: str, response_id: str) -> Resumable | None:
    asked = dict(_pairs_of(parts))
    after = asked.get("starting_after", "")
    if asked.get("stream", "").lower() not in TRUE or (after and not after.isdecimal()):
        return None
    of_stream = {"stream", "starting_after", "include_obfuscation"}
    return Resumable(
        collection=_url(parts, path),
        response_id=response_id,
        starting_after=int(after) if after else None,
        query=tuple(pair for pair in _pairs_of(parts) if pair[0] not in of_stream),
        stream_query=tuple(pair for pair in _pairs_of(parts) if pair[0] == "include_obfuscation"),
    )


def continuing_headers(headers: Iterable[tuple[str, str]], call: Call) -> list[tuple[str, str]]:
    """The headers of a GET that continues the stream: those of the first request, without what belongs to its body."""
    kept = [(name, value) for name, value in headers if name.lower() not in LEFT_OUT]
    accept = EVENT_STREAM if isinstance(call, Connect) else JSON
    return [*kept, ("accept", accept), ("accept-encoding", "identity")]


def _pairs_of(parts: SplitResult) -> list[tuple[str, str]]:
    return parse_qsl(parts.query, keep_blank_values=True)


def _url(parts: SplitResult, path: str) -> str:
    return f"{parts.scheme}://{parts.netloc}{path}"


def _base_of(parts: SplitResult, path: str) -> str:
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{path.removesuffix(COLLECTION)}"


def _fields_of(value: bytes | Raw | None) -> Mapping[str, Raw]:
    try:
        return _decode_fields(value or b"")
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _names_in(value: Raw | None) -> list[str]:
    try:
        return _decode_names(value or b"[]")
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return []
