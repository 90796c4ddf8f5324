"""Signed webhooks verify: MKA1's by its digest, Standard Webhooks by the openai SDK."""

import base64
import hashlib
import hmac

import pytest

from streamfold.errors import UsageError
from streamfold.webhook import RetryPlan, sign_mka1, sign_standard

BODY = b'{"type":"response.completed","data":{"id":"resp_1"}}'
SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="
NOW = 1_765_552_659


def test_mka1_signs_the_bytes_of_the_body_in_hexadecimal() -> None:
    secret = "a secret of the caller"
    digest = hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()
    assert sign_mka1(BODY, secret) == {"x-webhook-signature": digest}


def test_another_body_has_another_signature() -> None:
    assert sign_mka1(BODY, "s" * 16) != sign_mka1(BODY + b" ", "s" * 16)


def test_the_openai_sdk_believes_a_standard_webhook() -> None:
    import time

    from openai import InvalidWebhookSignatureError, OpenAI

    with OpenAI(api_key="key", webhook_secret=SECRET) as client:
        headers = sign_standard(BODY, SECRET, message_id="wh_1", timestamp=int(time.time()))
        client.webhooks.verify_signature(BODY, headers)
        with pytest.raises(InvalidWebhookSignatureError):
            client.webhooks.verify_signature(BODY + b" ", headers)


def test_a_secret_may_come_without_its_prefix() -> None:
    known = {"message_id": "wh_1", "timestamp": NOW}
    assert sign_standard(BODY, SECRET[6:], **known) == sign_standard(BODY, SECRET, **known)


def test_the_signature_is_over_id_time_and_body() -> None:
    first = sign_standard(BODY, SECRET, message_id="wh_1", timestamp=NOW)
    assert first["webhook-signature"].startswith("v1,")
    assert first["webhook-timestamp"] == str(NOW)
    others = [("wh_2", NOW, BODY), ("wh_1", NOW + 1, BODY), ("wh_1", NOW, b"{}")]
    signed = {sign_standard(body, SECRET, message_id=i, timestamp=t)["webhook-signature"] for i, t, body in others}
    assert len(signed | {first["webhook-signature"]}) == 4


@pytest.mark.parametrize("secret", ["whsec_not base64!", "whsec_é", "abc"])
def test_a_secret_that_is_no_base64_is_refused(secret: str) -> None:
    with pytest.raises(UsageError, match="webhook secret"):
        sign_standard(BODY, secret, message_id="wh_1", timestamp=NOW)


SHORT = ["", "s" * 15, "whsec_" + base64.b64encode(b"s" * 15).decode()]


@pytest.mark.parametrize("secret", SHORT)
def test_a_secret_of_fewer_than_16_bytes_signs_nothing(secret: str) -> None:
    with pytest.raises(UsageError, match="webhook secret"):
        sign_standard(BODY, secret, message_id="wh_1", timestamp=NOW)
    if not secret.startswith("whsec_"):
        with pytest.raises(UsageError, match="at least 16 bytes"):
            sign_mka1(BODY, secret)


def test_a_secret_of_16_bytes_signs() -> None:
    assert sign_standard(BODY, "whsec_" + base64.b64encode(b"s" * 16).decode(), message_id="wh_1", timestamp=NOW)
    assert sign_mka1(BODY, "\u00e9" * 8)  # bytes, not characters


def test_the_wait_doubles_after_each_failure() -> None:
    assert list(RetryPlan(max_attempts=4, first_wait_seconds=0.5).waits()) == [0.0, 0.5, 1.0, 2.0]


def test_a_plan_of_one_attempt_never_waits() -> None:
    assert list(RetryPlan(max_attempts=1).waits()) == [0.0]
