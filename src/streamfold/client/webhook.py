"""A status webhook: is it the gateway's own, and what does it say?

In      the bytes of a webhook's body, its headers, the secret, and the time
Out     Webhook
Units   Unix seconds
Errors  InvalidWebhook for one that is not to be believed; InvalidArgument for a secret that can be none
Source  protocol reference 11; the Standard Webhooks specification for OpenAI's; docs/reference/webhooks.md

Signatures are compared in constant time. Nothing of the body is read before the signature was found to be good.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from time import time

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder

from streamfold.errors import InvalidArgument, InvalidWebhook

__all__ = ["Webhook", "verify_webhook"]

MKA1_HEADER = "x-webhook-signature"
STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
STANDARD_PREFIX = "whsec_"
TOLERANCE_SECONDS = 300.0  # OpenAI's SDK allows so much


class Webhook(Struct, frozen=True, kw_only=True):
    """A verified webhook.

    type: as `response.completed`. response_id: of the response or batch it is about; None where it names none.
    status: the Response's, where the webhook holds one. body: the bytes that were signed.
    """

    type: str
    id: str | None = None
    response_id: str | None = None
    status: str | None = None
    body: bytes = b""


class _Data(Struct):
    id: Raw = Raw(b"null")
    status: Raw = Raw(b"null")


class _Envelope(Struct):
    type: Raw = Raw(b"null")
    id: Raw = Raw(b"null")
    data: Raw = Raw(b"null")
    status: Raw = Raw(b"null")


_decode_envelope = Decoder(_Envelope).decode
_decode_data = Decoder(_Data).decode
_decode_text = Decoder(str).decode


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    clock: Callable[[], float] = time,
) -> Webhook:
    """The webhook, if it was signed with this secret.

    headers: those of the request, names in any case. By them it is known which of the two kinds of signature it has:
    MKA1's `X-Webhook-Signature`, or Standard Webhooks, which are refused when they are older or newer than
    `tolerance_seconds`.
    Raises: InvalidWebhook, whatever is wrong with it; InvalidArgument for an empty secret.
    """
    if not secret:
        raise InvalidArgument("secret", "must not be empty")
    given = {name.lower(): value for name, value in headers.items()}
    if all(name in given for name in STANDARD_HEADERS):
        _check_standard(body, given, secret, tolerance_seconds=tolerance_seconds, now=clock())
    elif MKA1_HEADER in given:
        _check_mka1(body, given[MKA1_HEADER], secret)
    else:
        raise InvalidWebhook("it has no signature")
    return _read(body, given.get("webhook-id"))


def _check_mka1(body: bytes, signature: str, secret: str) -> None:
    """HMAC-SHA256 of the body. The encoding is not documented: hex is taken, with or without `sha256=`, and base64."""
    digest = hmac.digest(secret.encode(), body, hashlib.sha256)
    sent = signature.strip().removeprefix("sha256=").encode(errors="replace")
    # Both are compared, whichever is meant, so that the time taken tells nothing.
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
        raise InvalidWebhook("its timestamp is no number") from None
    signed = b".".join([identifier.encode(errors="replace"), timestamp.encode(errors="replace"), body])
    good = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    matches = [hmac.compare_digest(good, each.encode(errors="replace")) for each in signatures.split(" ")]
    if not any(matches):
        raise InvalidWebhook("its signature does not match")
    if abs(age) > tolerance_seconds:
        when = "ago" if age > 0 else "ahead"
        raise InvalidWebhook(f"it was signed {abs(age):.0f} s {when}, and {tolerance_seconds:g} s are allowed")


def _standard_key(secret: str) -> bytes:
    """The key behind `whsec_`, which is base64; a secret without it is used as it is."""
    if not secret.startswith(STANDARD_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except ValueError as error:
        raise InvalidArgument("secret", "must be base64 behind whsec_") from error
    if not key:
        raise InvalidArgument("secret", "must not be empty")
    return key


def _read(body: bytes, identifier: str | None) -> Webhook:
    try:
        envelope = _decode_envelope(body)
        kind = _decode_text(envelope.type)
        data = _decode_data(envelope.data) if bytes(envelope.data).startswith(b"{") else _Data()
    except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidWebhook(f"its body is no event: {error}") from error
    return Webhook(
        type=kind, id=identifier or _text(envelope.id), response_id=_text(data.id), status=_text(data.status), body=body
    )


def _text(value: Raw) -> str | None:
    try:
        return _decode_text(value)
    except MsgspecError:
        return None
