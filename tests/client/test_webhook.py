"""The client verifies webhooks against the machine's clock, or against one that is passed in."""

import base64
from time import time

import pytest

from streamfold.client import verify_webhook
from streamfold.errors import InvalidWebhook
from streamfold.webhook import sign_mka1, sign_standard

SECRET = "whsec_" + base64.b64encode(b"a key of any bytes").decode()
BODY = b'{"type":"response.completed","data":{"id":"resp_1"}}'


def test_a_webhook_signed_just_now_is_accepted() -> None:
    headers = sign_standard(BODY, SECRET, message_id="msg_1", timestamp=int(time()))
    assert verify_webhook(BODY, headers, SECRET).response_id == "resp_1"


def test_an_old_one_is_refused() -> None:
    headers = sign_standard(BODY, SECRET, message_id="msg_1", timestamp=int(time()) - 301)
    with pytest.raises(InvalidWebhook, match="s ago"):
        verify_webhook(BODY, headers, SECRET)


def test_the_clock_and_the_tolerance_are_the_callers_to_choose() -> None:
    headers = sign_standard(BODY, SECRET, message_id="msg_1", timestamp=1_000)
    assert verify_webhook(BODY, headers, SECRET, tolerance_seconds=60, clock=lambda: 1_060.0).id == "msg_1"


def test_mka1s_signature_needs_no_time() -> None:
    assert verify_webhook(BODY, sign_mka1(BODY, "sixteen-characters"), "sixteen-characters").response_id == "resp_1"
