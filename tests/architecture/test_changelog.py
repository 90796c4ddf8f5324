"""Every fragment in changelog.d/ is one that the gathering at release will find."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]
KINDS = [kind["directory"] for kind in SETTINGS["type"]]
FRAGMENT = re.compile(rf"(\d+|\+[a-z0-9-]+)\.({'|'.join(KINDS)})(\.\d+)?\.md")
NO_FRAGMENTS = {"README.md"}


def is_fragment(name: str) -> bool:
    """Whether a file is named as a fragment: an issue's number or "+" and a word, then the kind."""
    return FRAGMENT.fullmatch(name) is not None


def fragments() -> list[Path]:
    return [path for path in (ROOT / SETTINGS["directory"]).iterdir() if path.name not in NO_FRAGMENTS]


def test_every_fragment_is_named_for_its_kind() -> None:
    assert [path.name for path in fragments() if not is_fragment(path.name)] == []


def test_every_fragment_says_something() -> None:
    assert [path.name for path in fragments() if not path.read_text("utf-8").strip()] == []


@pytest.mark.parametrize("name", ["2.added.md", "+core.added.md", "17.fixed.2.md", "+a-b.security.md"])
def test_a_good_name_passes(name: str) -> None:
    assert is_fragment(name)


@pytest.mark.parametrize("name", ["added.md", "2.new.md", "core.added.md", "2.added.txt", "+Core.added.md", "2.md"])
def test_a_bad_name_is_caught(name: str) -> None:
    assert not is_fragment(name)


def test_the_kinds_are_the_five() -> None:
    assert KINDS == ["added", "changed", "fixed", "removed", "security"]
