"""Verify a webhook against the machine's clock; `streamfold.webhook` is the same with the time as an argument."""

from collections.abc import Callable, Mapping
from time import time

from streamfold.webhook import Webhook, verify

__all__ = ["Webhook", "verify_webhook"]


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance_seconds: float = 300.0,
    clock: Callable[[], float] = time,
) -> Webhook:
    """The webhook, if it was signed with this secret. Call it before you parse the body.

    Args:
        body: The request body, byte for byte as it arrived.
        headers: Of the request, names in any case. They decide whether MKA1's signature or a Standard Webhook
            (OpenAI) is checked.
        secret: MKA1: the `webhook_secret` of the create. OpenAI: `whsec_` and base64.
        tolerance_seconds: The largest age of a Standard webhook, in either direction. MKA1's carry no time.
        clock: Gives Unix seconds.

    Raises:
        InvalidWebhook: There is no good signature, it is too old or too new, or the body is not an event. Answer 400.
        InvalidArgument: The secret is empty or not valid.
    """
    return verify(body, headers, secret, now=clock(), tolerance_seconds=tolerance_seconds)
