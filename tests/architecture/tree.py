"""The source tree as data: its modules, parsed but never run, and the table of who may import whom."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PACKAGE = "streamfold"

# A package, here, is a module or a folder right under `streamfold`; `__init__` is the top-level API.
CORE = {"errors", "sse", "schema", "reader", "fold"}
LIBRARY = CORE | {"session", "check", "serving", "webhook", "log", "history", "client", "chaos", "emulator", "sim"}
PROGRAMS = {"relay", "conform", "torture"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "sse": {"errors"},
    "schema": {"errors"},
    "check": {"errors"},
    "log": {"check", "errors"},
    "reader": {"sse", "schema", "errors"},
    "fold": {"schema", "errors"},
    "session": {"reader", "sse", "schema", "fold", "errors"},
    "serving": {"sse", "schema", "errors"},
    "webhook": {"schema", "errors"},
    "history": {"log", "fold", "reader", "schema", "sse", "errors"},
    "client": CORE | {"session", "log", "history", "webhook", "check"},
    "chaos": {"sse", "errors"},
    "emulator": {"serving", "webhook", "chaos", "sse", "schema", "fold", "errors"},
    "sim": {"emulator", "session", "chaos", "log", "fold", "schema", "errors"},
    "relay": {"serving", "webhook", "client", "history", "log", "session", "sse", "fold", "schema", "errors"},
    "conform": CORE | {"client", "session", "check", "chaos"},
    "torture": CORE | {"client", "session", "check", "chaos", "emulator"},
    "bench": LIBRARY | PROGRAMS,
    "cli": LIBRARY | PROGRAMS | {"bench"},
    "__init__": CORE | {"session", "chaos"},
    "__main__": {"cli"},
}
PURE = CORE | {"session", "serving", "webhook", "chaos", "__init__"}
# What does I/O in a package that is pure but for it.
IMPURE_MODULES = {Path("serving") / f"{name}.py" for name in ("asgi", "connection", "server", "upgrade")}
# What does none in a package that does.
PURE_MODULES = {Path("relay") / f"{name}.py" for name in ("attach", "ends", "post")}


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, its path under the package, its text and its tree."""

    name: str
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree, in no useful order."""
        return list(ast.walk(self.tree))

    @property
    def is_init(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def package(self) -> str:
        return package_of(self.name)

    @property
    def is_pure(self) -> bool:
        return self.path in PURE_MODULES or (self.package in PURE and self.path not in IMPURE_MODULES)

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


def package_of(name: str) -> str:
    """The package of a dotted name inside the package; the package itself is `__init__`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@cache
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

    Relative names are resolved. `from a import b` is the module `a.b` if there is one; a name imported from the
    top-level API is the module that the API imports it from.
    """
    for node in module.nodes:
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
    package = module.name.split(".") if module.is_init else module.name.split(".")[:-1]
    kept = package[: len(package) - (node.level - 1)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def origin(base: str, name: str, modules: dict[str, Module]) -> str:
    """The module that `from base import name` leans on."""
    if f"{base}.{name}" in modules:
        return f"{base}.{name}"
    if base == PACKAGE and PACKAGE in modules:
        top = modules[PACKAGE]
        for node in top.nodes:
            if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
                return absolute_base(top, node)
    return base
