"""The pages' examples run, their links lead somewhere, and each of them is in the menu."""

import contextlib
import io
import logging
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from streamfold.emulator import emulate
from tests.docs.pages import DOCS, ROOT, Block, Page, all_pages, pages_that_run, read_blocks, slug

SOURCE_OF_A_HEADER = re.compile(r"docs/[\w/-]+\.md")
MENU_ENTRY = re.compile(r"([\w/-]+\.md)\s*$", re.MULTILINE)
COMMAND = re.compile(r"^\$ ", re.MULTILINE)
HAS_COMMAND = find_spec("cyclopts") is not None  # without the extra `cli` its examples are left out
OPENAI_URL = "https://api.openai.com/v1"
RELAY_URL = "http://127.0.0.1:8788/v1"  # the page is run over a relay by tests/clients
ANYTHING = "..."  # a line of shown output that stands for any number of lines

PAGES = all_pages()


def ids(pages: list[Page]) -> list[str]:
    return [page.name for page in pages]


# Examples


@pytest.fixture(scope="module")
def openai_url() -> Iterator[str]:
    """What answers in OpenAI's place: an emulator in a thread of its own."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(emulate()) as url:
        yield f"{url}/v1"


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Put the standard library's loggers back as they were: a page may set them up."""
    loggers = [logging.getLogger(), logging.getLogger("streamfold"), logging.getLogger("streamfold.client")]
    before = [(each.level, list(each.handlers), each.propagate) for each in loggers]
    yield
    for each, (level, handlers, propagate) in zip(loggers, before, strict=True):
        each.setLevel(level)
        each.handlers[:] = handlers
        each.propagate = propagate


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("page", pages_that_run(), ids=ids(pages_that_run()))
def test_the_examples_of_a_page_run_in_their_order(
    page: Page, openai_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)  # where a framework looks up the types of a route
    names: dict[str, Any] = vars(module)
    printed: str | None = None
    for block in page.blocks:
        if block.language == "python":
            printed = run_python(page, block, names, openai_url=openai_url)
        elif block.language == "console" and HAS_COMMAND:
            run_console(page, block, tmp_path)
            printed = None
        elif block.language == "text" and printed is not None:
            assert printed == block.text, f"{page.name}:{block.line} shows what the block before does not print"
            printed = None


def run_python(page: Page, block: Block, names: dict[str, Any], *, openai_url: str) -> str:
    """Run one block, with OpenAI's address replaced by the emulator's. Returns: what it printed."""
    out = io.StringIO()
    code = compile(
        "\n" * (block.line - 1) + block.text.replace(OPENAI_URL, openai_url).replace(RELAY_URL, openai_url),
        page.name,
        "exec",
    )
    with contextlib.redirect_stdout(out):
        exec(code, names)
    return out.getvalue()


def run_console(page: Page, block: Block, folder: Path) -> None:
    """Run those commands of a block that are streamfold's, and compare what they say with what is shown."""
    for command, shown in read_commands(block.text):
        if command[:1] != ["streamfold"]:
            continue
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert "Traceback" not in done.stdout, done.stdout
        if shown:
            place = f"{page.name}:{block.line}: $ {shlex.join(command)}"
            assert fits(done.stdout.splitlines(), shown), f"{place} says\n{done.stdout}"
        else:
            assert done.returncode == 0, done.stdout


def read_commands(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Each command of a console block, with the lines that are shown below it."""
    for part in COMMAND.split(text)[1:]:
        command, *shown = part.splitlines()
        yield shlex.split(command), shown


def fits(lines: list[str], shown: list[str]) -> bool:
    """Whether the lines are those shown, where a line of three dots stands for any number of lines."""
    if not shown:
        return not lines
    if shown[0] == ANYTHING:
        return any(fits(lines[skipped:], shown[1:]) for skipped in range(len(lines) + 1))
    return bool(lines) and lines[0] == shown[0] and fits(lines[1:], shown[1:])


def test_every_how_to_and_lesson_has_an_example() -> None:
    guides = [page for page in pages_that_run() if page.path.name != "index.md"]
    assert [page.name for page in guides if not any(block.language == "python" for block in page.blocks)] == []


# Links, menu, headers


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_every_link_between_pages_leads_somewhere(page: Page) -> None:
    broken = [
        link for link in page.links if not link.startswith(("https:", "http:", "mailto:")) and is_broken(page, link)
    ]
    assert broken == []


def is_broken(page: Page, link: str) -> bool:
    target, _, anchor = link.partition("#")
    path = (page.path.parent / target).resolve() if target else page.path
    if not path.exists() or (page.path.is_relative_to(DOCS) and not path.is_relative_to(DOCS)):
        return True  # mkdocs knows the pages under docs alone
    return bool(anchor) and path.suffix == ".md" and anchor not in Page(path).anchors


def test_every_page_is_in_the_menu_and_the_menu_names_no_other() -> None:
    menu = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2].partition("\nplugins:")[0]
    listed = MENU_ENTRY.findall(menu)
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_every_page_that_the_source_names_exists() -> None:
    named = {
        name for path in (ROOT / "src").rglob("*.py") for name in SOURCE_OF_A_HEADER.findall(path.read_text("utf-8"))
    }
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_decision_that_the_source_names_exists() -> None:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"\bdecision (\d{4})\b", text))
    assert [number for number in sorted(named) if not list((DOCS / "decisions").glob(f"{number}-*.md"))] == []


def test_every_law_names_a_test_that_exists() -> None:
    laws = Page(DOCS / "explanation" / "laws.md").prose
    tests = (ROOT / "tests" / "fold" / "test_laws.py").read_text("utf-8")
    named = re.findall(r"^`(test_\w+)`$", laws, re.MULTILINE)
    assert len(named) == len(re.findall(r"^## \d+\. ", laws, re.MULTILINE)) == 11
    assert [name for name in named if f"def {name}(" not in tests] == []


# The tests' own tools


def test_a_block_keeps_its_language_and_its_place() -> None:
    text = "a\n```python\nx = 1\n```\nb\n```text\ny\n```\n"
    assert list(read_blocks(text)) == [Block("python", "x = 1\n", 3), Block("text", "y\n", 7)]


def test_a_heading_becomes_the_anchor_that_mkdocs_makes() -> None:
    assert slug("`data: [DONE]`, and what follows") == "data-done-and-what-follows"


@pytest.mark.parametrize(
    ("shown", "does_fit"),
    [
        pytest.param(["a", "b"], True, id="the same"),
        pytest.param(["a", "..."], True, id="the rest may be anything"),
        pytest.param(["...", "b"], True, id="the beginning may be anything"),
        pytest.param(["a"], False, id="too few"),
        pytest.param(["a", "c"], False, id="another line"),
    ],
)
def test_shown_output_is_compared_line_by_line(shown: list[str], does_fit: bool) -> None:
    assert fits(["a", "b"], shown) is does_fit
