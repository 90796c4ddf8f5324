"""The head of a request says which endpoint, in which dialect, and for which tenant."""

import pytest

from streamfold.schema import MKA1, OPENAI
from streamfold.serving import ApiCall, Endpoint, Problem, Route, dialect_of, find_route, tenant_of

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
]


@pytest.mark.parametrize(("prefix", "dialect"), [("/api/v1/llm", MKA1), ("/v1", OPENAI)])
@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row[2])
def test_each_endpoint_is_on_both_paths(prefix: str, dialect: object, row: tuple[str, str, str, str]) -> None:
    method, path, endpoint, id = row
    assert find_route(method, prefix + path) == Route(Endpoint(endpoint), dialect, id)
    assert find_route(method, f"{prefix}{path}/") == Route(Endpoint(endpoint), dialect, id)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/models", "/v1/responses/a/b", "/api/v1/responses", "/v1/responses/a/cancel/b"]
)
def test_any_other_path_is_not_found(path: str) -> None:
    found = find_route("GET", path)
    assert isinstance(found, Problem)
    assert found.status == 404


def test_another_method_is_not_allowed_and_the_refusal_names_those_that_are() -> None:
    found = find_route("DELETE", "/v1/responses")
    assert isinstance(found, Problem)
    assert (found.status, "POST or GET" in found.message) == (405, True)


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
