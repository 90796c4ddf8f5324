"""Codex CLI: one turn over a connection that is cut, and how often the model is asked for it."""

import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import httpx
from attrs import frozen

from streamfold.chaos import Drop
from streamfold.emulator import Options, emulate
from tests.clients.site import Sites
from tests.clients.table import ANSWER, INPUT

MOST_RETRIES = 5  # Codex's default
CUT_AFTER = 7  # events: the message is not finished
DEADLINE_SECONDS = 90.0
LAST_MESSAGE = "last-message"


def in_words(creates: int) -> str:
    return f"{creates} create{'' if creates == 1 else 's'}"


@frozen
class Turn:
    """One turn. cuts: How many connections are cut, one after the other, before its message is finished."""

    name: str
    title: str
    cuts: int
    relay: tuple[str, ...] | None
    expected: str


@frozen
class Done:
    """How a turn ended. creates: How often the model was asked. text: The last message, as Codex gives it."""

    exit_code: int
    creates: int
    text: str
    log: str

    def __str__(self) -> str:
        text = "whole" if self.text == ANSWER else "no text" if not self.text else "WRONG TEXT"
        return f"{text}, {in_words(self.creates)}, exit {self.exit_code}"


TURNS = tuple(
    Turn(f"straight-{cuts}", "straight at the model", cuts, None, f"whole, {in_words(cuts + 1)}, exit 0")
    for cuts in range(1, MOST_RETRIES + 1)
) + tuple(
    Turn(f"relay-{cuts}", "over the relay", cuts, (), f"whole, {in_words(1)}, exit 0")
    for cuts in range(1, MOST_RETRIES + 1)
)


def take_turn(codex: str, sites: Sites, turn: Turn, folder: Path) -> Done:
    """Run `codex exec` once."""
    drop = Drop(after_events=CUT_AFTER, times=turn.cuts)
    site = sites.start(turn.relay, playback=record_answer(), drop=drop)
    done = run_codex(codex, config(f"{site.link.url}/v1"), folder)
    last = folder / LAST_MESSAGE
    text = last.read_text("utf-8").strip() if last.exists() else ""
    return Done(done.returncode, site.emulator.journal.counters["creates"], text, (done.stdout + done.stderr)[-3000:])


def run_codex(codex: str, config: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `codex exec` with these settings; its last message is in a file too."""
    (folder / "config.toml").write_text(config, "utf-8")
    command = [codex, "exec", "--skip-git-repo-check", "--sandbox", "read-only", "--output-last-message", LAST_MESSAGE]
    return subprocess.run(
        [*command, INPUT],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


@cache
def record_answer() -> bytes:
    """The answer as a stream. Codex offers tools, so the model itself would call them first."""
    with emulate(Options(tokens_per_second=0)) as url:
        body = {"model": "toy-1", "input": INPUT, "stream": True}
        answer = httpx.post(f"{url}/v1/responses", json=body, headers={"authorization": "Bearer any"})
        return answer.raise_for_status().content


def config(base_url: str) -> str:
    """What a user writes to send Codex through a base URL."""
    return f"""\
model = "toy-1"
model_provider = "local"

[model_providers.local]
name = "local"
base_url = "{base_url}"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
stream_max_retries = {MOST_RETRIES}
"""


def environment(folder: Path) -> Mapping[str, str]:
    own = {"HOME": str(folder), "CODEX_HOME": str(folder), "OPENAI_API_KEY": "any", "NO_PROXY": "127.0.0.1"}
    return {**os.environ, **own}
