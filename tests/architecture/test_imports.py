"""An import only points to an earlier room, through its door; a pure room leans on nothing that acts.

The table is in tree.py. Every rule is also shown a made-up tree that breaks it, so that no rule passes by
checking nothing.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.tree import MAY_IMPORT, PACKAGE, PURE, Import, Module, imports_of, read_modules, room_of

Modules = dict[str, Module]
Rule = Callable[[Modules], Iterator[str]]

# Libraries that a pure room may use. Anything else from outside the standard library is refused.
PURE_LIBRARIES = {"attr", "attrs", "msgspec"}
# Of the standard library: what reads a clock, chance or the machine, opens something, waits, or runs tasks.
ACTING = set(
    """
    _socket _sqlite3 _thread asyncio concurrent contextvars ctypes datetime faulthandler fcntl fileinput ftplib getpass
    glob http imaplib importlib io locale logging mmap multiprocessing os pathlib platform poplib pty queue random
    runpy sched secrets select selectors shelve shutil signal smtplib socket socketserver sqlite3 ssl subprocess
    syslog tempfile threading time tkinter urllib uuid xmlrpc zipfile
    """.split()
)
ACTING_CALLS = {"open", "print", "input", "breakpoint", "eval", "exec", "compile", "__import__"}


def follows_the_table(modules: Modules) -> Iterator[str]:
    """Each room imports only the rooms that its row names."""
    for module in modules.values():
        if module.room not in MAY_IMPORT:
            yield f"{module.path}: the room `{module.room}` has no row in the table"
            continue
        for each in imports_inside(module, modules):
            room = room_of(each.target)
            if room != module.room and room not in MAY_IMPORT[module.room]:
                yield f"{module.path}:{each.line}: `{module.room}` may not import `{room}`"


def enters_by_the_door(modules: Modules) -> Iterator[str]:
    """From another room: `streamfold.sse`, never `streamfold.sse.decoder`.

    A door may offer a whole module, by its name in `__all__`: `from streamfold.schema import event`.
    """
    for module in modules.values():
        for each in imports_inside(module, modules):
            if room_of(each.target) == module.room or each.target.count(".") < 2:
                continue
            room, _, name = each.target.rpartition(".")
            if each.asked != room or name not in modules[room].offered:
                yield f"{module.path}:{each.line}: import `{each.target}` from its room's door"


def goes_round_in_no_cycle(modules: Modules) -> Iterator[str]:
    """No module leans on itself by way of others. A package's folder is no import of its door."""
    graph = {
        module.name: {each.target for each in imports_inside(module, modules) if each.target in modules}
        for module in modules.values()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield "a cycle: " + " <- ".join(error.args[1])


def keeps_pure_rooms_pure(modules: Modules) -> Iterator[str]:
    """A pure room imports nothing that acts, no library but those listed, and calls nothing that acts."""
    for module in modules.values():
        if module.room not in PURE:
            continue
        for each in imports_of(module, modules):
            top = each.target.split(".")[0]
            library = top not in sys.stdlib_module_names and top != PACKAGE
            if top in ACTING or (library and top not in PURE_LIBRARIES):
                yield f"{module.path}:{each.line}: a pure room may not import `{top}`"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ACTING_CALLS:
                yield f"{module.path}:{node.lineno}: a pure room may not call `{node.func.id}`"
            elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
                yield f"{module.path}:{node.lineno}: a pure room has no async code"


def imports_inside(module: Module, modules: Modules) -> Iterator[Import]:
    """What a module imports from this package."""
    return (each for each in imports_of(module, modules) if each.target.split(".")[0] == PACKAGE)


RULES = [follows_the_table, enters_by_the_door, goes_round_in_no_cycle, keeps_pure_rooms_pure]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_tree(rule: Rule) -> None:
    complaints = list(rule(read_modules()))
    assert not complaints, "\n".join(complaints)


def test_the_table_names_only_rooms_of_its_own_and_never_the_cli() -> None:
    for room, allowed in MAY_IMPORT.items():
        assert allowed <= MAY_IMPORT.keys() - {room}
        assert "cli" not in allowed or room == "__main__"


# Made-up trees: path under the package -> text. Each breaks one rule and no other.
BROKEN = [
    pytest.param(follows_the_table, {"sse/frame.py": "from streamfold.fold import State"}, id="a later room"),
    pytest.param(follows_the_table, {"sse/frame.py": "from streamfold import fold"}, id="a later room by the package"),
    pytest.param(follows_the_table, {"sse/frame.py": "from streamfold import State"}, id="a name of the top door"),
    pytest.param(follows_the_table, {"sse/frame.py": "from ..fold import State"}, id="a relative import"),
    pytest.param(follows_the_table, {"sse/frame.py": "from .. import fold"}, id="a relative import of a room"),
    pytest.param(follows_the_table, {"sse/__init__.py": "from ..fold import State"}, id="a relative import in a door"),
    pytest.param(follows_the_table, {"sse/frame.py": "import streamfold.fold"}, id="a plain import"),
    pytest.param(follows_the_table, {"errors.py": "import streamfold.sse as s"}, id="errors import nothing"),
    pytest.param(follows_the_table, {"errors.py": "def f():\n    import streamfold.sse"}, id="inside a function"),
    pytest.param(
        follows_the_table,
        {"errors.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from streamfold.sse import Frame"},
        id="under TYPE_CHECKING",
    ),
    pytest.param(follows_the_table, {"attic/box.py": ""}, id="a room without a row"),
    pytest.param(follows_the_table, {"fold/state.py": "from streamfold.cli import main"}, id="nothing imports the cli"),
    pytest.param(
        follows_the_table,
        {"__init__.py": "from streamfold.log import Record", "log/__init__.py": ""},
        id="the top door takes from pure rooms only",
    ),
    pytest.param(enters_by_the_door, {"reader.py": "from streamfold.sse.frame import Frame"}, id="past the door"),
    pytest.param(enters_by_the_door, {"reader.py": "from streamfold.sse import frame"}, id="a module from the door"),
    pytest.param(enters_by_the_door, {"reader.py": "from .sse.frame import Frame"}, id="past the door, relative"),
    pytest.param(
        enters_by_the_door, {"reader.py": "from streamfold.schema.event import Created"}, id="into a module on offer"
    ),
    pytest.param(enters_by_the_door, {"reader.py": "import streamfold.schema.event"}, id="a plain import of a module"),
    pytest.param(
        goes_round_in_no_cycle,
        {"fold/state.py": "from streamfold.fold.text import T", "fold/text.py": "def f():\n    from . import state"},
        id="two modules",
    ),
    pytest.param(goes_round_in_no_cycle, {"sse/frame.py": "from streamfold.sse import Frame"}, id="its own door"),
    *(
        pytest.param(keeps_pure_rooms_pure, {"sse/frame.py": f"def f():\n    {line}"}, id=line)
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
    pytest.param(keeps_pure_rooms_pure, {"fold/state.py": "async def f(): ..."}, id="async code"),
    pytest.param(keeps_pure_rooms_pure, {"__init__.py": "import time"}, id="the top door is pure"),
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
