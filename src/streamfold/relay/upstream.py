"""The upstream of a relay that is a proxy: each request goes there with the credentials that it came with."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from streamfold.client import FollowedResponse, Transport, forward
from streamfold.relay.call import UpstreamCall
from streamfold.serving import BodyReply, Headers, Problem, is_list, is_object
from streamfold.session import Answer, Patience, is_event_stream

# Headers that belong to one connection (RFC 9110, 7.6.1), or that describe a body which is written anew.
OF_THE_CONNECTION = frozenset(
    "connection host keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    "upgrade content-length".split()
)
# The relay reads the events, so it asks for a body that is not packed; and the cursor of a reader is the relay's own.
NOT_SENT = OF_THE_CONNECTION | {"accept-encoding", "last-event-id"}
NOT_GIVEN = OF_THE_CONNECTION | {
    "content-encoding",
    "content-type",
    "cache-control",
    "x-accel-buffering",
    "date",
    "server",
}
FIRST_FINAL_STATUS, LAST_STATUS = 200, 599
WITHOUT_BODY = (204, 205, 304)
_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")  # what a server can write: no control, and nothing beyond Latin-1
OF_A_PAGE = "access-control-"  # the relay says itself which pages may read its answers
WHO = ("authorization", "api-key", "x-api-key", "x-on-behalf-of", "openai-organization", "openai-project")
OF_A_CURSOR = frozenset({"stream", "starting_after", "include", "include[]", "include_obfuscation"})


class ProxyUpstream:
    """The upstream of a proxy. Nothing of a caller's credentials is kept beyond its own stream.

    Args:
        url: Its root, without the path of a request, such as `https://api.openai.com`.
        transport: Sends the requests.
        patience: The limits of followed responses.
    """

    def __init__(self, url: str, *, transport: Transport, patience: Patience | None = None) -> None:
        self._url = url.rstrip("/")
        self._transport = transport
        self._patience = patience or Patience()

    def tenant_of(self, headers: Mapping[str, str]) -> str | Problem:
        """A digest of everything that says who asks. Callers without any credentials are one tenant."""
        said = "\n".join(f"{name}: {headers.get(name, '').strip()}" for name in WHO)
        return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()

    def stream(self, call: UpstreamCall) -> FollowedResponse:
        """The response that this request creates."""
        options = call.fields.get("stream_options")

        def report(answer: Answer) -> None:
            call.answered = given_headers(answer.headers)
            # A success that is neither a stream nor JSON must not pass for an answer: a client would take it for a finished one.
            if not answer.is_success or (answer.is_json and not is_event_stream(answer.status, answer.headers)):
                call.refused = passed_refusal(answer, call.answered)

        return self._forward(
            call,
            headers=sent_headers(call.headers),
            query=parse_qsl(call.query.decode("latin-1"), keep_blank_values=True),
            body=call.body,
            include=_strings(call.fields.get("include")),
            include_obfuscation=_flag(options.get("include_obfuscation")) if is_object(options) else None,
            is_background=call.fields.get("background") is True,
            on_answer=report,
        )

    def follow(self, call: UpstreamCall, response_id: str) -> FollowedResponse:
        """An existing response, with the credentials of this request."""
        query = parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)
        asked = dict(query)
        return self._forward(
            call,
            headers=sent_headers(call.headers),
            query=[pair for pair in query if pair[0] not in OF_A_CURSOR],
            response_id=response_id,
            include=[value for name, value in query if name in ("include", "include[]")],
            include_obfuscation=_flag({"true": True, "false": False}.get(asked.get("include_obfuscation", ""))),
        )

    def _forward(self, call: UpstreamCall, **how: Any) -> FollowedResponse:
        return forward(self._transport, base_url=self._url + call.prefix, patience=self._patience, **how)


def sent_headers(headers: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """The headers of a caller's request that go to the upstream."""
    dropped = NOT_SENT | _named_in(headers.get("connection", ""))
    return [(name, value) for name, value in headers.items() if name not in dropped]


def given_headers(headers: Mapping[str, str]) -> Headers:
    """The headers of the upstream's answer that go to the caller."""
    dropped = NOT_GIVEN | _named_in(headers.get("connection", ""))
    kept = ((name, value) for name, value in headers.items() if name not in dropped)
    return tuple((name, value) for name, value in kept if not name.startswith(OF_A_PAGE) and _is_valid(name, value))


def passed_refusal(answer: Answer, headers: Headers) -> BodyReply | None:
    """The upstream's answer as the caller gets it; None if HTTP does not know its status."""
    if not FIRST_FINAL_STATUS <= answer.status <= LAST_STATUS:
        return None
    kind = answer.headers.get("content-type", "")
    body = b"" if answer.status in WITHOUT_BODY else answer.body
    return BodyReply(answer.status, body, headers, kind if _is_valid("content-type", kind) else "text/plain")


def _is_valid(name: str, value: str) -> bool:
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None


def _named_in(connection: str) -> set[str]:
    return {each.strip().lower() for each in connection.split(",")}


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if is_list(value) else []


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
