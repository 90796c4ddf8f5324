"""`streamfold emulator`: a bad option is one line that names the flag. tests/cli/response/test_interrupt.py serves."""

import pytest
from attrs import fields

from streamfold.cli.emulator import Behaviour
from streamfold.emulator import Options
from tests.cli.conftest import Run

BAD = [
    pytest.param(["--fault", "nope"], "--fault: unknown fault 'nope'", id="a fault"),
    pytest.param(["--fault", "gzip", "--fault", "drop:x=1"], "--fault: drop.x: unknown field", id="a field"),
    pytest.param(["--plan", "rate=9"], "--plan: rate: must be from 0 to 1", id="a plan"),
    pytest.param(["--tokens-per-second", "-1"], "--tokens-per-second: must be a number of 0 or more", id="a number"),
    pytest.param(["--cancel", "x"], "--cancel: must be one of mka1, openai", id="a dialect of cancels"),
    pytest.param(["--key", ""], "--key: must be text that is not empty", id="a key"),
    pytest.param(["--keep-responses", "0"], "--keep-responses: must be a whole number of 1 or more", id="nothing kept"),
    pytest.param(["--keep-bytes", "-1"], "--keep-bytes: must be a whole number of 1 or more", id="less than nothing"),
    pytest.param(["--max-body-bytes", "0"], "--max-body-bytes: must be a whole number", id="no body"),
    pytest.param(["--request-seconds", "0"], "--request-seconds: must be a number greater than 0", id="no time"),
    pytest.param(
        ["--unread-seconds", "-1"], "--unread-seconds: must be a number greater than 0", id="less than no time"
    ),
    pytest.param(["--cors-origins", "localhost"], "--cors-origins: must be '*', '' or origins such as", id="an origin"),
    pytest.param(["--fault", "refuse:status=99999"], "--fault: refuse.status: must be from 400 to 599", id="a status"),
    pytest.param(["--port", "70000"], 'Invalid value "70000" for --port', id="a port"),
]


@pytest.mark.parametrize(("options", "reason"), BAD)
def test_a_bad_option_is_named(options: list[str], reason: str, run: Run) -> None:
    ran = run("emulator", *options)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith(f"streamfold: {reason}")
    assert ran.err.count("\n") == 1


def test_every_setting_of_an_emulator_is_an_option() -> None:
    settings = {each.name for each in fields(Options)} - {"faults", "plan"}  # `--fault` and `--plan`
    assert {each.name for each in fields(Behaviour)} == settings


def test_a_recording_that_is_missing_is_one_line(run: Run) -> None:
    ran = run("emulator", "--playback", "no-such-file.sse")
    assert (ran.code, ran.err) == (1, "streamfold: no-such-file.sse: no such file\n")
