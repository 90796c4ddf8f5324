"""Status webhooks: sign and retry them as a gateway does, verify them as its receiver does.

Two schemes are known: MKA1's own header, and https://www.standardwebhooks.com, which OpenAI uses. MKA1 documents only
HMAC-SHA256 and the header's name. The encoding is our choice: the bytes of the body are signed, nothing else, and the
digest is written in lower-case hexadecimal without a prefix. Signatures are compared in constant time, and a body is
parsed only after its signature has been verified.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping

from msgspec import Raw, Struct
from msgspec.json import Decoder

from streamfold.errors import InvalidArgument, InvalidWebhook, UsageError
from streamfold.schema import UNDECODABLE, read_head, read_text

__all__ = ["RetryPlan", "Webhook", "sign_mka1", "sign_standard", "verify"]

MKA1_HEADER = "x-webhook-signature"
STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
STANDARD_PREFIX = "whsec_"
TOLERANCE_SECONDS = 300.0  # as in OpenAI's SDK
MIN_KEY_BYTES = 16  # of the key itself, not of its base64; shorter ones can be guessed
TOO_SHORT = f"must have at least {MIN_KEY_BYTES} bytes"


class RetryPlan(Struct, frozen=True, kw_only=True):
    """How often one webhook is sent until its receiver answers 2xx: the wait doubles after each failure.

    max_attempts: including the first. first_wait_seconds: between the first and the second.
    """

    max_attempts: int = 5
    first_wait_seconds: float = 0.5

    def waits(self) -> Iterator[float]:
        """The seconds to wait before each attempt, starting with 0.0 for the first."""
        yield 0.0
        for attempt in range(self.max_attempts - 1):
            yield self.first_wait_seconds * 2**attempt


def sign_mka1(body: bytes, secret: str) -> dict[str, str]:
    """The header with which MKA1 signs a status webhook, its name in lower case.

    Raises:
        UsageError: The secret has fewer than 16 bytes.
    """
    if len(secret.encode()) < MIN_KEY_BYTES:
        raise UsageError(f"webhook secret: {TOO_SHORT}")
    return {MKA1_HEADER: hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def sign_standard(body: bytes, secret: str, *, message_id: str, timestamp: int) -> dict[str, str]:
    """The three headers of Standard Webhooks, as OpenAI sends them, their names in lower case.

    Args:
        body: The bytes that are sent.
        secret: Base64 of at least 16 bytes, with or without `whsec_` before it.
        message_id: The same for every attempt, so that the receiver can drop repetitions.
        timestamp: Whole Unix seconds.

    Raises:
        UsageError: The secret is not base64, or too short.
    """
    try:
        key = base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except ValueError as error:
        raise UsageError(f"webhook secret: {error}; pass {STANDARD_PREFIX} and base64") from error
    if len(key) < MIN_KEY_BYTES:
        raise UsageError(f"webhook secret: {TOO_SHORT}")
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return dict(zip(STANDARD_HEADERS, (message_id, str(timestamp), f"v1,{digest}"), strict=True))


class Webhook(Struct, frozen=True, kw_only=True):
    """A verified webhook.

    type: such as `response.completed`. id: its own id, which stays the same when it is sent again; None if it has none.
    response_id: the response or batch it is about; None if it names none. status: of the Response, if the webhook
    holds one. body: the bytes that were signed.
    """

    type: str
    id: str | None = None
    response_id: str | None = None
    status: str | None = None
    body: bytes = b""


class _WebhookEnvelope(Struct):
    type: Raw = Raw(b"null")
    id: Raw = Raw(b"null")
    data: Raw = Raw(b"null")


_decode_envelope = Decoder(_WebhookEnvelope).decode


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    now: float,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> Webhook:
    """The webhook, if it was signed with this secret.

    The headers decide which scheme is checked. If both kinds are present, Standard Webhooks wins, because it also
    limits the age.

    Args:
        body: The request body, byte for byte.
        headers: Of the request, names in any case.
        secret: MKA1: the `webhook_secret` of the create. OpenAI: `whsec_` and base64. At least 16 bytes.
        now: Unix seconds.
        tolerance_seconds: The largest age of a Standard webhook, in either direction. MKA1's carry no time.

    Raises:
        InvalidWebhook: No signature is valid, it is too old or too new, or the body is not an event. Answer 400.
        InvalidArgument: The secret is too short or not valid.
    """
    if len(secret.encode()) < MIN_KEY_BYTES:
        raise InvalidArgument("secret", TOO_SHORT)
    given = {name.lower(): value for name, value in headers.items()}
    if all(name in given for name in STANDARD_HEADERS):
        _check_standard(body, given, secret, tolerance_seconds=tolerance_seconds, now=now)
    elif MKA1_HEADER in given:
        _check_mka1(body, given[MKA1_HEADER], secret)
    else:
        raise InvalidWebhook("it has no signature header")
    return _read(body, given.get("webhook-id"))


def _check_mka1(body: bytes, signature: str, secret: str) -> None:
    """HMAC-SHA256 of the body. MKA1 does not document the encoding, so hex and base64 are accepted, after `sha256=` too."""
    digest = hmac.digest(secret.encode(), body, hashlib.sha256)
    sent = signature.strip().removeprefix("sha256=").encode(errors="replace")
    # Always compare both, so that the time taken does not show which one was close.
    matches = [
        hmac.compare_digest(sent.lower(), digest.hex().encode()),
        hmac.compare_digest(sent, base64.b64encode(digest)),
    ]
    if not any(matches):
        raise InvalidWebhook("its signature does not match")


def _check_standard(
    body: bytes, headers: Mapping[str, str], secret: str, *, tolerance_seconds: float, now: float
) -> None:
    """`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; one of several signatures is enough."""
    identifier, timestamp, signatures = (headers[name] for name in STANDARD_HEADERS)
    key = _standard_key(secret)
    try:
        age = now - int(timestamp)
    except ValueError:
        raise InvalidWebhook("its timestamp is not a whole number") from None
    signed = b".".join([identifier.encode(errors="replace"), timestamp.encode(errors="replace"), body])
    good = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    matches = [hmac.compare_digest(good, each.encode(errors="replace")) for each in signatures.split(" ")]
    if not any(matches):
        raise InvalidWebhook("its signature does not match")
    if abs(age) > tolerance_seconds:
        when = "ago" if age > 0 else "in the future"
        raise InvalidWebhook(f"it was signed {abs(age):.0f} s {when}; {tolerance_seconds:g} s are allowed")


def _standard_key(secret: str) -> bytes:
    """The key: base64 after `whsec_`; a secret without that prefix is the key itself."""
    if not secret.startswith(STANDARD_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except ValueError as error:
        raise InvalidArgument("secret", "must be base64 after whsec_") from error
    if len(key) < MIN_KEY_BYTES:
        raise InvalidArgument("secret", f"{TOO_SHORT} after base64")
    return key


def _read(body: bytes, identifier: str | None) -> Webhook:
    try:
        envelope = _decode_envelope(body)
    except UNDECODABLE as error:
        raise InvalidWebhook(f"its body is not an event: {error}") from error
    kind, data = read_text(envelope.type), read_head(envelope.data)
    if kind is None:
        raise InvalidWebhook("its body is not an event: it has no type")
    return Webhook(
        type=kind,
        id=identifier or read_text(envelope.id),
        response_id=data.id if data else None,
        status=data.status if data else None,
        body=body,
    )
