"""Streams that are closed, full or gone, and terminals that can show little: every command, as a process."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.request import Request, urlopen

import pytest
from anyio.from_thread import start_blocking_portal

from streamfold.cli.app import app
from streamfold.emulator import Options, emulate
from tests.cli.hostile import Terminal, commands
from tests.cli.made import said

COMMAND = [sys.executable, "-m", "streamfold"]
CREATE = ["create", "--model", "toy", "--input", "99 words"]
STREAM = [*CREATE, "--background", "--stream"]
LOG = ["--log", "sqlite:{}/a.db"]
CASES: dict[str, list[list[str]]] = {
    "create": [CREATE, STREAM, [*STREAM, "--json"]],
    "follow": [["follow", "{response}"], ["follow", "{response}", "--json"]],
    "get": [["get", "{response}"]],
    "list": [["list"], ["list", "--json"]],
    "cancel": [["cancel", "{response}"]],
    "batch get": [["batch", "get", "{batch}"]],
    "batch follow": [["batch", "follow", "{batch}"]],
    "batch cancel": [["batch", "cancel", "{batch}"]],
    "fold": [["fold", "{}/a.sse"], *(["fold", "{}/a.sse", how] for how in ("--json", "--events", "--watch"))],
    "log ls": [["log", "ls", *LOG]],
    "log show": [["log", "show", "resp_1", *LOG]],
    "log replay": [["log", "replay", "resp_1", *LOG]],
    "log diff": [["log", "diff", "resp_1", "1", "4", *LOG]],
    "log export": [["log", "export", "resp_1", "-", *LOG], ["log", "export", "resp_1", "/dev/stdout", *LOG]],
    "log import": [["log", "import", "{}/a.sse", *LOG]],
    "log fork": [["log", "fork", "resp_1", "{new}", "--at", "3", *LOG]],
    "log verify": [["log", "verify", *LOG]],
    "log doctor": [["log", "doctor", *LOG]],
    "log expire": [["log", "expire", *LOG]],
    "log drop": [["log", "drop", "drop_{new}", *LOG]],
    "emulator": [["emulator", "--port", "0"]],
    "relay": [["relay", "--upstream", "http://127.0.0.1:9", "--log", "memory:", "--port", "0"]],
    "completion": [["completion", "bash"]],
    "demo": [["demo"]],
    "": [["--help"], ["--version"], ["follow", "--help"], ["batch"]],
}
SAMPLE = {"create", "fold", "log export", ""}  # the other commands are thorough
EVERY = [
    pytest.param(
        words,
        id="-".join(each for each in words if each.isascii()),
        marks=() if command in SAMPLE and words is cases[-1] else pytest.mark.thorough,
    )
    for command, cases in CASES.items()
    for words in cases
]


def test_every_command_has_a_case() -> None:
    assert {*CASES} - {""} == {*commands(app)} - {
        "inspect"
    }  # which needs a terminal, and has one in test_hostile_terminal.py


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the cases name: a folder with a file and a log; a response and a batch at a gateway."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "a.sse").write_bytes(b"".join(said("Hel", "lo")))
    log = LOG[1].format(folder)
    for name in ("resp_1", "drop_full", "drop_pipe"):
        subprocess.run([*COMMAND, "log", "import", folder / "a.sse", "--id", name, "--log", log], check=True)
    with start_blocking_portal() as portal, ExitStack() as stack:
        options = Options(tokens_per_second=0, batch_stage_seconds=0)
        url = stack.enter_context(portal.wrap_async_context_manager(emulate(options))) + "/v1"
        yield {"": str(folder), "url": url, "response": ask(url, "responses"), "batch": ask(url, "batches")}


def ask(url: str, path: str) -> str:
    body = (
        {"model": "toy", "input": "9 words", "background": True, "stream": True}
        if path == "responses"
        else {"input_file_id": "f", "endpoint": "/v1/responses", "completion_window": "24h"}
    )
    headers = {"authorization": "Bearer k", "content-type": "application/json"}
    with urlopen(Request(f"{url}/{path}", json.dumps(body).encode(), headers)) as answer:
        return re.findall(r'"id": ?"(\w+)"', answer.read().decode())[0]


@pytest.fixture
def environ(made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFOLD_BASE_URL", made["url"])
    monkeypatch.setenv("STREAMFOLD_API_KEY", "k")


def filled(words: list[str], made: dict[str, str], new: str) -> list[str]:
    for name in ("", "response", "batch"):
        words = [word.replace(f"{{{name}}}", made[name]) for word in words]
    return [word.replace("{new}", new) for word in words]


def run(words: list[str], redirected: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        ["bash", "-c", f'exec "$0" -m streamfold "$@" {redirected}', sys.executable, *words],
        capture_output=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


needs_full = pytest.mark.skipif(
    not os.path.exists("/dev/full"),
    reason="needs /dev/full, as Linux has it: elsewhere a full disk would have to be made, as root",
)


@needs_full
@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize("words", EVERY)
def test_a_full_disk_is_one_line_and_for_what_can_be_resumed_the_command(
    words: list[str], made: dict[str, str]
) -> None:
    done = run(filled(words, made, "full"), ">/dev/full")
    lines = [line for line in done.stderr.decode().splitlines() if not line.startswith("streamfold: event ")]
    assert done.returncode == 1
    assert lines.pop(0).endswith(
        ("cannot write: No space left on device", "cannot be written: No space left on device")
    )
    resumed = (words[0] == "follow" and words[1] != "--help") or "--stream" in words
    assert len(lines) == (2 if resumed else 0)
    assert not resumed or lines[1].startswith("  streamfold follow resp_")


@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize("words", EVERY)
def test_a_reader_that_went_away_is_met_quietly(words: list[str], made: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, *filled(words, made, "pipe")],
            stdout=writing,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert done.returncode == 141
    assert all(line.startswith(b"streamfold: event ") for line in done.stderr.splitlines())


@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize("words", [each for each in EVERY if each.values[0][0] not in {"emulator", "relay", "demo"}])
@pytest.mark.parametrize(
    "redirected",
    [
        ">&-",
        "2>&-",
        pytest.param(">&- 2>&-", marks=pytest.mark.thorough),
        pytest.param("2>/dev/full", marks=[needs_full, pytest.mark.thorough]),
    ],
)
def test_a_stream_that_is_closed_or_full_changes_nothing_else(
    words: list[str], redirected: str, made: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if words[:2] == ["log", "drop"]:
        words = [*words[:2], "nothing", *words[3:]]
    new = re.sub(r"\W", "_", request.node.name)
    done = run(filled(words, made, new), redirected)
    has_stdout, has_stderr = ">&-" not in redirected.split(), redirected == ">&-"
    is_device_closed = "/dev/stdout" in words and not has_stdout
    assert done.returncode == (1 if is_device_closed or words[:2] == ["log", "drop"] else 0)
    assert bool(done.stdout) == (has_stdout and words[:2] != ["log", "drop"])
    assert b"Traceback" not in done.stderr
    assert has_stderr or not done.stderr


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LITTLE = [
    pytest.param(Terminal(environ=ASCII), id="ascii"),
    pytest.param(Terminal(columns=1, rows=1), id="one column"),
    pytest.param(Terminal(columns=0, rows=0), id="no size"),
    pytest.param(Terminal(environ={"TERM": "dumb"}), id="dumb"),
    pytest.param(Terminal(environ={"NO_COLOR": "1"}), id="no colours"),
]


@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize("terminal", LITTLE)
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(*each.values, id=each.id, marks=() if at % 24 == 1 else pytest.mark.thorough)
        for at, each in enumerate(EVERY)
        if each.values[0][0] not in {"emulator", "relay", "demo"} and each.values[0][:2] != ["log", "drop"]
    ],
)
def test_a_terminal_that_can_show_little_gets_what_it_can_show(
    terminal: Terminal, words: list[str], made: dict[str, str], request: pytest.FixtureRequest
) -> None:
    shown = terminal.run(*filled(words, made, re.sub(r"\W", "_", request.node.name)))
    assert shown.code == 0, shown.output
    assert b"Traceback" not in shown.output
    assert terminal.environ is not ASCII or shown.output.isascii()
    assert "TERM" not in terminal.environ or b"\x1b" not in shown.output
    assert "NO_COLOR" not in terminal.environ or not re.search(rb"\x1b\[[0-9;]*[349][0-9]", shown.output)
