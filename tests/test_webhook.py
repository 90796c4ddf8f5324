"""A webhook is accepted if it was signed with the secret, by either scheme; anything else is refused."""

import base64
import hashlib
import hmac
import json
from time import time
from typing import Any

import pytest

from streamfold.errors import InvalidArgument, InvalidWebhook, WireError
from streamfold.webhook import Webhook, sign_mka1, sign_standard, verify

SECRET = "sixteen-characters-and-more"
KEY = b"a key of any bytes \x00\xff"
STANDARD_SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = 1_800_000_000
EVENT: dict[str, Any] = {"id": "evt_1", "type": "response.completed", "data": {"id": "resp_1", "status": "completed"}}
BODY = json.dumps(EVENT).encode()
DIGEST = hmac.new(SECRET.encode(), BODY, hashlib.sha256)


def checked(body: bytes = BODY, headers: dict[str, str] | None = None, secret: str = SECRET, **given: Any) -> Webhook:
    signed = {"X-Webhook-Signature": DIGEST.hexdigest()} if headers is None else headers
    return verify(body, signed, secret, now=NOW, **given)


def standard(body: bytes = BODY, *, id: str = "msg_1", at: int = NOW, key: bytes = KEY) -> dict[str, str]:
    """The headers as the Standard Webhooks specification has them, made by hand."""
    digest = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}


def refused(*given: Any, **named: Any) -> str:
    """Why it is."""
    with pytest.raises(InvalidWebhook) as caught:
        checked(*given, **named)
    assert isinstance(caught.value, WireError)
    assert SECRET not in str(caught.value)
    return caught.value.reason


# MKA1


@pytest.mark.parametrize(
    "signature",
    [
        DIGEST.hexdigest(),
        DIGEST.hexdigest().upper(),
        "sha256=" + DIGEST.hexdigest(),
        f"  {DIGEST.hexdigest()} ",
        base64.b64encode(DIGEST.digest()).decode(),
        "sha256=" + base64.b64encode(DIGEST.digest()).decode(),
    ],
    ids=["hex", "in capitals", "with its name", "with spaces", "base64", "base64 with its name"],
)
def test_mka1s_signature_is_taken_in_each_spelling(signature: str) -> None:
    assert checked(headers={"X-Webhook-Signature": signature}).response_id == "resp_1"


@pytest.mark.parametrize("name", ["X-Webhook-Signature", "x-webhook-signature", "X-WEBHOOK-SIGNATURE"])
def test_header_names_are_taken_in_any_case(name: str) -> None:
    assert checked(headers={name: DIGEST.hexdigest()}).type == "response.completed"


def test_what_it_says_is_typed() -> None:
    assert checked() == Webhook(
        type="response.completed", id="evt_1", response_id="resp_1", status="completed", body=BODY
    )


def test_what_it_does_not_say_is_none() -> None:
    body = b'{"type":"response.queued"}'
    told = checked(body, sign_mka1(body, SECRET))
    assert (told.id, told.response_id, told.status) == (None, None, None)


@pytest.mark.parametrize("data", ["null", "7", '"resp_1"', "[]", '{"id":7,"status":{}}'])
def test_data_of_another_kind_names_no_response(data: str) -> None:
    body = b'{"type":"batch.completed","data":%b}' % data.encode()
    told = checked(body, sign_mka1(body, SECRET))
    assert (told.response_id, told.status) == (None, None)


def test_the_emulators_signature_is_good() -> None:
    assert checked(headers=sign_mka1(BODY, SECRET)).response_id == "resp_1"


@pytest.mark.parametrize(
    "body",
    [BODY.replace(b"completed", b"cancelled"), BODY + b" ", BODY[:-1], b""],
    ids=["changed", "longer", "cut", "none"],
)
def test_a_body_that_was_tampered_with_is_refused(body: bytes) -> None:
    assert "does not match" in refused(body)


def test_another_secret_is_refused() -> None:
    assert "does not match" in refused(secret="another-secret-of-enough")


@pytest.mark.parametrize(
    "signature", ["", "0" * 64, "sha256=", "not hex", "ÿ", "🙂", "v1,abc", DIGEST.hexdigest()[:-1]]
)
def test_a_wrong_signature_is_refused(signature: str) -> None:
    assert "does not match" in refused(headers={"X-Webhook-Signature": signature})


def test_a_webhook_without_a_signature_is_refused() -> None:
    assert "no signature" in refused(headers={})
    assert "no signature" in refused(headers={"webhook-id": "msg_1", "webhook-timestamp": str(NOW)})


# Standard Webhooks


def test_a_standard_webhook_is_taken() -> None:
    told = checked(headers=standard(), secret=STANDARD_SECRET)
    assert (told.id, told.response_id) == ("msg_1", "resp_1")


def test_the_emulators_standard_signature_is_good() -> None:
    headers = sign_standard(BODY, STANDARD_SECRET, message_id="msg_1", timestamp=NOW)
    assert checked(headers=headers, secret=STANDARD_SECRET).id == "msg_1"


def test_the_openai_sdk_signs_and_verifies_the_same() -> None:
    from openai import InvalidWebhookSignatureError, OpenAI

    headers = standard(at=int(time()))
    with OpenAI(api_key="key", webhook_secret=STANDARD_SECRET) as client:
        client.webhooks.verify_signature(BODY, headers)
        with pytest.raises(InvalidWebhookSignatureError):
            client.webhooks.verify_signature(BODY + b" ", headers)
    assert verify(BODY, headers, STANDARD_SECRET, now=time()).response_id == "resp_1"


def test_the_specifications_own_example_is_good() -> None:
    """https://www.standardwebhooks.com: its libraries all test with this one."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    with pytest.raises(InvalidWebhook, match="is not an event"):  # it is signed well, and no event of ours
        verify(body, headers, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now=1614265330)


def test_names_of_standard_headers_are_taken_in_any_case() -> None:
    headers = {name.title(): value for name, value in standard().items()}
    assert checked(headers=headers, secret=STANDARD_SECRET).id == "msg_1"


def test_a_secret_without_its_prefix_is_the_key_itself() -> None:
    assert checked(headers=standard(key=SECRET.encode())).id == "msg_1"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_good_signature_of_several_is_enough(place: int) -> None:
    headers = standard()
    others = ["v1,bm90IGl0", "v1a,bm90IGl0IGVpdGhlcg=="]
    others.insert(place, headers["webhook-signature"])
    assert checked(headers=headers | {"webhook-signature": " ".join(others)}, secret=STANDARD_SECRET).id == "msg_1"


@pytest.mark.parametrize("signatures", ["", "v1,", "v1,bm90IGl0 v1,bm9y", "v2,x", "ÿ", "v1"])
def test_no_good_signature_among_several_is_refused(signatures: str) -> None:
    assert "does not match" in refused(headers=standard() | {"webhook-signature": signatures}, secret=STANDARD_SECRET)


def test_another_version_of_a_good_signature_is_refused() -> None:
    headers = standard()
    other = headers | {"webhook-signature": headers["webhook-signature"].replace("v1,", "v2,")}
    assert "does not match" in refused(headers=other, secret=STANDARD_SECRET)


@pytest.mark.parametrize("change", [{"webhook-id": "msg_2"}, {"webhook-timestamp": str(NOW - 1)}])
def test_the_id_and_the_time_are_signed_too(change: dict[str, str]) -> None:
    assert "does not match" in refused(headers=standard() | change, secret=STANDARD_SECRET)


def test_a_standard_body_that_was_tampered_with_is_refused() -> None:
    assert "does not match" in refused(BODY + b" ", headers=standard(), secret=STANDARD_SECRET)


@pytest.mark.parametrize("age", [-300, 0, 300])
def test_one_within_the_tolerance_is_taken(age: int) -> None:
    assert checked(headers=standard(at=NOW - age), secret=STANDARD_SECRET).id == "msg_1"


@pytest.mark.parametrize(("age", "said"), [(301, "301 s ago"), (-301, "301 s in the future"), (10**9, "s ago")])
def test_one_too_old_or_too_new_is_refused(age: int, said: str) -> None:
    assert said in refused(headers=standard(at=NOW - age), secret=STANDARD_SECRET)


def test_the_tolerance_is_the_callers_to_choose() -> None:
    headers = standard(at=NOW - 900)
    assert checked(headers=headers, secret=STANDARD_SECRET, tolerance_seconds=1000).id == "msg_1"


@pytest.mark.parametrize("timestamp", ["", "soon", "1.5", "nan", "inf", "9" * 5000])
def test_a_timestamp_that_is_no_number_is_refused(timestamp: str) -> None:
    assert refused(headers=standard() | {"webhook-timestamp": timestamp}, secret=STANDARD_SECRET)


def test_where_both_signatures_are_there_the_one_with_a_time_counts() -> None:
    headers = standard(at=NOW - 1000) | sign_mka1(BODY, STANDARD_SECRET)
    assert "ago" in refused(headers=headers, secret=STANDARD_SECRET)


# Secrets and bodies


def test_an_empty_secret_is_the_callers_mistake() -> None:
    with pytest.raises(InvalidArgument) as caught:
        checked(secret="")
    assert caught.value.name == "secret"


@pytest.mark.parametrize("secret", ["s" * 15, "whsec_" + base64.b64encode(b"s" * 15).decode()])
def test_a_secret_of_fewer_than_16_bytes_is_the_callers_mistake(secret: str) -> None:
    """Its signatures could be guessed, however right they are."""
    key = secret.encode() if secret.startswith("s") else base64.b64decode(secret[6:])
    with pytest.raises(InvalidArgument, match="at least 16 bytes"):
        checked(headers=standard(key=key), secret=secret)
    with pytest.raises(InvalidArgument, match="at least 16 bytes"):
        digest = hmac.new(b"s" * 15, BODY, hashlib.sha256).hexdigest()
        checked(headers={"x-webhook-signature": digest}, secret="s" * 15)


@pytest.mark.parametrize("secret", ["whsec_not base64", "whsec_a", "whsec_é"])
def test_a_secret_that_is_no_base64_is_the_callers_mistake(secret: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        checked(headers=standard(), secret=secret)
    assert caught.value.name == "secret"


def test_a_secret_that_is_nothing_but_its_prefix_is_the_callers_mistake() -> None:
    """Its key would be empty, and anybody could sign with that."""
    with pytest.raises(InvalidArgument) as caught:
        checked(headers=standard(key=b""), secret="whsec_")
    assert caught.value.name == "secret"


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"x"', b"{}", b'{"type":7}', b"<html>", b'{"type":"x"', b'{"type":"\xff"}', b"[" * 10_000],
    ids=["none", "null", "a list", "a text", "no type", "a number", "a page", "cut", "no UTF-8", "deep"],
)
def test_a_body_that_is_no_event_is_refused_though_it_is_signed(body: bytes) -> None:
    assert "not an event" in refused(body, sign_mka1(body, SECRET))
