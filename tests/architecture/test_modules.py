"""Rules for modules that a machine can check: sizes, an `__init__` without logic, names, headers, documented API.

Every rule is also shown a made-up module that breaks it, so that no rule passes by checking nothing.
"""

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGE, ROOT, SOURCE, Module, read_modules

Rule = Callable[[Module], Iterator[str]]

MODULE_LINES = 400
INIT_LINES = 60
FUNCTION_LINES = 60
# Plain declarations, one after the other, may run longer: path under the package -> its own bound.
LONG_DECLARATIONS = {"errors.py": 560, "schema/event.py": 1500, "schema/item.py": 1000}

SHAPELESS_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
LEFT_OVER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
# A home, work or temporary folder by its full path: true on one machine only.
MACHINE_PATH = re.compile(r"(?<![\w.:/])(?:/(?:home|Users|root|work|tmp|mnt|private)/\w|[A-Z]:\\\\?Users\b)")
HEADER_KEY = re.compile(r"^(In|Out|Units|Errors|Source) {2,}", re.MULTILINE)
TEXT_FILES = {".py", ".md", ".toml", ".yml", ".yaml", ".cfg", ".txt", ".sh"}
TEXT_NAMES = {"Makefile", "LICENSE", ".gitignore", "run"}


def is_small(module: Module) -> Iterator[str]:
    """A module holds one concept; an `__init__` only exports."""
    bound = LONG_DECLARATIONS.get(module.path.as_posix(), INIT_LINES if module.is_init else MODULE_LINES)
    if module.lines >= bound:
        yield f"{module.path}: {module.lines} lines, the limit is {bound}"


def has_small_functions(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{module.path}:{node.lineno}: `{node.name}` has {lines} lines, the limit is {FUNCTION_LINES}"


def has_a_plain_init(module: Module) -> Iterator[str]:
    """An `__init__` holds a docstring, imports and `__all__`, a plain list of what it imports; no logic."""
    if not module.is_init:
        return
    imported: set[str] = set()
    lists = 0
    for node in module.tree.body:
        match node:
            # its docstring; and a module of many plain declarations lists its own names
            case (
                ast.Expr(value=ast.Constant(value=str()))
                | ast.AugAssign(target=ast.Name(id="__all__"), value=ast.Attribute(attr="__all__"))
            ):
                continue
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                imported |= {alias.asname or alias.name for alias in names}
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() | ast.Tuple()):
                lists += 1
            case _:
                yield f"{module.path}:{node.lineno}: an __init__ has no logic"
    if not lists:
        yield f"{module.path}: an __init__ needs `__all__`, a plain list"
    if unknown := sorted(set(module.offered) - imported):
        yield f"{module.path}: `__all__` lists what is not imported: {', '.join(unknown)}"


def is_named_by_a_noun(module: Module) -> Iterator[str]:
    if shapeless := SHAPELESS_NAMES & set(module.name.split(".")):
        yield f"{module.path}: `{shapeless.pop()}` names no concept"


def has_a_header(module: Module) -> Iterator[str]:
    """A header begins with one sentence; what follows is prose, without a list of inputs and outputs."""
    first, *rest = (ast.get_docstring(module.tree) or "").split("\n\n")
    if not first.strip():
        yield f"{module.path}: the module has no docstring"
    elif not first.rstrip().endswith((".", ":", "?")):
        yield f"{module.path}: the header does not begin with a sentence"
    if any(HEADER_KEY.search(each) for each in rest):
        yield f"{module.path}: the header lists inputs or outputs: write what the signatures do not say, as prose"


def has_nothing_left_over(module: Module) -> Iterator[str]:
    for number, line in enumerate(module.text.splitlines(), 1):
        if LEFT_OVER.search(line):
            yield f"{module.path}:{number}: open an issue instead"


def undocumented(names: list[str], text: str, *, shape: str) -> list[str]:
    """The names that no page gives as code. `shape` is a pattern of how a name is written."""
    return [name for name in names if not re.search(shape.format(name), text)]


def machine_paths(text: str) -> list[str]:
    return [line for line in text.splitlines() if MACHINE_PATH.search(line)]


RULES = [is_small, has_small_functions, has_a_plain_init, is_named_by_a_noun, has_a_header, has_nothing_left_over]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module(rule: Rule) -> None:
    complaints = [complaint for module in read_modules().values() for complaint in rule(module)]
    assert not complaints, "\n".join(complaints)


def test_every_public_name_is_in_the_reference() -> None:
    public = getattr(importlib.import_module(PACKAGE), "__all__", [])
    assert undocumented(public, read_reference(), shape="`{}[`(]") == []


def test_every_command_is_in_the_reference() -> None:
    if not (SOURCE / PACKAGE / "cli" / "__init__.py").exists():
        return  # not built yet
    commands = command_names()
    assert commands, "streamfold.cli has no cyclopts App with commands"
    assert undocumented(commands, read_reference(), shape=r"streamfold {}\b") == []


def test_no_file_holds_a_path_of_one_machine() -> None:
    found = {str(path): lines for path in project_files() if (lines := machine_paths(path.read_text("utf-8")))}
    assert found == {}


def read_reference() -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "docs" / "reference").rglob("*.md")))


def command_names() -> list[str]:
    """The names of the commands, from the App that the cli, or one of its modules, holds."""
    import cyclopts

    names = [name for name in read_modules() if name.startswith(f"{PACKAGE}.cli")]
    apps = {id(v): v for n in names for v in vars(importlib.import_module(n)).values() if isinstance(v, cyclopts.App)}
    return sorted({name for app in apps.values() for name in app if not name.startswith("-")})


def project_files() -> Iterator[Path]:
    """The text files that we write: those at the root, and those in the folders below."""
    folders = ["src", "tests", "benchmarks", "docs", "changelog.d", ".ci"]
    inside = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for path in [*ROOT.iterdir(), *inside]:
        if path.is_file() and (path.suffix in TEXT_FILES or path.name in TEXT_NAMES):
            yield path


HEAD = '"""A header."""\n'
BROKEN = [
    pytest.param(is_small, "fold/text.py", HEAD + "x = 1\n" * 399, id="a long module"),
    pytest.param(is_small, "fold/__init__.py", HEAD + "import a\n" * 59, id="a long __init__"),
    pytest.param(is_small, "schema/event.py", HEAD + "x = 1\n" * 1500, id="even declarations end"),
    pytest.param(has_small_functions, "fold/text.py", "def f():\n" + "    x = 1\n" * 60, id="a long function"),
    pytest.param(has_small_functions, "a.py", "class A:\n  async def f():\n" + "    x = 1\n" * 60, id="a long method"),
    pytest.param(
        has_a_plain_init, "sse/__init__.py", HEAD + "__all__ = []\ndef f(): ...", id="a function in an __init__"
    ),
    pytest.param(has_a_plain_init, "sse/__init__.py", HEAD + "__all__ = []\nx = 1", id="a value in an __init__"),
    pytest.param(has_a_plain_init, "sse/__init__.py", "__all__ = []\nif 1: import a", id="a branch in an __init__"),
    pytest.param(has_a_plain_init, "sse/__init__.py", HEAD + "from a import b", id="no __all__"),
    pytest.param(has_a_plain_init, "sse/__init__.py", '__all__ = ["a"]', id="__all__ lists what is not imported"),
    pytest.param(has_a_plain_init, "sse/__init__.py", "__all__ = a + b", id="an __all__ that is worked out"),
    pytest.param(is_named_by_a_noun, "fold/utils.py", HEAD, id="utils"),
    pytest.param(is_named_by_a_noun, "helpers/text.py", HEAD, id="a folder of helpers"),
    pytest.param(has_a_header, "fold/text.py", "x = 1", id="no header"),
    pytest.param(has_a_header, "fold/text.py", '"""  """', id="an empty header"),
    pytest.param(has_a_header, "fold/text.py", '"""No sentence"""', id="a header without a sentence"),
    pytest.param(
        has_a_header, "fold/text.py", '"""A header.\n\nIn      bytes\nOut     events\n"""', id="a list in a header"
    ),
    pytest.param(has_nothing_left_over, "fold/text.py", HEAD + "# TO" + "DO: later", id="a left-over"),
]
SOUND = [
    ("fold/__init__.py", HEAD + 'from streamfold.fold.text import Text\n\n__all__ = ["Text"]\n'),
    ("sse/__init__.py", HEAD + "from a import b\nfrom b import *\n\n__all__ = ['b']\n__all__ += b.__all__\n"),
    ("fold/text.py", HEAD + "x = 1\n" * 398),
    ("fold/base64.py", HEAD + "def f():\n" + "    x = 1\n" * 59),
    ("schema/event.py", HEAD + "x = 1\n" * 1400),
]


def made_up(path: str, text: str) -> Module:
    parts = Path(path).parent.parts if path.endswith("__init__.py") else Path(path).with_suffix("").parts
    return Module(".".join([PACKAGE, *parts]), Path(path), text)


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN)
def test_a_broken_module_is_caught(rule: Rule, path: str, text: str) -> None:
    assert list(rule(made_up(path, text))) != []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_sound_module_breaks_no_rule(rule: Rule) -> None:
    assert [complaint for path, text in SOUND for complaint in rule(made_up(path, text))] == []


def test_a_name_counts_as_documented_only_when_given_as_code() -> None:
    assert undocumented(["fold", "reduce"], "fold, and `reduce(state)`", shape="`{}[`(]") == ["fold"]


@pytest.mark.parametrize("folder", ["home", "Users", "root", "work", "tmp"])
def test_a_path_of_one_machine_is_caught(folder: str) -> None:
    assert machine_paths(f"see /{folder}/someone/file") != []


@pytest.mark.parametrize("text", ["/api/v1/llm/responses", "site/home/x", "https://host/home/x", "~/.cache/x"])
def test_a_path_of_the_wire_or_the_tree_is_no_path_of_a_machine(text: str) -> None:
    assert machine_paths(text) == []


def test_every_kind_of_file_is_looked_at() -> None:
    seen = {path.relative_to(ROOT).parts[0] for path in project_files()}
    assert {"src", "tests", "docs", "pyproject.toml", "Makefile"} <= seen
