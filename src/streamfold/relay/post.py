"""What a POST says about itself: whose it is, what it asks for, its Idempotency-Key, and whether it repeats another.

Of a body, and of a key, only hashes are kept.

Three things say that a POST repeats an earlier one:

- `Idempotency-Key`: the client says which requests are the same one.
- `x-stainless-retry-count` above 0: the OpenAI SDKs, and others by the same generator, count their retries in it. It
  says that this is a retry, and not of what.
- The turn of a Codex client. Codex repeats a POST with the same turn id, and gives the next turn another one, so equal
  bodies of one turn are one request. Codex has no retry counter. It writes its `client_metadata` in another order each
  time (measured: 0.171.0), so the order of those fields does not count.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from streamfold.schema import UNDECODABLE

HASH_BYTES = 32
MAX_COUNT_DIGITS = 6
CODEX = "codex"  # how `originator` and `User-Agent` of its programs begin: codex_cli_rs, codex_exec, codex_vscode, ...
TURN_HEADER = "x-codex-turn-metadata"  # JSON with `turn_id`; also a text in the body's `client_metadata`
TURN_ID = "turn_id"
METADATA = "client_metadata"
NULL = Raw(b"null")


@frozen(kw_only=True)
class Post:
    """One POST that asks for a stream, as hashes.

    Attributes:
        tenant: Whose it is.
        fingerprint: Of tenant, method, path and body, and of the turn.
        key: Of the tenant and its Idempotency-Key; None without one.
        turn: Of the tenant and its turn; None if it names none.
        is_retry: Whether the client counts it as a retry.
    """

    tenant: str
    fingerprint: bytes
    key: bytes | None = None
    turn: bytes | None = None
    is_retry: bool = False


def read_post(*, tenant: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Post:
    """Read what a POST says about itself.

    Args:
        tenant: Whose it is. Nothing is ever equal across tenants.
        method: Its method.
        path: Its path, with the query.
        headers: Its headers, names in lower case.
        body: Its body, as the client sent it: before a promotion.
    """
    key, turn = headers.get("idempotency-key"), _turn_of(headers, body)
    return Post(
        tenant=tenant,
        fingerprint=_hash(tenant, method, path, _in_order(body) if turn else body, turn or b""),
        key=_hash(tenant, key) if key else None,
        turn=_hash(tenant, turn) if turn else None,
        is_retry=_is_count(headers.get("x-stainless-retry-count", "")),
    )


def _hash(*parts: str | bytes) -> bytes:
    """The hash of the parts; each begins with its length, so that no two lists of parts look the same."""
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_COUNT_DIGITS and int(text) > 0


_decode_fields = Decoder(dict[str, Raw]).decode
_decode_any = Decoder().decode


def _in_order(body: bytes) -> bytes:
    """The body of a Codex client, with its metadata in one order."""
    try:
        fields = _decode_fields(body)
        metadata = encode(_decode_any(fields.get(METADATA, NULL)), order="sorted")
    except UNDECODABLE:
        return body
    return encode(fields | {METADATA: Raw(metadata)})


class _Body(Struct):
    client_metadata: dict[str, Any] | None = None


_decode_body = Decoder(_Body).decode
_decode_turn = Decoder(dict[str, Any]).decode


def _turn_of(headers: Mapping[str, str], body: bytes) -> str | None:
    """The turn id of a Codex client: from its header, else from its body."""
    if not any(headers.get(name, "").lower().startswith(CODEX) for name in ("originator", "user-agent")):
        return None
    if turn := _turn_in(headers.get(TURN_HEADER)):
        return turn
    try:
        said = _decode_body(body).client_metadata or {}
    except UNDECODABLE:
        return None
    turn = said.get(TURN_ID)
    return turn if isinstance(turn, str) and turn else _turn_in(said.get(TURN_HEADER))


def _turn_in(metadata: Any) -> str | None:
    try:
        turn = _decode_turn(metadata.encode()).get(TURN_ID) if isinstance(metadata, str) else None
    except (*UNDECODABLE, UnicodeEncodeError):
        return None
    return turn if isinstance(turn, str) and turn else None
