"""A request for a stream, and where the relay sends its own request for it."""

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import define, evolve, field

from streamfold.client import FollowedResponse
from streamfold.schema import Dialect, promotion
from streamfold.serving import BodyReply, Fields, Headers, Problem


@define(kw_only=True)
class UpstreamCall:
    """A request that the relay makes its own requests from.

    Attributes:
        prefix: What comes before `/responses` in its path.
        headers: Its headers, names in lower case.
        query: Its query, as it was sent.
        body: Its body, as it was sent; after a promotion, as it goes to the upstream. `fields` too.
        fields: The body's fields.
        is_foreground: Whether it asks for a response that does not run in the background.
        is_stored: Whether it asks for one that is stored.
        promoted: What a promotion changed.
        refused: What the upstream answered instead of a stream, as it came; an Upstream may set it.
        answered: Headers of the upstream's answer that the reader gets too; an Upstream may set them.
    """

    prefix: str
    headers: Mapping[str, str] = field(repr=False)
    query: bytes = field(default=b"", repr=False)
    body: bytes = field(default=b"", repr=False)
    fields: Fields = field(factory=dict[str, Any], repr=False)
    is_foreground: bool = True
    is_stored: bool = True
    promoted: promotion.Promoted | None = None
    refused: BodyReply | None = None
    answered: Headers = ()

    def take(self, body: bytes, fields: Fields) -> None:
        """Its body was read."""
        self.body, self.fields = body, fields
        self.is_foreground, self.is_stored = fields.get("background") is not True, fields.get("store") is not False

    def promote(self, mode: promotion.PromoteMode, dialect: Dialect) -> "UpstreamCall | None":
        """The same with a promoted body; None if it is not promoted."""
        promoted = promotion.promote_create(self.body, mode, dialect)
        if promoted is None:
            return None
        fields = self.fields | promotion.changed_by(promoted.promoted)
        return evolve(self, body=promoted.body, fields=fields, promoted=promoted.promoted)


class Upstream(Protocol):
    """Where a relay's requests go, and as whom."""

    def tenant_of(self, headers: Mapping[str, str]) -> str | Problem:
        """Whose streams a request may see, by its headers."""
        ...

    def stream(self, call: UpstreamCall) -> FollowedResponse:
        """The response that this request creates, not entered yet."""
        ...

    def follow(self, call: UpstreamCall, response_id: str) -> FollowedResponse:
        """An existing response, with the credentials of this request."""
        ...
