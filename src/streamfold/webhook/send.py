"""The sender's half of a webhook: the headers that sign it, and when it is sent again.

MKA1 documents only HMAC-SHA256 and the header's name. The encoding is our choice: the bytes of the body are signed,
nothing else, and the digest is written in lower-case hexadecimal without a prefix. OpenAI follows
https://www.standardwebhooks.com.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator

from msgspec import Struct

from streamfold.errors import UsageError

PREFIX = "whsec_"


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
    """The header with which MKA1 signs a status webhook, its name in lower case."""
    return {"x-webhook-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def sign_standard(body: bytes, secret: str, *, message_id: str, timestamp: int) -> dict[str, str]:
    """The three headers of Standard Webhooks, as OpenAI sends them, their names in lower case.

    Args:
        body: The bytes that are sent.
        secret: Base64, with or without `whsec_` before it.
        message_id: The same for every attempt, so that the receiver can drop repetitions.
        timestamp: Whole Unix seconds.

    Raises:
        UsageError: The secret is not base64.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise UsageError(f"webhook secret: {error}; pass {PREFIX} and base64") from error
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{digest}"}
