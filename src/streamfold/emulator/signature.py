"""The headers that sign a webhook: MKA1's own, and those of Standard Webhooks.

In      the body as it is sent, a secret; for Standard Webhooks also the message's id and time
Out     header names, in lower case, and values
Units   Unix seconds, whole
Errors  UsageError for a Standard Webhooks secret that is not base64
Source  docs/reference/emulator.md; https://www.standardwebhooks.com

MKA1 documents HMAC-SHA256 and the header's name alone. The encoding is the emulator's choice: the bytes of the body
are signed, nothing else, and the digest is written in lower-case hexadecimal, with no prefix.
"""

import base64
import binascii
import hashlib
import hmac

from streamfold.errors import UsageError

__all__ = ["sign_mka1", "sign_standard"]

PREFIX = "whsec_"


def sign_mka1(body: bytes, secret: str) -> dict[str, str]:
    """The header by which MKA1 signs a status webhook."""
    return {"x-webhook-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def sign_standard(body: bytes, secret: str, *, message_id: str, timestamp: int) -> dict[str, str]:
    """The three headers of Standard Webhooks, as OpenAI sends them.

    secret: base64, with or without `whsec_` before it.
    Raises: UsageError if it is not base64.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"webhook secret: {error}; give {PREFIX} and base64") from error
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{digest}"}
