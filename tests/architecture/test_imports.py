"""Imports point only to earlier packages, through their public API; pure packages import nothing that does I/O.

The table is in tree.py. Every rule is also shown a made-up tree that breaks it, so that no rule passes by
checking nothing.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.tree import MAY_IMPORT, PACKAGE, Import, Module, imports_of, package_of, read_modules

Modules = dict[str, Module]
Rule = Callable[[Modules], Iterator[str]]

# Libraries that a pure package may use. Anything else from outside the standard library is refused.
PURE_LIBRARIES = {"attr", "attrs", "msgspec"}
# Of the standard library: what reads a clock, random numbers or the machine, opens something, waits, or runs tasks.
ACTING = set(
    """
    _socket _sqlite3 _thread asyncio concurrent contextvars ctypes datetime faulthandler fcntl fileinput ftplib getpass
    glob http imaplib importlib io locale logging mmap multiprocessing os pathlib platform poplib pty queue random
    runpy sched secrets select selectors shelve shutil signal smtplib socket socketserver sqlite3 ssl subprocess
    syslog tempfile threading time tkinter urllib uuid xmlrpc zipfile
    """.split()
)
PURE_SUBMODULES = {"urllib.parse"}
ACTING_CALLS = {"open", "print", "input", "breakpoint", "eval", "exec", "compile", "__import__"}


def follows_the_table(modules: Modules) -> Iterator[str]:
    """Each package imports only the packages that its row names."""
    for module in modules.values():
        if module.package not in MAY_IMPORT:
            yield f"{module.path}: the package `{module.package}` has no row in the table"
            continue
        for each in imports_inside(module, modules):
            package = package_of(each.target)
            if package != module.package and package not in MAY_IMPORT[module.package]:
                yield f"{module.path}:{each.line}: `{module.package}` may not import `{package}`"


def uses_the_public_api(modules: Modules) -> Iterator[str]:
    """From another package: `streamfold.sse`, never `streamfold.sse.decoder`.

    A package may also export a whole module, by its name in `__all__`: `from streamfold.schema import event`.
    """
    for module in modules.values():
        for each in imports_inside(module, modules):
            if package_of(each.target) == module.package or each.target.count(".") < 2:
                continue
            package, _, name = each.target.rpartition(".")
            if each.asked != package or name not in modules[package].offered:
                yield f"{module.path}:{each.line}: import it from `{package}`, whose __all__ lists its public names"


def goes_round_in_no_cycle(modules: Modules) -> Iterator[str]:
    """No module leans on itself by way of others. Being inside a package does not count as importing it."""
    graph = {
        module.name: {each.target for each in imports_inside(module, modules) if each.target in modules}
        for module in modules.values()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield "a cycle: " + " <- ".join(error.args[1])


def keeps_pure_packages_pure(modules: Modules) -> Iterator[str]:
    """A pure package imports nothing that acts, no library but those listed, and calls nothing that acts."""
    for module in modules.values():
        if not module.is_pure:
            continue
        for each in imports_of(module, modules):
            top = each.target.split(".")[0]
            library = top not in sys.stdlib_module_names and top != PACKAGE
            if each.target in PURE_SUBMODULES:
                continue
            if top in ACTING or (library and top not in PURE_LIBRARIES):
                yield f"{module.path}:{each.line}: a pure package may not import `{top}`"
        for node in module.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ACTING_CALLS:
                yield f"{module.path}:{node.lineno}: a pure package may not call `{node.func.id}`"
            elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
                yield f"{module.path}:{node.lineno}: a pure package has no async code"


def imports_inside(module: Module, modules: Modules) -> Iterator[Import]:
    """What a module imports from this package."""
    return (each for each in imports_of(module, modules) if each.target.split(".")[0] == PACKAGE)


RULES = [follows_the_table, uses_the_public_api, goes_round_in_no_cycle, keeps_pure_packages_pure]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_tree(rule: Rule) -> None:
    complaints = list(rule(read_modules()))
    assert not complaints, "\n".join(complaints)


def test_the_table_names_only_packages_of_its_own_and_never_the_cli() -> None:
    for package, allowed in MAY_IMPORT.items():
        assert allowed <= MAY_IMPORT.keys() - {package}
        assert "cli" not in allowed or package == "__main__"


# Made-up trees: path under the package -> text. Each breaks one rule and no other.
BROKEN = [
    pytest.param(follows_the_table, {"sse/frame.py": "from streamfold.fold import State"}, id="a later package"),
    pytest.param(
        follows_the_table, {"sse/frame.py": "from streamfold import fold"}, id="a later package by the package"
    ),
    pytest.param(follows_the_table, {"sse/frame.py": "from streamfold import State"}, id="a name of the top-level API"),
    pytest.param(follows_the_table, {"sse/frame.py": "from ..fold import State"}, id="a relative import"),
    pytest.param(follows_the_table, {"sse/frame.py": "from .. import fold"}, id="a relative import of a package"),
    pytest.param(
        follows_the_table, {"sse/__init__.py": "from ..fold import State"}, id="a relative import in an __init__"
    ),
    pytest.param(follows_the_table, {"sse/frame.py": "import streamfold.fold"}, id="a plain import"),
    pytest.param(follows_the_table, {"errors.py": "import streamfold.sse as s"}, id="errors import nothing"),
    pytest.param(follows_the_table, {"errors.py": "def f():\n    import streamfold.sse"}, id="inside a function"),
    pytest.param(
        follows_the_table,
        {"errors.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from streamfold.sse import Frame"},
        id="under TYPE_CHECKING",
    ),
    pytest.param(follows_the_table, {"attic/box.py": ""}, id="a package without a row"),
    pytest.param(follows_the_table, {"fold/state.py": "from streamfold.cli import main"}, id="nothing imports the cli"),
    pytest.param(
        follows_the_table,
        {"__init__.py": "from streamfold.log import Record", "log/__init__.py": ""},
        id="the top-level API takes from pure packages only",
    ),
    pytest.param(
        uses_the_public_api, {"reader.py": "from streamfold.sse.frame import Frame"}, id="past the public API"
    ),
    pytest.param(
        uses_the_public_api, {"reader.py": "from streamfold.sse import frame"}, id="a module by way of the package"
    ),
    pytest.param(
        uses_the_public_api, {"reader.py": "from .sse.frame import Frame"}, id="past the public API, relative"
    ),
    pytest.param(
        uses_the_public_api, {"reader.py": "from streamfold.schema.event import Created"}, id="into a module on offer"
    ),
    pytest.param(uses_the_public_api, {"reader.py": "import streamfold.schema.event"}, id="a plain import of a module"),
    pytest.param(
        goes_round_in_no_cycle,
        {"fold/state.py": "from streamfold.fold.text import T", "fold/text.py": "def f():\n    from . import state"},
        id="two modules",
    ),
    pytest.param(goes_round_in_no_cycle, {"sse/frame.py": "from streamfold.sse import Frame"}, id="its own package"),
    *(
        pytest.param(keeps_pure_packages_pure, {"sse/frame.py": f"def f():\n    {line}"}, id=line)
        for line in (
            "import anyio",
            "import httpx",
            "import sqlite3",
            "import time",
            "import os.path",
            "from random import random",
            "from threading import Lock",
            "from asyncio import sleep",
            "import socket",
            "from pathlib import Path",
            "import subprocess",
            "import importlib",
            "import openai",
            "open('x')",
            "__import__('x')",
        )
    ),
    pytest.param(keeps_pure_packages_pure, {"fold/state.py": "async def f(): ..."}, id="async code"),
    pytest.param(keeps_pure_packages_pure, {"__init__.py": "import time"}, id="the top-level API is pure"),
    pytest.param(keeps_pure_packages_pure, {"serving/reply.py": "import anyio"}, id="serving is pure"),
]

SOUND = {
    "__init__.py": "from streamfold.fold import State, fold",
    "errors.py": "",
    "sse/__init__.py": "from streamfold.sse.frame import Frame",
    "sse/frame.py": "import msgspec\nfrom streamfold.errors import WireError",
    "schema/__init__.py": "from streamfold.schema import event\n\n__all__ = ['event']",
    "schema/event.py": "",
    "reader.py": "from .sse import Frame\nfrom streamfold.schema import event\nfrom streamfold import errors",
    "fold/__init__.py": "from .state import State\nfrom .text import fold",
    "fold/state.py": "from . import text\nfrom ..errors import WireError",
    "fold/text.py": "import attrs",
    "client/__init__.py": "import anyio\nimport httpx\nimport time",
    "serving/asgi.py": "import anyio",  # the one module of `serving` that does I/O
    "cli/__init__.py": "from streamfold.fold import State",
}


def plant(tmp_path: Path, files: dict[str, str]) -> Modules:
    for name, text in (SOUND | files).items():
        path = tmp_path / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_modules(tmp_path)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_sound_tree_breaks_no_rule(rule: Rule, tmp_path: Path) -> None:
    assert list(rule(plant(tmp_path, {}))) == []


@pytest.mark.parametrize(("rule", "files"), BROKEN)
def test_a_broken_tree_is_caught(rule: Rule, files: dict[str, str], tmp_path: Path) -> None:
    assert len(list(rule(plant(tmp_path, files)))) == 1
