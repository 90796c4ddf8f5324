"""Which endpoint a method and a path name."""

import pytest

from streamfold.emulator.request import Problem
from streamfold.emulator.route import Route, dialect_of, find_route
from streamfold.schema import MKA1, OPENAI

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
    assert find_route(method, prefix + path) == Route(endpoint, dialect, id)
    assert find_route(method, f"{prefix}{path}/") == Route(endpoint, dialect, id)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/models", "/v1/responses/a/b", "/api/v1/responses", "/v1/responses/a/cancel/b"]
)
def test_any_other_path_is_not_found(path: str) -> None:
    found = find_route("GET", path)
    assert isinstance(found, Problem)
    assert found.status == 404


def test_another_method_is_not_allowed_and_told_which_are() -> None:
    found = find_route("DELETE", "/v1/responses")
    assert isinstance(found, Problem)
    assert (found.status, "POST or GET" in found.message) == (405, True)


@pytest.mark.parametrize(("path", "dialect"), [("/v1/models", OPENAI), ("/api/v1/llm/x", MKA1), ("/else", MKA1)])
def test_even_a_refusal_is_in_the_dialect_of_its_path(path: str, dialect: object) -> None:
    assert dialect_of(path) is dialect
