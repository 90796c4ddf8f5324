"""The head of a request says which endpoint, in which dialect, and for which tenant."""

import pytest

from streamfold.schema import MKA1, OPENAI
from streamfold.serving import (
    ApiCall,
    Endpoint,
    Problem,
    Route,
    cors_headers,
    dialect_of,
    find_route,
    preflight,
    tenant_of,
)

ENDPOINTS = [  # method, path, endpoint, id
    ("POST", "/responses", "create_response", ""),
    ("GET", "/responses", "list_responses", ""),
    ("GET", "/responses/resp_1", "retrieve_response", "resp_1"),
    ("POST", "/responses/resp-1", "update_response", "resp-1"),
    ("DELETE", "/responses/resp_1", "delete_response", "resp_1"),
    ("POST", "/responses/resp_1/cancel", "cancel_response", "resp_1"),
    ("GET", "/responses/resp_1/input_items", "list_input_items", "resp_1"),
    ("POST", "/batches", "create_batch", ""),
    ("GET", "/batches", "list_batches", ""),
    ("GET", "/batches/batch_1", "retrieve_batch", "batch_1"),
    ("POST", "/batches/batch_1/cancel", "cancel_batch", "batch_1"),
    ("POST", "/responses/compact", "compact", ""),
    ("GET", "/models", "list_models", ""),
    ("GET", "/models/toy", "retrieve_model", "toy"),
    ("GET", "/models/a/b", "retrieve_model", "a/b"),
]


@pytest.mark.parametrize(("prefix", "dialect"), [("/api/v1/llm", MKA1), ("/v1", OPENAI)])
@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row[2])
def test_each_endpoint_is_on_both_paths(prefix: str, dialect: object, row: tuple[str, str, str, str]) -> None:
    method, path, endpoint, id = row
    assert find_route(method, prefix + path) == Route(Endpoint(endpoint), dialect, id)
    assert find_route(method, f"{prefix}{path}/") == Route(Endpoint(endpoint), dialect, id)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/files", "/v1/responses/a/b", "/api/v1/responses", "/v1/responses/a/cancel/b"]
)
def test_any_other_path_is_not_found(path: str) -> None:
    found = find_route("GET", path)
    assert isinstance(found, Problem)
    assert found.status == 404


def test_another_method_is_not_allowed_and_the_refusal_names_those_that_are() -> None:
    found = find_route("DELETE", "/v1/responses")
    assert isinstance(found, Problem)
    assert (found.status, "POST or GET" in found.message) == (405, True)
    assert found.headers == (("allow", "POST, GET, HEAD, OPTIONS"),)


@pytest.mark.parametrize("path", ["/v1/responses/compact", "/v1/responses/input_tokens"])
def test_the_name_of_an_endpoint_is_no_id(path: str) -> None:
    found = find_route("GET", path)
    assert isinstance(found, Problem)
    assert (found.status, found.headers) == (405, (("allow", "POST, OPTIONS"),))


def test_an_endpoint_that_a_dialect_does_not_have_is_not_found_there() -> None:
    assert find_route("POST", "/v1/responses/input_tokens") == Route(Endpoint.COUNT_INPUT_TOKENS, OPENAI)
    for method in ("POST", "GET"):
        found = find_route(method, "/api/v1/llm/responses/input_tokens")
        assert isinstance(found, Problem)
        assert (found.status, found.code, "/responses/input_tokens" in found.message) == (404, "unknown_url", True)


def test_head_is_read_as_get() -> None:
    assert find_route("HEAD", "/v1/responses") == Route(Endpoint.LIST_RESPONSES, OPENAI)
    found = find_route("HEAD", "/v1/responses/a/cancel")
    assert isinstance(found, Problem)
    assert found.status == 405


def test_a_long_path_is_not_repeated_whole() -> None:
    found = find_route("GET", "/" + "a" * 10_000)
    assert isinstance(found, Problem)
    assert len(found.message) < 500


# Web pages


def test_every_page_may_read_the_answers_unless_origins_are_given() -> None:
    assert dict(cors_headers({}, "*"))["access-control-allow-origin"] == "*"
    assert cors_headers({"origin": "http://a"}, "") == ()


def test_a_page_of_a_given_origin_may_read_and_no_other() -> None:
    origins = "http://a, http://b:3000"
    allowed = dict(cors_headers({"origin": "http://b:3000"}, origins))
    assert (allowed["access-control-allow-origin"], allowed["vary"]) == ("http://b:3000", "origin")
    assert "x-request-id" in allowed["access-control-expose-headers"]
    for headers in ({"origin": "http://c"}, {"origin": ""}, {}):
        assert cors_headers(headers, origins) == (("vary", "origin"),)


def test_a_preflight_allows_the_headers_that_it_asks_for() -> None:
    found = preflight({"access-control-request-headers": "authorization, x-stainless-os"})
    headers = dict(found.headers)
    assert (found.status, found.body) == (204, b"")
    assert headers["access-control-allow-headers"] == "authorization, x-stainless-os"
    assert {"GET", "POST", "DELETE"} <= set(headers["access-control-allow-methods"].split(", "))


@pytest.mark.parametrize("asked", ["", "a\r\nx: y", "a" * 3000, "\u00e9"])
def test_a_preflight_that_asks_for_no_names_gets_the_usual_ones(asked: str) -> None:
    headers = dict(preflight({"access-control-request-headers": asked}).headers)
    assert "authorization" in headers["access-control-allow-headers"]


@pytest.mark.parametrize(("path", "dialect"), [("/v1/models", OPENAI), ("/api/v1/llm/x", MKA1), ("/else", MKA1)])
def test_even_a_refusal_is_in_the_dialect_of_its_path(path: str, dialect: object) -> None:
    assert dialect_of(path) is dialect


def test_a_server_may_have_prefixes_of_its_own() -> None:
    prefixes = {"/gateway/v1": OPENAI}
    assert find_route("GET", "/gateway/v1/batches", prefixes) == Route(Endpoint.LIST_BATCHES, OPENAI)
    assert isinstance(find_route("GET", "/v1/batches", prefixes), Problem)
    assert dialect_of("/gateway/v1/x", prefixes) is OPENAI


def test_a_call_has_the_id_and_the_dialect_of_its_route_and_does_not_show_its_body() -> None:
    route = Route(Endpoint.RETRIEVE_RESPONSE, OPENAI, "resp_1")
    call = ApiCall(route=route, tenant="t", query=b"", body=b"a secret prompt", now=1.0)
    assert (call.id, call.dialect) == ("resp_1", OPENAI)
    assert "secret" not in repr(call)


# Tenants


def tenant(token: str = "key", *, key: str | None = None, owner: str | None = None) -> str | Problem:
    headers = {"authorization": f"Bearer {token}"} | ({} if owner is None else {"x-on-behalf-of": owner})
    return tenant_of(headers, key=key)


def test_the_same_key_and_owner_are_the_same_tenant() -> None:
    assert tenant("a", owner="me") == tenant(" a ", owner="me")
    assert len({tenant("a"), tenant("b"), tenant("a", owner="me"), tenant("a", owner="you")}) == 4


def test_the_key_is_not_in_the_tenants_name() -> None:
    assert "a-long-key" not in str(tenant("a-long-key"))


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic key", "key"])
def test_a_request_without_a_bearer_token_is_refused(header: str | None) -> None:
    found = tenant_of({} if header is None else {"authorization": header}, key=None)
    assert isinstance(found, Problem)
    assert (found.status, found.code) == (401, "missing_api_key")


def test_where_one_key_is_accepted_any_other_is_refused() -> None:
    found = tenant("other", key="key")
    assert isinstance(found, Problem)
    assert (found.status, found.code) == (401, "invalid_api_key")
    assert tenant("key", key="key") == tenant("key")


def test_a_key_of_any_alphabet_is_compared_by_its_bytes() -> None:
    sent = "\u043a\u043b\u044e\u0447".encode().decode("latin-1")  # as a server reads a header
    assert isinstance(tenant(sent, key="\u043a\u043b\u044e\u0447"), str)
    assert isinstance(tenant("\u043a\u043b\u044e\u0447", key="key"), Problem)
