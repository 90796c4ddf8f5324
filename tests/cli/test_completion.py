"""`streamfold completion SHELL`: the script, read by the shell itself."""

import shutil
import subprocess
import sys

import pytest

from tests.cli.conftest import Run

COMPLETE = r"""
source /dev/stdin
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_streamfold
printf '%s\n' "${COMPREPLY[@]}"
"""


def completed(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    script = subprocess.run(
        [sys.executable, "-m", "streamfold", "completion", "bash"], capture_output=True, check=True, timeout=20
    ).stdout
    command = ["bash", "-c", COMPLETE, "bash", *words]
    done = subprocess.run(command, input=script, capture_output=True, check=True, timeout=20)
    assert done.stderr == b""
    return sorted(done.stdout.decode().split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash: apt-get install bash")
def test_bash_completes_commands_their_options_and_values() -> None:
    assert completed("streamfold", "fo") == ["fold", "follow"]
    assert {"ls", "show", "replay", "export"} <= set(completed("streamfold", "log", ""))
    assert completed("streamfold", "follow", "--starting-a") == ["--starting-after"]
    assert completed("streamfold", "fold", "--policy", "re") == ["renumber"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_knows_every_command(shell: str, run: Run) -> None:
    ran = run("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    for command in ("create", "follow", "cancel", "batch", "fold", "log", "inspect", "emulator", "relay", "demo"):
        assert command in ran.out.decode()


def test_a_shell_that_nobody_knows_is_wrong_usage(run: Run) -> None:
    ran = run("completion", "tcsh")
    assert (ran.code, ran.out) == (2, b"")
    assert "SHELL" in ran.err
