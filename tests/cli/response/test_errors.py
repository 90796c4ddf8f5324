"""The server's own words about an error, however it reports it, are in the outcome that is printed."""

import itertools
from typing import Any

import pytest

from streamfold.session import Backoff, Patience
from tests.cli.conftest import KEY, Run
from tests.cli.hostile import SSE, Asked, http, serving
from tests.cli.made import ERRORS, completed, delta, numbered, opening

COMMANDS = [
    pytest.param(["create", "--model", "m", "--input", "x", "--stream", "--background"], id="create"),
    pytest.param(["create", "--model", "m", "--input", "x", "--stream"], id="create in the foreground"),
    pytest.param(["follow", "resp_1"], id="follow"),
]
QUICK = Patience(backoff=Backoff(first_seconds=0.01), poll_seconds=0.01, gap_seconds=0.05)
FAILED: dict[str, Any] = {"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "output": []}}
MIDDLE, END = numbered(*opening(), delta("Half")), numbered(*opening(), delta("Half"), FAILED)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("error", "words"), ERRORS)
@pytest.mark.parametrize("before", [pytest.param(MIDDLE, id="in the middle"), pytest.param(END, id="behind the end")])
def test_the_outcome_has_the_servers_words(
    before: list[bytes], error: bytes, words: str, command: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfold.client.api.gateway.Patience", lambda: QUICK)
    message = words.rpartition(": ")[2]

    known = itertools.cycle([True, False])  # when `follow` asks whether there is such a response, and at the end

    def answer(asked: Asked) -> bytes:
        if asked.is_stream:
            return http(200, b"".join([*before, error]), SSE)
        if command[0] == "follow" and before is MIDDLE and next(known):
            return http(200, FAILED["response"] | {"status": "in_progress"})
        return (
            http(404, {"error": {"message": "no such response"}}) if before is MIDDLE else http(200, FAILED["response"])
        )

    with serving(answer) as gateway:
        flags = ("--base-url", f"{gateway.url}/v1", "--api-key", KEY)
        ran = run(*command, *flags)
        document = run(*command, *flags, "--json").outcome
    assert ran.code == 1
    [outcome] = [line for line in ran.err.splitlines() if ": lost (" in line or ": failed (" in line]
    assert message in outcome
    assert document["status"] == ("lost" if before is MIDDLE else "failed")
    assert document["output_text"] == "Half"


def test_every_line_of_json_is_json_even_if_an_event_is_not(run: Run) -> None:
    frames = numbered(*opening(), delta("x"), completed("x"))
    frames.insert(4, b"event: error\ndata: too many\n\n")
    with serving(lambda _: http(200, b"".join(frames), SSE)) as gateway:
        words = ["create", "--model", "m", "--input", "x", "--stream", "--json"]
        ran = run(*words, "--base-url", f"{gateway.url}/v1", "--api-key", KEY)
    assert {"type": "error", "data": "too many"} in ran.lines
    assert ran.outcome["output_text"] == "x"
