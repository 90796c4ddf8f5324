"""`streamfold emulator`: a bad option is one line that names the flag. tests/cli/response/test_interrupt.py serves."""

import pytest

from tests.cli.conftest import Run

BAD = [
    pytest.param(["--fault", "nope"], "--fault: unknown fault 'nope'", id="a fault"),
    pytest.param(["--fault", "gzip", "--fault", "drop:x=1"], "--fault: drop.x: unknown field", id="a field"),
    pytest.param(["--plan", "rate=9"], "--plan: rate: must be from 0 to 1", id="a plan"),
    pytest.param(["--tokens-per-second", "-1"], "--tokens-per-second: must be a number of 0 or more", id="a number"),
    pytest.param(["--cancel", "x"], "--cancel: must be one of mka1, openai", id="a dialect of cancels"),
    pytest.param(["--key", ""], "--key: must be text that is not empty", id="a key"),
    pytest.param(["--port", "70000"], 'Invalid value "70000" for --port', id="a port"),
]


@pytest.mark.parametrize(("options", "reason"), BAD)
def test_a_bad_option_is_named(options: list[str], reason: str, run: Run) -> None:
    ran = run("emulator", *options)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith(f"streamfold: {reason}")
    assert ran.err.count("\n") == 1


def test_a_recording_that_is_missing_is_one_line(run: Run) -> None:
    ran = run("emulator", "--playback", "no-such-file.sse")
    assert (ran.code, ran.err) == (1, "streamfold: no-such-file.sse: no such file\n")
