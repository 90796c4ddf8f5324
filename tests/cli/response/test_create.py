"""`streamfold create` without --stream: the text, or the id of what runs in the background."""

import os
from collections.abc import Callable

import pytest

from tests.cli.conftest import Gateways, Run

Use = Callable[[str], None]
CREATE = ("create", "--model", "toy")


def test_the_text_of_what_was_waited_for(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    ran = run(*CREATE, "--input", "echo Grüezi")
    assert (ran.code, ran.out.decode(), ran.err) == (0, "Grüezi\n", "")


def test_the_input_from_stdin(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    assert run(*CREATE, "--input", "-", stdin=b"echo from a pipe\n").out == b"from a pipe\n"


def test_an_input_may_begin_with_a_hyphen(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    assert run(*CREATE, "--input", "--echo this").out == b"this\n"


def test_the_response_as_json_on_one_line(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    ran = run(*CREATE, "--input", "echo this", "--json")
    assert ran.out.count(b"\n") == 1
    assert (ran.document["status"], ran.document["output_text"]) == ("completed", "this")


def test_the_id_of_what_runs_in_the_background_and_the_command_that_follows_it(
    gateways: Gateways, use: Use, run: Run
) -> None:
    use(gateways(tokens_per_second=1))
    ran = run(*CREATE, "--input", "9 words", "--background", "--http", "direct")
    response_id = ran.out.decode().strip()
    assert ran.code == 0
    assert response_id.startswith("resp_")
    assert ran.err.splitlines() == [
        "streamfold: queued; follow it with:",
        f"  streamfold follow {response_id} --http direct",
    ]


def test_any_parameter_of_the_api_as_json_or_as_text(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    given = ("temperature=0.5", 'metadata={"a":"b"}', "truncation=auto", "instructions=Be brief")
    ran = run(*CREATE, "--input", "echo x", "--json", *(f"--parameter={each}" for each in given))
    response = ran.document
    assert (response["temperature"], response["metadata"], response["truncation"]) == (0.5, {"a": "b"}, "auto")
    assert response["instructions"] == "Be brief"


def test_what_failed_is_exit_code_1_and_a_line(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    ran = run(*CREATE, "--input", "fail now")
    assert ran.code == 1
    assert "failed: The model stopped half way" in ran.err


BAD = [
    pytest.param([], "no prompt: pass --input TEXT, or --input - to read stdin", id="nothing"),
    pytest.param(["--background"], "no prompt: pass --input TEXT", id="nothing in the background"),
    pytest.param(["--input=x", "--parameter=temperature=3"], "temperature: must be a number from 0 to 2", id="a range"),
    pytest.param(
        ["--input=x", "--parameter=temprature=1"],
        "temprature: is not a known parameter (did you mean temperature?); pass parameters newer than this version as --parameter 'extra_body={\"NAME\": VALUE}'",
        id="a typo",
    ),
    pytest.param(["--input=x", "--parameter=tools"], "--parameter: must be NAME=VALUE, got 'tools'", id="no pair"),
    pytest.param(["--input=x", "--model="], "--model: must be a non-empty string", id="no model"),
    pytest.param(["--parameter=input=7"], "--input: must be a string or a list of items", id="a wrong type"),
]


@pytest.mark.parametrize("stream", [[], ["--stream"]], ids=["waited for", "streamed"])
@pytest.mark.parametrize(("options", "reason"), BAD)
def test_what_no_gateway_would_take_is_wrong_usage(
    options: list[str], reason: str, stream: list[str], use: Use, run: Run
) -> None:
    use("http://127.0.0.1:1")  # where nobody is: it is refused before anything is sent
    ran = run("create", *([] if "--model=" in options else ["--model", "toy"]), *options, *stream)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith(f"streamfold: {reason}")


NOT_UTF_8 = os.fsdecode(b"x\xff")


@pytest.mark.parametrize(
    "words",
    [
        ["create", "--model", NOT_UTF_8, "--input", "x"],
        ["create", "--model", "m", "--input", NOT_UTF_8],
        ["create", "--model", "m", "--instructions", NOT_UTF_8],
        ["create", "--model", "m", "--input", "x", "--parameter", f"user={NOT_UTF_8}"],
        ["log", "ls", "--tenant", NOT_UTF_8],
        ["log", "import", "x", "--id", NOT_UTF_8],
    ],
)
def test_an_argument_that_is_not_utf_8_is_wrong_usage(words: list[str], run: Run) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, b"")
    assert "It must be valid UTF-8" in ran.err


def test_stdin_that_is_not_utf_8_is_an_error(run: Run) -> None:
    ran = run("create", "--model", "m", "--input", "-", stdin=b"x\xff")
    assert (ran.code, ran.out, ran.err) == (1, b"", "streamfold: stdin: it is not valid UTF-8\n")
