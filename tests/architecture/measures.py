"""Measure the package: sizes, importers, names, functions, complexity and comments.

`python -m tests.architecture.measures` prints the table, then what exceeds a goal. test_measures.py holds the limits.

Code is what is left of a file without blank lines, comments, docstrings, imports and `__all__`; the lines of a
function are counted without its docstring. A comment counts if it has a line of its own. A class name with a leading
underscore is the same name without it. Complexity is one more than the branches of a function: `if`, loops, `except`, `assert`,
conditional expressions, `if`s in comprehensions, cases but `case _`, and each `and` or `or`.
"""

import ast
import io
import statistics
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from tests.architecture.tree import PACKAGE, Module, imports_of, read_modules

MODULE_LINES = 400
SMALL_LINES = 60
COMPLEX = 10
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCH = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Assert, ast.IfExp)


@dataclass(frozen=True)
class Function:
    """One function or method: where it is, how many lines it has, how complex it is."""

    place: str
    lines: int
    complexity: int


@dataclass(frozen=True)
class Tree:
    """The measures of a source tree."""

    modules: dict[str, Module]

    @cached_property
    def lines(self) -> int:
        return sum(module.lines for module in self.modules.values())

    @cached_property
    def code_lines(self) -> int:
        return sum(len(code_lines(module)) for module in self.modules.values())

    @cached_property
    def functions(self) -> list[Function]:
        return [function for module in self.modules.values() for function in functions_of(module)]

    @cached_property
    def complex_functions(self) -> list[Function]:
        found = [function for function in self.functions if function.complexity > COMPLEX]
        return sorted(found, key=lambda function: -function.complexity)

    @cached_property
    def importers(self) -> dict[str, set[str]]:
        """The modules that import each module, by dotted name."""
        found: dict[str, set[str]] = defaultdict(set)
        for module in self.modules.values():
            for each in imports_of(module, self.modules):
                if each.target in self.modules and each.target != module.name:
                    found[each.target].add(module.name)
        return found

    @cached_property
    def single_importers(self) -> list[str]:
        """The modules that one other module imports, and no public API exports."""
        return [
            name
            for name, module in self.modules.items()
            if not module.is_init
            and len(self.importers[name]) == 1
            and not any(self.modules[each].is_init for each in self.importers[name])
        ]

    @cached_property
    def small_single_importers(self) -> list[str]:
        return [name for name in self.single_importers if self.modules[name].lines < SMALL_LINES]

    @cached_property
    def repeated_classes(self) -> dict[str, list[str]]:
        """The names of classes that more than one module defines, with those modules."""
        found: dict[str, list[str]] = defaultdict(list)
        for module in self.modules.values():
            for name in sorted({node.name.lstrip("_") for node in module.nodes if isinstance(node, ast.ClassDef)}):
                found[name].append(module.path.as_posix())
        return {name: paths for name, paths in sorted(found.items()) if len(paths) > 1}

    @cached_property
    def long_modules(self) -> list[Module]:
        return [module for module in self.modules.values() if module.lines > MODULE_LINES]

    @cached_property
    def files_per_folder(self) -> Counter[str]:
        return Counter(module.path.parent.as_posix() for module in self.modules.values())

    def comments_per_100(self, package: str | None = None) -> float:
        """Comment lines per 100 lines, of one package or of all."""
        chosen = [module for module in self.modules.values() if package in (None, module.package)]
        lines = sum(module.lines for module in chosen)
        return 100 * sum(len(comment_lines(module)) for module in chosen) / lines if lines else 0.0

    def function_lines(self, part: float) -> int:
        """The lines of a function at a part of all, as 0.5 for the median."""
        lines = sorted(function.lines for function in self.functions)
        return lines[min(len(lines) - 1, int(part * len(lines)))]


def read_tree() -> Tree:
    return Tree(read_modules())


def comment_lines(module: Module) -> set[int]:
    """The lines that hold a comment and nothing else."""
    lines = module.text.splitlines()
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    return {
        each.start[0]
        for each in tokens
        if each.type == tokenize.COMMENT and lines[each.start[0] - 1].lstrip()[0] == "#"
    }


def code_lines(module: Module) -> set[int]:
    left = {number for number, line in enumerate(module.text.splitlines(), 1) if line.strip()} - comment_lines(module)
    for node in module.nodes:
        if isinstance(node, ast.stmt) and is_no_code(node):
            left -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return left


def is_no_code(node: ast.stmt) -> bool:
    """Whether a statement is an import, a docstring or `__all__`."""
    match node:
        case (
            ast.Import()
            | ast.ImportFrom()
            | ast.Expr(value=ast.Constant(value=str()))
            | ast.Assign(targets=[ast.Name(id="__all__")])
            | ast.AugAssign(target=ast.Name(id="__all__"))
        ):
            return True
    return False


def docstring_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    match function.body[0]:
        case ast.Expr(value=ast.Constant(value=str())) as text:
            return set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return set()


def functions_of(module: Module) -> Iterator[Function]:
    for node in module.nodes:
        if isinstance(node, FUNCTION):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1 - len(docstring_lines(node))
            yield Function(f"{module.path.as_posix()}:{node.lineno} {node.name}", lines, complexity(node))


def complexity(function: ast.AST) -> int:
    return 1 + sum(branches(node) for node in inner_nodes(function))


def inner_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """What is inside a function, but for the functions and classes inside it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, (*FUNCTION, ast.ClassDef)):
            yield node
            yield from inner_nodes(node)


def branches(node: ast.AST) -> int:
    match node:
        case ast.BoolOp(values=values):
            return len(values) - 1
        case ast.comprehension(ifs=conditions):
            return 1 + len(conditions)
        case ast.match_case(pattern=ast.MatchAs(pattern=None), guard=None):
            return 0
        case ast.match_case():
            return 1
    return int(isinstance(node, BRANCH))


def table(tree: Tree) -> Iterator[str]:
    """The rows that are printed."""
    yield f"lines                          {tree.lines:,}"
    yield f"modules                        {len(tree.modules)}"
    yield f"code lines                     {tree.code_lines:,}"
    yield f"code lines per module          {tree.code_lines / len(tree.modules):.1f}"
    yield f"modules with one importer      {len(tree.single_importers)}"
    yield f"  of them under {SMALL_LINES} lines         {len(tree.small_single_importers)}"
    yield f"class names used twice         {len(tree.repeated_classes)}"
    sizes = [tree.function_lines(part) for part in (0.5, 0.9, 1)]
    yield f"function lines                 median {sizes[0]}, p90 {sizes[1]}, max {sizes[2]}"
    yield f"complexity                     mean {statistics.mean(each.complexity for each in tree.functions):.1f}"
    yield f"functions above {COMPLEX}             {len(tree.complex_functions)}"
    yield f"modules over {MODULE_LINES} lines         {len(tree.long_modules)}"
    [(folder, files)] = tree.files_per_folder.most_common(1)
    yield f"most files in a folder         {files} in {folder}"
    yield f"comments per 100 lines         {tree.comments_per_100():.1f}"


def packages_table(tree: Tree) -> Iterator[str]:
    yield f"{'package':12} {'files':>5} {'lines':>7} {'code':>6} {'comments per 100':>17}"
    for package in sorted({module.package for module in tree.modules.values()}):
        chosen = [module for module in tree.modules.values() if module.package == package]
        lines, code = sum(each.lines for each in chosen), sum(len(code_lines(each)) for each in chosen)
        yield f"{package:12} {len(chosen):5} {lines:7,} {code:6,} {tree.comments_per_100(package):17.1f}"


def details(tree: Tree) -> Iterator[str]:
    yield from section("functions above", (f"{each.complexity:3} {each.place}" for each in tree.complex_functions))
    yield from section("class names used twice", (f"{n}: {', '.join(p)}" for n, p in tree.repeated_classes.items()))
    yield from section(
        "modules with one importer",
        (
            f"{short(name)} ({tree.modules[name].lines} lines) <- {short(next(iter(tree.importers[name])))}"
            for name in tree.single_importers
        ),
    )
    yield from section("long modules", (f"{each.path.as_posix()}: {each.lines}" for each in tree.long_modules))


def section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"\n{title}"
    yield from (f"  {line}" for line in lines)


def short(name: str) -> str:
    return name.removeprefix(f"{PACKAGE}.")


def main() -> int:
    tree = read_tree()
    print("\n".join([*table(tree), "", *packages_table(tree), *details(tree)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
