"""The command line has one way out: `cli/terminal.py` writes, and what rich and textual draw passes through it.

What a terminal gets is tested in tests/cli/test_hostile_terminal.py. This finds a new way out before a test runs into it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGE, Module, read_modules

WRITER, DRAWER, PROGRAM = Path("cli/terminal.py"), Path("cli/output/console.py"), Path("cli/inspect/program.py")
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
# What prints, and the modules that may call it.
PRINTS = {
    "Console": {DRAWER},
    "get_console": set[Path](),
    "Progress": {DRAWER},
    "lastResort": set[Path](),
    "StreamHandler": set[Path](),
    "basicConfig": set[Path](),
    "copy_to_clipboard": set[Path](),
    "set_window_title": set[Path](),
}
BASES = {"App": PROGRAM, "Console": DRAWER}


def writes_another_way(module: Module) -> Iterator[str]:
    """What a module of the command line does to write past `cli/terminal.py`."""
    for node in module.nodes:
        match node:
            case ast.Attribute(value=ast.Name(id="sys"), attr=name) if name in STREAMS and module.path != WRITER:
                yield f"{module.path}:{node.lineno}: sys.{name}"
            case ast.ImportFrom(module="sys", names=names) if STREAMS & {each.name for each in names}:
                yield f"{module.path}:{node.lineno}: imports a stream of sys"
            case ast.Call(func=ast.Name(id="print")) if module.path != WRITER:
                yield f"{module.path}:{node.lineno}: print()"
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if module.path not in PRINTS.get(
                name, {module.path}
            ):
                yield f"{module.path}:{node.lineno}: {name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="write" | "system" | "popen")):
                yield f"{module.path}:{node.lineno}: os.write()"
            case ast.Call(func=ast.Name(id="Live"), keywords=keywords) if "console" not in {
                each.arg for each in keywords
            }:
                yield f"{module.path}:{node.lineno}: Live() on a console of its own"
            case ast.ImportFrom(module="rich", names=names) if "print" in {each.name for each in names}:
                yield f"{module.path}:{node.lineno}: rich.print"
            case ast.ClassDef(bases=bases):
                yield from (f"{module.path}:{node.lineno}: a {name}" for name in _strange_bases(bases, module.path))
            case _:
                continue


def _strange_bases(bases: list[ast.expr], path: Path) -> Iterator[str]:
    for base in bases:
        name = ast.unparse(base).partition("[")[0]
        if BASES.get(name, path) != path:
            yield name


def test_no_module_of_the_command_line_writes_another_way() -> None:
    modules = [each for name, each in read_modules().items() if name.startswith(f"{PACKAGE}.cli")]
    assert len(modules) > 20
    assert [complaint for module in modules for complaint in writes_another_way(module)] == []


def test_nothing_below_the_command_line_prints() -> None:
    modules = [each for name, each in read_modules().items() if not name.startswith(f"{PACKAGE}.cli")]
    assert [complaint for module in modules for complaint in writes_another_way(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "print('x')",
        "import sys\nsys.stdout.write('x')",
        "import sys\nsys.__stderr__.write('x')",
        "from sys import stderr",
        "from rich import print",
        "from rich.console import Console\nConsole().print('x')",
        "import rich.console\nrich.console.Console().print('x')",
        "import rich\nrich.get_console().print('x')",
        "from rich.live import Live\nLive('x')",
        "from rich.progress import Progress\nProgress()",
        "import os\nos.write(1, b'x')",
        "import logging\nlogging.basicConfig()",
        "from textual.app import App\nclass Another(App[None]): ...",
        "self.app.copy_to_clipboard('x')",
    ],
)
def test_another_way_is_caught(text: str) -> None:
    assert list(writes_another_way(Module(f"{PACKAGE}.cli.a", Path("cli/a.py"), text))) != []


def test_a_console_that_is_given_is_no_other_way() -> None:
    text = "from rich.live import Live\ndef f(console: Console) -> None:\n    console.print(Live(console=console))\n"
    assert list(writes_another_way(Module(f"{PACKAGE}.cli.a", Path("cli/a.py"), text))) == []
