"""`streamfold follow ID` and `create --stream`: lines of JSON, text in a pipe, a picture on a terminal."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Gateways, Run
from tests.cli.made import completed, delta, numbered, opening

Use = Callable[[str], None]
STREAM = ("create", "--model", "toy", "--background", "--stream")
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def made(gateways: Gateways, use: Use, run: Run) -> Callable[..., str]:
    """Makes a response of 30 words in the background, and waits for its end. Returns: its id."""

    def made(faults: str = "", dialect: str = "openai", **options: object) -> str:
        use(gateways(faults, **options))
        ran = run(*STREAM, "--input", "30 words", "--json", "--dialect", dialect)
        return ran.outcome["response_id"]

    return made


def test_each_event_is_a_line_of_its_own_json_and_the_outcome_is_the_last(
    gateways: Gateways, use: Use, run: Run, tmp_path: Path
) -> None:
    frames = numbered(*opening(), delta("Zürich 🌍"), completed("Zürich 🌍"))
    recording = tmp_path / "one.sse"
    recording.write_bytes(b"".join(frames))
    use(gateways(playback=recording))
    ran = run(*STREAM, "--input", "x", "--json", "--dialect", "openai")
    told = ran.out.splitlines(keepends=True)
    assert told[:-1] == [frame.split(b"data: ", 1)[1][:-1] for frame in frames]
    assert (ran.code, ran.err) == (0, "")
    assert ran.outcome == {
        "status": "completed",
        "response_id": "resp_1",
        "proof": "terminal_event",
        "cancel": None,
        "cursor": 4,
        "repairs": [],
        "conflicts": [],
        "anomalies": [],
        "compacted": False,
        "compacted_after": None,
        "reason": "",
        "output_text": "Zürich 🌍",
    }


def test_json_over_several_lines_becomes_one(gateways: Gateways, use: Use, run: Run, tmp_path: Path) -> None:
    frames = numbered(*opening(), delta("a\nb"), completed("a\nb"))
    frames[3] = frames[3].replace(b', "', b',\ndata: "')
    recording = tmp_path / "one.sse"
    recording.write_bytes(b"".join(frames))
    use(gateways(playback=recording))
    ran = run(*STREAM, "--input", "x", "--json", "--dialect", "openai")
    assert [line.get("sequence_number") for line in ran.lines[:-1]] == [0, 1, 2, 3, 4]
    assert ran.lines[3]["delta"] == "a\nb"


def test_in_a_pipe_stdout_has_the_text_alone(made: Callable[..., str], run: Run) -> None:
    response_id = made()
    text = run("follow", response_id, "--dialect", "openai", "--json").outcome["output_text"]
    ran = run("follow", response_id, "--dialect", "openai")
    assert (ran.code, ran.out.decode()) == (0, f"{text}\n")
    assert "event 0: status: queued" in ran.err
    assert ran.err.splitlines()[-1].startswith(
        f"streamfold: {response_id}: completed, confirmed by its terminal event; last event "
    )


def test_it_goes_on_after_a_number(made: Callable[..., str], run: Run) -> None:
    response_id = made()
    whole = run("follow", response_id, "--dialect", "openai", "--json").lines
    ran = run("follow", response_id, "--dialect", "openai", "--json", "--starting-after", "11")
    assert ran.lines[:-1] == whole[12:-1]
    assert ran.outcome["output_text"] == whole[-1]["outcome"]["output_text"]


def test_the_text_after_a_number_is_not_told_twice(made: Callable[..., str], run: Run) -> None:
    response_id = made()
    events = run("follow", response_id, "--dialect", "openai", "--json").lines[:-1]
    after = "".join(each.get("delta", "") for each in events[12:])
    ran = run("follow", response_id, "--dialect", "openai", "--starting-after", "11")
    assert ran.out.decode() == f"{after}\n"


def test_items_that_were_added_before_a_number_are_not_reported(made: Callable[..., str], run: Run) -> None:
    ran = run("follow", made(), "--dialect", "openai", "--starting-after", "11")
    assert ran.code == 0
    assert "completed, confirmed by its terminal event; last event " in ran.err
    assert "created" not in ran.err


def test_text_that_only_the_last_response_holds_is_told_whole(made: Callable[..., str], run: Run) -> None:
    response_id = made(dialect="mka1")
    ran = run("follow", response_id, "--starting-after", "11")
    text = run("follow", response_id, "--json").outcome["output_text"]
    assert ran.out.decode().strip() == text


@pytest.mark.parametrize("http", ["httpx", "direct"])
@pytest.mark.parametrize("dialect", ["openai", "mka1"])
def test_a_repair_is_told_with_its_reason(http: str, dialect: str, gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways("drop:after_events=9,times=1", tokens_per_second=100))
    ran = run(*STREAM, "--input", "90 words", "--http", http, "--dialect", dialect)
    assert ran.code == 0
    assert re.search(r"streamfold: resume after event 8: \w+", ran.err)
    assert ran.err.splitlines()[-1].endswith("; 1 repair")


def test_stderr_has_each_line_once_and_nothing_of_the_loggers(gateways: Gateways, use: Use) -> None:
    url = gateways("drop:after_events=9,times=1", tokens_per_second=100)
    command = [sys.executable, "-m", "streamfold", *STREAM, "--input", "90 words", "--base-url", url, "--api-key", "k"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30, encoding="utf-8")
    assert all(line.startswith("streamfold: ") for line in done.stderr.splitlines())


def test_the_repairs_are_in_the_outcome_too(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways("drop:after_events=9,times=1", tokens_per_second=100))
    ran = run(*STREAM, "--input", "90 words", "--json")
    [repair] = ran.outcome["repairs"]
    assert (repair["kind"], repair["after"]) == ("resume", 8)
    assert 0 < repair["seconds"] < 5
    assert [line["sequence_number"] for line in ran.lines[:-1]] == list(range(len(ran.lines) - 1))


ENDS = [
    pytest.param("fail now", "failed (server_error: The model stopped half way", id="failed"),
    pytest.param("filter this", "incomplete (content_filter)", id="incomplete"),
]


@pytest.mark.parametrize(("asked", "told"), ENDS)
def test_another_end_than_completed_is_exit_code_1_and_a_line(
    asked: str, told: str, gateways: Gateways, use: Use, run: Run
) -> None:
    use(gateways())
    for options in ([], ["--json"]):
        ran = run(*STREAM, "--input", asked, *options)
        assert ran.code == 1
        assert f": {told}" in ran.err.splitlines()[-1]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_the_text_stays_with_repairs_and_outcome_below_it(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways("drop:after_events=9,times=1", tokens_per_second=100))
    ran = run(*STREAM, "--input", "90 words, think", terminal=True)
    shown = ANSI.sub("", ran.out.decode())
    assert ran.code == 0
    for told in ("output_text", "event ", "Ctrl-C leaves it running", "● closed reasoning", "↻ resume after event 8"):
        assert told in shown
    assert "completed, confirmed by its terminal event" in " ".join(shown.split())


def test_on_a_terminal_that_cannot_redraw_there_are_lines(
    gateways: Gateways, use: Use, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    use(gateways())
    ran = run(*STREAM, "--input", "9 words", terminal=True)
    assert (ran.code, b"\x1b" in ran.out) == (0, False)
    assert "completed" in ran.err


@pytest.mark.usefixtures("terminal")
def test_a_models_words_never_steer_the_terminal(gateways: Gateways, use: Use, run: Run, tmp_path: Path) -> None:
    bad = "\x1b[2J\x07gone"
    recording = tmp_path / "one.sse"
    recording.write_bytes(b"".join(numbered(*opening(), delta(bad), completed(bad))))
    use(gateways(playback=recording))
    ran = run(*STREAM, "--input", "x", terminal=True)
    assert b"\x1b[2J" not in ran.out
    assert "␛[2J␇gone" in ran.out.decode()


ANSWER = [
    {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]},
    {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"},
    {"type": "custom_tool_call", "name": "g", "input": "x", "call_id": "call_2"},
]
BESIDE_TEXT = ["refused: No.", "function_call f({}); call id call_1", 'custom_tool_call g("x"); call id call_2']


@pytest.fixture
def answered(gateways: Gateways, use: Use, tmp_path: Path) -> None:
    """A gateway whose responses hold no text, but a refusal and two calls."""
    response = {"id": "resp_1", "object": "response", "status": "completed", "output": ANSWER}
    items = [{"type": "response.output_item.done", "output_index": at, "item": item} for at, item in enumerate(ANSWER)]
    recording = tmp_path / "one.sse"
    recording.write_bytes(
        b"".join(numbered(opening()[0], *items, {"type": "response.completed", "response": response}))
    )
    use(gateways(playback=recording))


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("command", [("create", "--model", "toy"), STREAM])
def test_refusals_and_tool_calls_are_lines_of_stderr(command: tuple[str, ...], run: Run) -> None:
    ran = run(*command, "--input", "x", "--dialect", "openai")
    assert (ran.code, ran.out) == (0, b"")
    told = [line.removeprefix("streamfold: ") for line in ran.err.splitlines()]
    assert [line for line in told if line in BESIDE_TEXT] == BESIDE_TEXT


@pytest.mark.usefixtures("answered", "terminal")
def test_on_a_terminal_they_stand_below_the_text(run: Run) -> None:
    ran = run(*STREAM, "--input", "x", "--dialect", "openai", terminal=True)
    shown = ANSI.sub("", ran.out.decode()).splitlines()
    assert shown[-4:-1] == BESIDE_TEXT
    assert shown[-1].startswith("resp_1: completed")
