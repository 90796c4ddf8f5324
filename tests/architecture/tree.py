"""The source tree as data: which modules there are, what each imports, and the table of who may import whom.

In      a folder that holds the package `streamfold`
Out     its Modules, parsed but never run
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PACKAGE = "streamfold"

# A room is a module or a folder right under the package. The top door is the room `__init__`.
FLOOR = {"errors", "sse", "schema", "reader", "fold"}
MIDDLE = {"session", "serving", "webhook", "log", "client", "history", "chaos", "emulator", "sim", "relay", "check"}
LAB = {"conform", "torture"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "check": {"errors"},
    "sse": {"errors"},
    "schema": {"errors"},
    "log": {"check", "errors"},
    "reader": {"sse", "schema", "errors"},
    "fold": {"schema", "errors"},
    "session": {"reader", "sse", "schema", "fold", "errors"},
    "serving": {"sse", "schema", "errors"},
    "webhook": {"schema", "errors"},
    "client": {"session", "log", "history", "webhook", "check", "reader", "fold", "schema", "sse", "errors"},
    "history": {"log", "fold", "reader", "schema", "sse", "errors"},
    "chaos": {"sse", "errors"},
    "emulator": {"serving", "webhook", "chaos", "sse", "schema", "fold", "errors"},
    "sim": {"emulator", "session", "chaos", "log", "fold", "schema", "errors"},
    "relay": {"serving", "webhook", "client", "history", "log", "session", "sse", "fold", "schema", "errors"},
    "conform": {"client", "session", "reader", "fold", "schema", "sse", "check", "chaos", "errors"},
    "torture": {"client", "session", "reader", "fold", "schema", "sse", "check", "chaos", "emulator", "errors"},
    "bench": FLOOR | MIDDLE | LAB,
    "cli": FLOOR | MIDDLE | LAB | {"bench"},
    "__init__": FLOOR | {"session", "chaos"},
    "__main__": {"cli"},
}
PURE = FLOOR | {"session", "chaos", "webhook", "__init__"}


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, its path under the package, its text and its tree."""

    name: str
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @property
    def is_door(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def room(self) -> str:
        return room_of(self.name)

    @property
    def offered(self) -> list[str]:
        """What `__all__` lists; nothing where it is not a plain list."""
        for node in self.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=names) | ast.Tuple(elts=names)):
                    return [str(name.value) for name in names if isinstance(name, ast.Constant)]
        return []

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


@dataclass(frozen=True)
class Import:
    """One name that a module takes from elsewhere.

    `asked` is the module as it is written, relative dots spelled out; `target` the module that the name leans on.
    """

    asked: str
    target: str
    line: int


def room_of(name: str) -> str:
    """The room of a dotted name inside the package; the package itself is `__init__`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def read_modules(source: Path = SOURCE) -> dict[str, Module]:
    """Every module of the package under `source`, by dotted name."""
    modules: dict[str, Module] = {}
    for path in sorted((source / PACKAGE).rglob("*.py")):
        relative = path.relative_to(source)
        parts = relative.parent.parts if path.name == "__init__.py" else relative.with_suffix("").parts
        name = ".".join(parts)
        modules[name] = Module(name, relative.relative_to(PACKAGE), path.read_text(encoding="utf-8"))
    return modules


def imports_of(module: Module, modules: dict[str, Module]) -> Iterator[Import]:
    """Everything that a module imports, inside functions and under TYPE_CHECKING too.

    A relative name is resolved. `from a import b` is the module `a.b` where there is one; a name taken from the
    package's own door is the module that the door took it from.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = absolute_base(module, node)
            for alias in node.names:
                yield Import(base, origin(base, alias.name, modules), node.lineno)


def absolute_base(module: Module, node: ast.ImportFrom) -> str:
    """The dotted name after `from`, with the dots of a relative import spelled out."""
    if not node.level:
        return node.module or ""
    package = module.name.split(".") if module.is_door else module.name.split(".")[:-1]
    kept = package[: len(package) - (node.level - 1)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def origin(base: str, name: str, modules: dict[str, Module]) -> str:
    """The module that `from base import name` leans on."""
    if f"{base}.{name}" in modules:
        return f"{base}.{name}"
    if base == PACKAGE and PACKAGE in modules:
        door = modules[PACKAGE]
        for node in ast.walk(door.tree):
            if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
                return absolute_base(door, node)
    return base
