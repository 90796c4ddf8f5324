"""The examples of the how-to page run in the clients' own environments, over a relay."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import codex
from tests.clients.fleet import ENVIRONMENT
from tests.clients.installs import INSTALLS, node
from tests.clients.installs import codex as codex_program
from tests.clients.site import Sites
from tests.clients.table import ANSWER
from tests.docs.pages import DOCS, Block, Page
from tests.servers.installs import Install

PAGE = Page(DOCS / "how-to" / "use-your-client-with-the-relay.md")
RELAY = "http://127.0.0.1:8788"
MOST_LINES = 30
# A word of an example, and the environment that it runs in.
ENVIRONMENTS = {
    "from agents": "openai-agents",
    "pydantic_ai": "pydantic-ai",
    "langchain_openai": "langchain",
    "mka1": "mka1",
    "import OpenAI": "openai",
    "streamfold": "openai",
}
PYTHON, JS, TOML = (
    [block for block in PAGE.blocks if block.language in languages]
    for languages in ({"python", "py"}, {"js"}, {"toml"})
)


def install_of(block: Block) -> Install:
    return INSTALLS[next(name for word, name in ENVIRONMENTS.items() if word in block.text)]


def test_every_example_is_short() -> None:
    assert all(block.text.count("\n") <= MOST_LINES for block in PAGE.blocks)
    assert (len(PYTHON), len(JS), len(TOML)) == (6, 3, 1)


def printed(command: list[str], folder: Path) -> str:
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.clients
@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line-{block.line}")
def test_a_python_example_prints_the_answer(
    block: Block, installed: Callable[[str, Callable[[], None]], None], sites: Sites, tmp_path: Path
) -> None:
    install = install_of(block)
    installed(install.name, install.ensure)
    before = PYTHON[0].text if block is PYTHON[1] else ""  # the second continues the first
    text = (before + block.text).replace(RELAY, sites.start(()).link.url)
    assert printed([str(install.bin / "python"), "-c", text], tmp_path) == f"{ANSWER}\n" * (2 if before else 1)


@pytest.mark.clients
@pytest.mark.parametrize("block", JS, ids=lambda block: f"line-{block.line}")
def test_a_javascript_example_prints_the_answer(
    block: Block, installed: Callable[[str, Callable[[], None]], None], sites: Sites
) -> None:
    install = INSTALLS["node"]
    installed("node", install.ensure)
    text = block.text.replace(RELAY, sites.start(()).link.url)
    command = [node(), "--input-type=module", "--eval", text]
    assert printed(command, install.folder) == f"{ANSWER}\n"


@pytest.mark.clients
def test_codex_takes_a_turn_with_the_settings_of_the_page(
    installed: Callable[[str, Callable[[], str]], str], sites: Sites, tmp_path: Path
) -> None:
    [block] = TOML
    program = installed("codex", codex_program)
    site = sites.start((), playback=codex.record_answer())
    done = codex.run_codex(program, block.text.replace(RELAY, site.link.url), tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, ANSWER)
