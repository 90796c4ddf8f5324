"""`streamfold relay`: what it says at its start and end, and that a bad option is one line."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from attrs import fields

from streamfold.cli.relay import Holding, Serving
from streamfold.relay import RelayOptions, ServerOptions
from tests.cli.conftest import Gateways, Run

UPSTREAM = ("--upstream", "http://127.0.0.1:9/v1")
SAID = 5  # lines at its start

BAD = [
    pytest.param([], "--upstream is required", id="no upstream"),
    pytest.param(["--upstream", "nonsense"], "--upstream: must be a URL such as https://api.", id="no URL"),
    pytest.param(["--upstream", "http://u:secret@h"], "--upstream: must not have a user or a key", id="a key"),
    pytest.param([*UPSTREAM, "--log", "foo"], "--log: must be sqlite:PATH, valkey://", id="no log"),
    pytest.param([*UPSTREAM, "--drain-seconds", "0"], "--drain-seconds: must be more than 0", id="no time"),
    pytest.param([*UPSTREAM, "--retain-seconds", "-1"], "--retain-seconds: must be 0 or more", id="less than none"),
    pytest.param([*UPSTREAM, "--port", "70000"], 'Invalid value "70000" for --port', id="a port"),
]


@pytest.mark.parametrize(("options", "reason"), BAD)
def test_a_bad_option_is_named(options: list[str], reason: str, run: Run) -> None:
    ran = run("relay", *options)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith(f"streamfold: {reason}")
    assert (ran.err.count("\n"), "secret" in ran.err) == (1, False)


def test_every_setting_of_a_relay_is_an_option() -> None:
    assert {each.name for each in fields(Holding)} == {each.name for each in fields(RelayOptions)}
    assert {each.name for each in fields(Serving)} == {each.name for each in fields(ServerOptions)}


@pytest.mark.parametrize("log", ["sqlite:{}/no/such/folder/x.db", "sqlite:{}", "valkey://user:secret@127.0.0.1:1/0"])
def test_a_log_that_cannot_be_used_is_one_line(log: str, run: Run, tmp_path: Path) -> None:
    ran = run("relay", *UPSTREAM, "--port", "0", "--log", log.format(tmp_path))
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, b"", 1)
    assert "name another log with --log, or keep nothing with --log memory:" in ran.err
    assert "secret" not in ran.err


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "a" * 300])
def test_an_address_that_cannot_be_listened_on_is_one_line(host: str, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("relay", *UPSTREAM, "--log", "memory:", "--host", host, "--port", str(port))
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, b"", 1)
    assert ran.err.startswith(f"streamfold: cannot listen on {host}:{port}: ")


@contextmanager
def started(*options: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    command = [sys.executable, "-W", "error", "-m", "streamfold", "relay", "--port", "0", *options]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield process, [process.stdout.readline() for _ in range(SAID)]
        finally:
            process.kill()


def stop(process: "subprocess.Popen[str]", number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_what_it_does_and_where_answers_go_and_ends_in_order(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with started(*UPSTREAM, "--retain-seconds", "7200") as (process, said):
        url = said[0].strip()
        result = stop(process, number)
    assert result == (0, "", "")
    words = "".join(said[1:])
    assert f"Use {url}/v1 as the base URL" in words
    assert "those with store=false too, are written to sqlite:" in words
    assert "dropped 2 hours after their end, with store=false after 1 hour" in words
    [file] = tmp_path.rglob("relay.db")
    assert f"sqlite:{file}" in words
    assert oct(os.stat(file).st_mode)[-3:] == "600"


def test_without_a_path_it_takes_the_place_of_the_upstream_and_memory_keeps_nothing_on_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with started("--upstream", "http://127.0.0.1:9", "--log", "memory:") as (process, said):
        stop(process, signal.SIGTERM)
    assert f"Use {said[0].strip()} in place of http://127.0.0.1:9, with the same key" in said[1]
    assert "are kept in memory alone" in said[3]
    assert list(tmp_path.iterdir()) == []


def test_a_stream_in_the_middle_ends_whole_when_it_is_asked_to_stop(gateways: Gateways) -> None:
    upstream = gateways(tokens_per_second=100)
    body = b'{"model":"toy","input":"60 tokens","stream":true}'
    with started("--upstream", upstream, "--log", "memory:") as (process, said):
        asked = Request(f"{said[0].strip()}/v1/responses", body, {"authorization": "Bearer key"})
        with urlopen(asked, timeout=20) as answer:
            assert answer.readline().startswith(b"event: response.created")
            process.send_signal(signal.SIGTERM)
            rest = answer.read()
        _, err = process.communicate(timeout=20)
    assert b"event: response.completed" in rest
    assert (process.returncode, err) == (0, "")


def test_an_upstream_that_is_not_there_is_one_line_for_each_request() -> None:
    with started(*UPSTREAM, "--log", "memory:") as (process, said):
        request = Request(f"{said[0].strip()}/v1/models?key=secret", headers={"authorization": "Bearer secret"})
        with pytest.raises(OSError, match="502"):
            urlopen(request, timeout=20)
        code, _, err = stop(process, signal.SIGTERM)
    assert (code, err.count("\n"), "secret" in err) == (0, 1, False)
    assert err.startswith("streamfold: GET /v1/models: The relay cannot connect to its upstream http://127.0.0.1:9")
