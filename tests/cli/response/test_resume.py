"""The command that is printed when following ends early: run as it is printed, it gives the rest."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from streamfold.errors import LogUnusable
from streamfold.log import Lease, Record, SqliteLog
from tests.cli.conftest import KEY, Gateways, Run
from tests.conftest import sampled_product

COMMAND = [sys.executable, "-m", "streamfold"]
PIPE = subprocess.PIPE
CREATE = ("create", "--model", "toy", "--stream", "--background")
ODD = "it's  a $user"
SIGNALS = [signal.SIGINT, signal.SIGTERM]

Process = subprocess.Popen[bytes]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFOLD_API_KEY", KEY)


def start(*arguments: str, before: Sequence[str] = ()) -> Process:
    command = [*before, *COMMAND, *arguments]
    return subprocess.Popen(command, bufsize=0, stdin=subprocess.DEVNULL, stdout=PIPE, stderr=PIPE)


def stop(process: Process, number: signal.Signals, *, after_lines: int) -> tuple[list[bytes], list[str]]:
    """Send a signal once so many lines came. Returns: all lines of stdout, and those of stderr."""
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(after_lines)]
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number, err
    return [*first, *out.splitlines(keepends=True)], err.decode().splitlines()


def run_as_printed(line: str) -> subprocess.CompletedProcess[bytes]:
    """Give the line to a shell, as somebody would who copied it."""
    shell = f'streamfold() {{ "$PYTHON" -m streamfold "$@"; }}\n{line}'
    environ = os.environ | {"PYTHON": sys.executable}
    return subprocess.run(["bash", "-c", shell], capture_output=True, check=False, timeout=30, env=environ)


def numbers(lines: list[bytes]) -> list[int]:
    return [each["sequence_number"] for each in map(json.loads, lines) if "outcome" not in each]


@sampled_product("number,flags", 2, SIGNALS, [(), ("--http", "direct", "--dialect", "openai", "--on-behalf-of", ODD)])
def test_what_came_before_and_after_a_signal_is_everything(
    number: signal.Signals, flags: tuple[str, ...], gateways: Gateways
) -> None:
    url = gateways(tokens_per_second=100)
    with start(*CREATE, "--input", "150 words", "--json", "--base-url", url, *flags) as process:
        lines, told = stop(process, number, after_lines=20)
    done = run_as_printed(told[-1])
    rest = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, b"")
    found = numbers([*lines, *rest])
    assert found == list(range(len(found)))
    assert json.loads(rest[-1])["outcome"]["status"] == "completed"


@sampled_product("number", 2, SIGNALS[::-1])
def test_a_recording_that_was_stopped_is_whole_once_the_command_ran(
    number: signal.Signals, gateways: Gateways, tmp_path: Path
) -> None:
    url = gateways(tokens_per_second=100)
    log = ("--log", f"sqlite:{tmp_path}/my own log.db", "--tenant", "-a 'tenant'")
    flags = (log[0], log[1], f"--tenant={log[3]}", "--base-url", url)
    with start(*CREATE, "--input", "150 words", "--json", *flags) as process:
        lines, told = stop(process, number, after_lines=20)
    response_id = json.loads(lines[0])["response"]["id"]
    done = run_as_printed(told[-1])
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [*COMMAND, "log", "show", response_id, "--json", *flags[:3]], capture_output=True, check=True, timeout=20
    )
    document = json.loads(shown.stdout)
    assert document["stream"]["status"] == "completed"
    assert [each["sequence_number"] for each in document["events"]] == list(range(len(document["events"])))
    assert numbers([*lines, *done.stdout.splitlines()])[-1] == document["events"][-1]["sequence_number"]


def test_sigterm_counts_even_where_a_shell_lets_a_process_ignore_ctrl_c(gateways: Gateways) -> None:
    url = gateways(tokens_per_second=50)

    ignoring = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    with start(*CREATE, "--input", "a long story", "--json", "--base-url", url, before=ignoring) as process:
        _, told = stop(process, signal.SIGTERM, after_lines=5)
    assert told[-1].startswith("  streamfold follow resp_")


def test_a_key_that_was_a_flag_is_named_and_not_repeated(gateways: Gateways) -> None:
    url = gateways(tokens_per_second=100)
    arguments = (*CREATE, "--input", "150 words", "--json", "--base-url", url, "--api-key", KEY)
    with start(*arguments) as process:
        _, told = stop(process, signal.SIGINT, after_lines=20)
    assert told[-2].endswith(" with your key in STREAMFOLD_API_KEY and:")
    assert KEY not in "".join(told)
    assert run_as_printed(told[-1]).returncode == 0


LOST = "drop:on=create,after_events=9;refuse:on=resume,status=404,times={0};refuse:on=retrieve,status=404,times=1"


def test_what_is_lost_can_be_resumed(gateways: Gateways) -> None:
    url = gateways(LOST.format(2), tokens_per_second=100)
    done = subprocess.run(
        [*COMMAND, *CREATE, "--input", "90 words", "--json", "--base-url", url],
        capture_output=True,
        check=False,
        timeout=30,
    )
    lines, told = done.stdout.splitlines(), done.stderr.decode().splitlines()
    assert (done.returncode, json.loads(lines[-1])["outcome"]["status"]) == (1, "lost")
    rest = run_as_printed(told[-1])
    assert rest.returncode == 0, rest.stderr
    found = numbers([*lines, *rest.stdout.splitlines()])
    assert found == list(range(len(found)))


def visited(url: str, path: str) -> bool:
    with urlopen(f"{url}/_emulator/journal") as answer:
        return any(visit["path"].endswith(path) for visit in json.load(answer)["visits"])


@sampled_product("number", 2, SIGNALS)
def test_a_cancel_that_was_stopped_is_sent_again(number: signal.Signals, gateways: Gateways) -> None:
    url = gateways("refuse:on=cancel,status=503,retry_after=60,times=1", tokens_per_second=20)
    with start(*CREATE, "--input", "a long story", "--json", "--base-url", url) as process:
        lines, _ = stop(process, signal.SIGINT, after_lines=1)
    response_id = json.loads(lines[0])["response"]["id"]
    with start("cancel", response_id, "--base-url", url) as process:
        while not visited(url, f"/{response_id}/cancel"):
            assert process.poll() is None
        _, told = stop(process, number, after_lines=0)
    done = run_as_printed(told[-1])
    assert (done.returncode, b"the cancel took effect" in done.stdout) == (0, True)


def create_batch(url: str) -> str:
    body = {"input_file_id": "f", "endpoint": "/v1/responses", "completion_window": "24h", "max_concurrency": 1}
    request = Request(f"{url}/api/v1/llm/batches", json.dumps(body).encode(), {"authorization": f"Bearer {KEY}"})
    with urlopen(request) as answer:
        return json.load(answer)["id"]


@sampled_product("number", 2, SIGNALS[::-1])
def test_a_cancel_of_a_batch_that_was_stopped_is_sent_again(number: signal.Signals, gateways: Gateways) -> None:
    url = gateways(batch_stage_seconds=600, batch_cancel_seconds=0.2)
    batch_id = create_batch(url)
    with start("batch", "cancel", batch_id, "--json", "--base-url", url) as process:
        _, told = stop(process, number, after_lines=1)
    done = run_as_printed(told[-1])
    assert json.loads(done.stdout.splitlines()[-1])["outcome"]["status"] == "cancelled"


@sampled_product("number", 2, SIGNALS)
def test_a_batch_that_was_left_is_followed_again(number: signal.Signals, gateways: Gateways) -> None:
    url = gateways(batch_stage_seconds=600)
    batch_id = create_batch(url)
    with start("batch", "follow", batch_id, "--base-url", url) as process:
        _, told = stop(process, number, after_lines=1)
    with start(*shlex.split(told[-1])[1:]) as process:
        lines, again = stop(process, number, after_lines=1)
    assert lines[0].startswith(f"{batch_id}: validating".encode())
    assert again == told


def test_an_error_in_the_middle_prints_the_command_too(
    gateways: Gateways, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    append = SqliteLog.append

    async def fail_later(self: SqliteLog, lease: Lease, records: Sequence[Record], **options: Any) -> int:
        if records and records[-1].sequence_number > 20:
            raise LogUnusable("the log", "the disk is full")
        return await append(self, lease, records, **options)

    monkeypatch.setattr(SqliteLog, "append", fail_later)
    flags = ("--base-url", gateways(tokens_per_second=100), "--log", f"sqlite:{tmp_path}/a.db")
    ran = run(*CREATE, "--input", "90 words", "--json", *flags)
    assert (ran.code, ran.outcome["status"], ran.outcome["reason"]) == (1, "abandoned", "the log: the disk is full")
    failed, stopped, command = ran.err.splitlines()
    assert failed == "streamfold: the log: the disk is full"
    cursor = ran.outcome["cursor"]
    assert stopped.startswith(f"streamfold: stopped after event {cursor}; resume resp_")
    monkeypatch.setattr(SqliteLog, "append", append)
    rest = run(*shlex.split(command)[1:])
    assert rest.outcome["status"] == "completed"
    assert numbers([*ran.out.splitlines(), *rest.out.splitlines()]) == list(range(rest.outcome["cursor"] + 1))
