"""What a POST says about itself: what makes two of them the same, and which signs say that one repeats another."""

import pytest

from streamfold.relay.post import Post, read_post
from tests.conftest import for_every

CODEX = {"user-agent": "codex_cli_rs/0.171.0 (Linux; x86_64)"}
TURN = '{"session_id":"s","turn_id":"t1"}'


def post(
    tenant: str = "a",
    method: str = "POST",
    path: str = "/v1/responses",
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
) -> Post:
    return read_post(tenant=tenant, method=method, path=path, headers=headers or {}, body=body)


def test_equal_requests_have_one_fingerprint() -> None:
    assert post() == post()


@pytest.mark.parametrize(
    "other",
    [
        post(tenant="b"),
        post(method="PUT"),
        post(path="/v1/responses?include=x"),
        post(body=b"{} "),
        post(path="/v1/responses{", body=b"}"),
        post(tenant="aPOST", method=""),
        post(headers=CODEX | {"x-codex-turn-metadata": TURN}),
    ],
)
def test_any_difference_gives_another_fingerprint(other: Post) -> None:
    assert other.fingerprint != post().fingerprint


def test_a_key_is_the_tenants_own() -> None:
    keys = [post(tenant, headers={"idempotency-key": key}).key for tenant in "ab" for key in ("k", "l")]
    assert len({*keys}) == 4
    assert None not in keys
    assert post(headers={"idempotency-key": ""}).key is None


def test_neither_body_nor_key_nor_turn_is_kept() -> None:
    kept = repr(
        post(
            body=b"secret",
            headers=CODEX | {"idempotency-key": "secret", "x-codex-turn-metadata": '{"turn_id":"secret"}'},
        )
    )
    assert "secret" not in kept


@for_every(
    "count,expected",
    [
        ("0", False),
        ("1", True),
        ("12", True),
        ("", False),
        ("-1", False),
        ("x", False),
        ("1.0", False),
        ("²", False),
        ("1" * 7, False),
    ],
)
def test_a_counted_retry_is_one(count: str, expected: bool) -> None:
    assert post(headers={"x-stainless-retry-count": count}).is_retry is expected


@for_every(
    "body",
    [
        b'{"client_metadata":{"turn_id":"t1"}}',
        b'{"model":"gpt","client_metadata":{"x-codex-turn-metadata":"{\\"turn_id\\":\\"t1\\"}"}}',
        b'{"client_metadata":{"turn_id":"","x-codex-turn-metadata":"{\\"turn_id\\":\\"t1\\"}"}}',
    ],
)
def test_a_codex_client_names_its_turn_in_the_body(body: bytes) -> None:
    named = post(headers=CODEX | {"x-codex-turn-metadata": TURN})
    assert post(body=body, headers=CODEX).turn == named.turn is not None
    assert post(body=body, headers={"originator": "codex_exec", "user-agent": "x"}).turn == named.turn
    assert post(body=body, headers={"user-agent": "OpenAI/Python 3.57.0"}).turn is None


@for_every(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"client_metadata":null}',
        b'{"client_metadata":{}}',
        b'{"client_metadata":[]}',
        b'{"client_metadata":{"turn_id":7}}',
        b'{"client_metadata":{"x-codex-turn-metadata":"t1"}}',
        b'{"client_metadata":{"x-codex-turn-metadata":{"turn_id":"t1"}}}',
        b'{"client_metadata":{"x-codex-turn-metadata":"{\\"turn_id\\":null}"}}',
    ],
)
def test_a_codex_client_that_names_no_turn_has_none(body: bytes) -> None:
    assert post(body=body, headers=CODEX).turn is None
    assert post(body=body, headers=CODEX | {"x-codex-turn-metadata": "\udc80{"}).turn is None


def test_the_order_of_a_codex_clients_metadata_does_not_count() -> None:
    one = b'{"input":[{"b":1,"a":2}],"client_metadata":{"turn_id":"t1","b":{"x":1,"y":2}},"model":"gpt"}'
    other = b'{"input":[{"b":1,"a":2}],"client_metadata":{"b":{"y":2,"x":1},"turn_id":"t1"},"model":"gpt"}'
    assert post(body=one, headers=CODEX).fingerprint == post(body=other, headers=CODEX).fingerprint
    assert post(body=one).fingerprint != post(body=other).fingerprint
    for changed in (one.replace(b'{"b":1,"a":2}', b'{"a":2,"b":1}'), one.replace(b'"y":2', b'"y":3')):
        assert post(body=changed, headers=CODEX).fingerprint != post(body=one, headers=CODEX).fingerprint


def test_a_codex_body_without_metadata_or_json_has_a_fingerprint() -> None:
    named = CODEX | {"x-codex-turn-metadata": TURN}
    bodies = [b"{", b"{}", b"[]", b'{"client_metadata":{"a":1}}', b"{}x", b'{"client_metadata":"\xff"}']
    assert len({post(body=body, headers=named).fingerprint for body in bodies}) == len(bodies)


def test_the_turn_of_another_tenant_is_another() -> None:
    named = CODEX | {"x-codex-turn-metadata": TURN}
    assert post("a", headers=named).turn != post("b", headers=named).turn
