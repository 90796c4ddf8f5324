"""How a relay behaves, and its limits."""

from typing import get_args

from attrs import frozen

from streamfold.errors import InvalidArgument
from streamfold.relay.attach import AttachMode
from streamfold.schema import promotion

HOUR = 3600.0


@frozen(kw_only=True)
class RelayOptions:
    """How a relay behaves, and its limits. Every limit is a number that you can change.

    Attributes:
        max_behind: How many events readers may get before they are in the log. 0: the log has every event first.
        window_bytes: How much of a stream is kept in memory for the readers that are near its end. The others read
            the log.
        heartbeat_seconds: The longest silence of a stream that is served; then a comment is sent.
        cancel_when_unread_seconds: When a foreground response that nobody reads is cancelled; None for never. One
            that was created with `background=True` is never cancelled for that.
        attach: Which POSTs join an answer that is already being produced, instead of making another. Those with its
            Idempotency-Key do. Of the others, `sign` lets those join the answer that their client left which say that
            they are retries, and `same-body` also those that only have the same body. `never` ignores keys too.
        attach_seconds: How long after its reader left an answer may be joined without a key.
        key_seconds: How long after its end, and its last reader, an answer may be joined with its Idempotency-Key, if it
            is kept as long.
        promote: Which foreground creates are sent upstream with `background: true`, so that a stream that breaks there
            is resumed: `never`, `if-stored` for those that do not say `store: false`, or `always`. With `always`, the
            provider stores what the client asked it not to store. Readers see a foreground response.
        retain_seconds: How long a stream is kept after its end.
        retain_unstored_seconds: The same for a response that was created with `store=False`.
        expire_every_seconds: How often streams whose time is over are dropped from the log.
        lease_seconds: How long another process waits before it takes over from one that died.
        max_streams: How many responses may be followed at the same time.
        max_readers: How many readers there may be.
        max_body_bytes: The longest body of a request.
        max_open_body_bytes: What the bodies of all requests may take together while their responses run.
        cors_origins: Web pages that may read the answers: `*` for all, or origins separated by commas; empty for none.
    """

    max_behind: int = 0
    window_bytes: int = 1024 * 1024
    heartbeat_seconds: float = 2.0
    cancel_when_unread_seconds: float | None = 60.0
    attach: AttachMode = "sign"
    attach_seconds: float = 60.0
    key_seconds: float = 24 * HOUR
    promote: promotion.PromoteMode = "never"
    retain_seconds: float = 24 * HOUR
    retain_unstored_seconds: float = HOUR
    expire_every_seconds: float = 60.0
    lease_seconds: float = 10.0
    max_streams: int = 10_000
    max_readers: int = 20_000
    max_body_bytes: int = 64 * 1024 * 1024
    max_open_body_bytes: int = 512 * 1024 * 1024
    cors_origins: str = "*"

    def __attrs_post_init__(self) -> None:
        for name, modes in (("attach", AttachMode), ("promote", promotion.PromoteMode)):
            if getattr(self, name) not in get_args(modes):
                known = ", ".join(get_args(modes))
                raise InvalidArgument(name, f"must be one of {known}, got {getattr(self, name)!r}")
        for name in ("max_behind", "attach_seconds", "key_seconds", "retain_seconds", "retain_unstored_seconds"):
            if not getattr(self, name) >= 0:
                raise InvalidArgument(name, f"must be 0 or more, got {getattr(self, name)}")
        positive = (
            "window_bytes",
            "heartbeat_seconds",
            "expire_every_seconds",
            "lease_seconds",
            "max_streams",
            "max_readers",
            "max_body_bytes",
            "max_open_body_bytes",
        )
        for name in positive:
            if not getattr(self, name) > 0:
                raise InvalidArgument(name, f"must be more than 0, got {getattr(self, name)}")
        unread = self.cancel_when_unread_seconds
        if unread is not None and not unread >= 0:
            raise InvalidArgument("cancel_when_unread_seconds", f"must be 0 or more, or None, got {unread}")
