"""A query is read in the forms of both SDKs, or refused with the parameter named."""

import pytest

from streamfold.schema.dialect import MKA1, OPENAI, Dialect
from streamfold.serving import PageQuery, Problem, RetrieveQuery, read_page_query, read_retrieve_query
from tests.emulator.answers import DIALECTS

A, B = "file_search_call.results", "message.output_text.logprobs"
MAX_SAFE = 2**53 - 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_asks_for_a_snapshot(dialect: Dialect) -> None:
    assert read_retrieve_query(b"", dialect) == RetrieveQuery()


def test_what_the_mka1_sdk_sends_is_read() -> None:
    query = f"include={A}&include={B}&include_obfuscation=false&starting_after=42&stream=false".encode()
    expected = RetrieveQuery(include=(A, B), include_obfuscation=False, starting_after=42, stream=False)
    assert read_retrieve_query(query, MKA1) == expected


def test_what_the_openai_sdk_sends_is_read() -> None:
    query = f"include%5B%5D={A}&include%5B%5D={B}&starting_after=5&stream=true".encode()
    assert read_retrieve_query(query, OPENAI) == RetrieveQuery(include=(A, B), starting_after=5, stream=True)


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("True", True), ("1", True), ("false", False), ("0", False), ("", False)]
)
def test_booleans(text: str, expected: bool) -> None:
    assert read_retrieve_query(f"stream={text}".encode(), MKA1) == RetrieveQuery(stream=expected)


def test_obfuscation_may_be_asked_for() -> None:
    assert read_retrieve_query(b"include_obfuscation=true", MKA1) == RetrieveQuery(include_obfuscation=True)


def test_unknown_parameters_are_passed_over() -> None:
    assert read_retrieve_query(b"colour=red&stream=true", MKA1) == RetrieveQuery(stream=True)


@pytest.mark.parametrize(
    ("dialect", "text", "cursor"),
    [
        pytest.param(MKA1, "0", 0, id="the first"),
        pytest.param(MKA1, "-1", -1, id="below the first"),
        pytest.param(MKA1, str(-MAX_SAFE), -MAX_SAFE, id="mka1's lowest"),
        pytest.param(MKA1, str(MAX_SAFE), MAX_SAFE, id="the highest"),
        pytest.param(OPENAI, "0", 0, id="openai's lowest"),
        pytest.param(OPENAI, "", None, id="none"),
    ],
)
def test_cursors(dialect: Dialect, text: str, cursor: int | None) -> None:
    read = read_retrieve_query(f"starting_after={text}".encode(), dialect)
    assert read == RetrieveQuery(starting_after=cursor)


@pytest.mark.parametrize(
    ("dialect", "query", "param"),
    [
        pytest.param(MKA1, "starting_after=x", "starting_after", id="a cursor as text"),
        pytest.param(MKA1, "starting_after=1.5", "starting_after", id="half a cursor"),
        pytest.param(MKA1, "starting_after=--1", "starting_after", id="two signs"),
        pytest.param(MKA1, "starting_after=%D9%A3", "starting_after", id="an Arabic digit"),
        pytest.param(MKA1, f"starting_after={MAX_SAFE + 1}", "starting_after", id="too high"),
        pytest.param(MKA1, f"starting_after={-MAX_SAFE - 1}", "starting_after", id="too low"),
        pytest.param(MKA1, "starting_after=" + "9" * 5000, "starting_after", id="far too high"),
        pytest.param(OPENAI, "starting_after=-1", "starting_after", id="below openai's first"),
        pytest.param(MKA1, "stream=yes", "stream", id="a boolean"),
        pytest.param(MKA1, "include_obfuscation=2", "include_obfuscation", id="another boolean"),
        pytest.param(MKA1, "include=x", "include[0]", id="include"),
        pytest.param(MKA1, f"include[]={A}&include=x", "include[1]", id="the other include"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(dialect: Dialect, query: str, param: str) -> None:
    problem = read_retrieve_query(query.encode(), dialect)
    assert isinstance(problem, Problem)
    assert (problem.status, problem.param) == (400, param)


# Pages


def test_a_page_has_twenty_newest_first() -> None:
    assert read_page_query(b"", MKA1) == PageQuery(after=None, before=None, limit=20, order="desc")


def test_a_page_is_read() -> None:
    query = f"after=resp_1&before=resp_2&limit=100&order=asc&include={A}".encode()
    expected = PageQuery(after="resp_1", before="resp_2", limit=100, order="asc", include=(A,))
    assert read_page_query(query, MKA1) == expected


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=" + "1" * 5000, "limit"),
        ("order=up", "order"),
        ("include=x", "include[0]"),
    ],
)
def test_a_page_that_is_wrong_is_refused(query: str, param: str) -> None:
    problem = read_page_query(query.encode(), MKA1)
    assert isinstance(problem, Problem)
    assert problem.param == param
