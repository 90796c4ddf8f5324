"""Nothing that a server, a model, a file or a name contains reaches a terminal as a control sequence, in any command."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from streamfold.cli.app import app
from streamfold.fold import SequencePolicy
from streamfold.history import import_stream
from streamfold.log import Note, SqliteLog, StreamKey
from tests.cli.hostile import EVIL, EVIL_WORD, MODES, TEXTUAL, Terminal, commands, leaked, serving, stream

TERMINAL = Terminal()
NAME = EVIL_WORD.replace("/", "")
ID = f"resp_{EVIL_WORD}"
TENANT = EVIL_WORD


# What talks to a gateway


CREATE = ["create", "--model", EVIL_WORD, "--input", "x"]
STREAM = [*CREATE, "--stream", "--background"]
ASKING: dict[str, list[list[str]]] = {
    "create": [CREATE, STREAM, [*CREATE, "--json"], [*STREAM, "--json"]],
    "get": [["get", "resp_1"], ["get", "resp_1", "--json"]],
    "list": [["list"], ["list", "--json"]],
    "follow": [["follow", "resp_1"], ["follow", "resp_1", "--json"], ["follow", "resp_1", "--starting-after", "3"]],
    "cancel": [["cancel", "resp_1"], ["cancel", "resp_1", "--json"]],
    "batch get": [["batch", "get", "batch_1"], ["batch", "get", "batch_1", "--json"]],
    "batch follow": [["batch", "follow", "batch_1"], ["batch", "follow", "batch_1", "--json"]],
    "batch cancel": [["batch", "cancel", "batch_1"], ["batch", "cancel", "batch_1", "--json"]],
}


def asked() -> Iterator[tuple[list[str], str, str]]:
    """Every command in every mode of the gateway; its variants take turns. What draws also goes to a dumb terminal."""
    turns = {command: itertools.cycle(variants) for command, variants in ASKING.items()}
    for mode in MODES:
        for variants in turns.values():
            yield next(variants), mode, "xterm-256color"
        yield from ((words, mode, "dumb") for words in (STREAM, ASKING["follow"][0]))


@pytest.mark.parametrize(
    ("words", "mode", "term"),
    [
        pytest.param(
            *case, id=f"{case[1]}-{case[2]}-{'-'.join(case[0][:2])}", marks=pytest.mark.thorough if at % 13 else ()
        )
        for at, case in enumerate(asked())
    ],
)
def test_what_a_gateway_sends(words: list[str], mode: str, term: str) -> None:
    terminal = Terminal(environ={"TERM": term})
    with serving(MODES[mode]) as gateway:
        # What is tried again for ten minutes is stopped, once it has told why it is.
        shown = terminal.run(*words, "--base-url", f"{gateway.url}/v1", "--api-key", "k", stop=(gateway, 5))
    assert leaked(shown.output) == []
    assert shown.code in {0, 1, 130}
    assert shown.output
    assert b"Traceback" not in shown.output


# What works on a file or a log


async def fill(path: Path) -> None:
    """One stream of evil, finished; and one that its writer, evil too, holds open, with a note after its last event."""
    body = b"".join(stream(ID))
    async with SqliteLog(path) as log:
        await import_stream(log, TENANT, [body], ID, policy=SequencePolicy.ARRIVAL)
        opened = f"{ID}2"
        await import_stream(log, TENANT, [body.rpartition(b"event: ")[0]], opened, policy=SequencePolicy.ARRIVAL)
        lease = await log.acquire(StreamKey(TENANT, opened), owner=EVIL_WORD, seconds=9.0)
        await log.note(lease, Note(EVIL_WORD, EVIL.replace("\0", ""), 5, 1.0))
        await import_stream(log, f"{TENANT}2", [body], ID, policy=SequencePolicy.ARRIVAL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log and a recorded stream, all of them with evil names."""
    folder = tmp_path_factory.mktemp("evil") / NAME
    folder.mkdir()
    anyio.run(fill, folder / f"{NAME}.db")
    (folder / f"{NAME}.sse").write_bytes(b"".join(stream()))
    (folder / f"{NAME}.error").write_bytes(f"event: error\ndata: {EVIL_WORD}\n\n".encode())
    (folder / f"{NAME}.json").write_bytes(b"{%b" % EVIL.encode())
    (folder / f"{NAME}.html").write_bytes(f"<html><title>{EVIL}</title>".encode())
    (folder / f"{NAME}.toml").write_bytes(b"\x1b[2J")
    return folder


FILE, LOG = f"{{}}/{NAME}", f"sqlite:{{}}/{NAME}.db"
IN = ["--log", LOG, "--tenant", TENANT]
LOCAL: dict[str, list[list[str]]] = {
    "fold": [
        *(["fold", f"{FILE}.sse", "--policy", "arrival", *how] for how in ([], ["--json"], ["--events"])),
        ["fold", f"{FILE}.sse", "--policy", "arrival", "--watch", "--speed", "1e9"],
        *(["fold", f"{FILE}.{kind}"] for kind in ("error", "json", "html", "missing", "sse")),
        ["fold", f"{FILE}.sse", "--policy", "arrival", "--log", f"{LOG}2", "--tenant", TENANT],
        ["fold", f"{FILE}.sse", "--log", f"sqlite:{EVIL_WORD}/{EVIL_WORD}"],
        ["fold", f"{FILE}.sse", "--log", EVIL_WORD],
    ],
    "log ls": [["log", "ls", *IN], ["log", "ls", "--json", *IN], ["log", "ls", "--log", LOG]],
    "log show": [["log", "show", ID, *IN], ["log", "show", f"{ID}2", *IN], ["log", "show", ID, "--json", *IN]],
    "log replay": [["log", "replay", ID, *IN], ["log", "replay", ID, "--at", "5", "--json", *IN]],
    "log diff": [["log", "diff", ID, "1", "22", *IN], ["log", "diff", ID, "1", "22", "--json", *IN]],
    "log export": [
        ["log", "export", ID, "-", *IN],
        ["log", "export", ID, "/dev/stdout", *IN],
        ["log", "export", ID, f"{FILE}.out", "--force", *IN],
        ["log", "export", ID, f"{FILE}.sse", *IN],
        ["log", "export", ID, f"{FILE}/{NAME}", *IN],
    ],
    "log import": [
        ["log", "import", f"{FILE}.sse", "--id", f"{ID}3", "--policy", "arrival", *how, *IN] for how in ([], ["--json"])
    ]
    + [["log", "import", f"{FILE}.{kind}", *IN] for kind in ("sse", "error", "json", "html", "missing")],
    "log fork": [["log", "fork", ID, f"{ID}4", "--at", "3", *IN], ["log", "fork", ID, ID, "--at", "3", *IN]],
    "log verify": [["log", "verify", "--log", LOG], ["log", "verify", "--json", "--log", LOG]],
    "log doctor": [["log", "doctor", "--log", LOG], ["log", "doctor", "--json", "--log", LOG]],
    "log expire": [["log", "expire", "--log", LOG]],
    "log drop": [["log", "drop", f"{ID}3", *IN], ["log", "drop", EVIL_WORD, *IN]],
    "emulator": [
        ["emulator", "--playback", f"{FILE}.{kind}", "--host", "256.0.0.1"] for kind in ("sse", "error", "missing")
    ]
    + [["emulator", "--fault", EVIL_WORD], ["emulator", "--plan", EVIL_WORD], ["emulator", "--host", EVIL_WORD]],
    "relay": [
        ["relay", "--upstream", EVIL_WORD],
        ["relay", "--upstream", "http://127.0.0.1:9", "--log", EVIL_WORD],
        ["relay", "--upstream", "http://127.0.0.1:9", "--log", "memory:", "--host", EVIL_WORD],
    ],
    "completion": [["completion", shell] for shell in ("bash", "zsh", "fish")],
}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=f"{command}-{number}", marks=pytest.mark.thorough if number else ())
        for command, cases in LOCAL.items()
        for number, words in enumerate(cases)
    ],
)
def test_what_files_logs_and_names_contain(words: list[str], folder: Path) -> None:
    shown = TERMINAL.run(*(word.replace("{}", str(folder)) for word in words))
    assert leaked(shown.output) == []
    assert b"Traceback" not in shown.output
    assert shown.output or words[:2] == ["log", "expire"]


def test_inspect(folder: Path) -> None:
    keys = [(b"finished", b"t"), (b"OVER", b"d"), (b"OVER", b"e"), (b"OVER", b"?"), (b"one row up", b"q")]
    words = ["inspect", ID, "--at", "5", *(word.replace("{}", str(folder)) for word in IN)]
    shown = Terminal(columns=120, rows=40).run(*words, keys=keys)
    assert leaked(shown.output, TEXTUAL) == []
    assert shown.code == 0
    assert b"\x1b[?1049l" in shown.output


@pytest.mark.thorough
def test_the_demo() -> None:
    shown = TERMINAL.run("demo")
    assert leaked(shown.output) == []


# What is typed, and what nobody foresaw


COMMANDS = sorted(commands(app))


def test_every_command_has_a_case() -> None:
    assert {*ASKING, *LOCAL, "inspect", "demo"} == set(COMMANDS)


@pytest.mark.parametrize("command", ["", *(pytest.param(each, marks=pytest.mark.thorough) for each in COMMANDS)])
@pytest.mark.parametrize(
    "words", [[EVIL_WORD] * 4, [os.fsdecode(b"x\xff\xed")] * 3, [f"--{EVIL_WORD}"], ["--config", EVIL_WORD], ["--help"]]
)
def test_what_is_typed(command: str, words: list[str]) -> None:
    shown = TERMINAL.run(*command.split(), *words)
    assert leaked(shown.output) == []
    assert shown.output
    assert b"Traceback" not in shown.output
