"""Check that each pure module is fully covered, branches too, by its own tests alone.

A module that is covered only by its neighbours' tests can break without its own tests noticing. Each pair runs in its
own process: fold/text.py with tests/fold/test_text.py, and test_text_*.py if that is divided. An `__init__` is left
out: it has no logic. `make check` runs this. For some modules alone:
`python -m tests.architecture.coverage_by_own_file fold/text.py`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.architecture.tree import PACKAGE, ROOT, SOURCE, read_modules

LIMIT_SECONDS = 300
SHOWN_LINES = 30


@dataclass(frozen=True)
class Verdict:
    """The result for one pair: nothing is missed if `fault` is empty."""

    fault: str
    output: str
    seconds: float


def own_test(module: Path) -> Path:
    """The test file that mirrors a module, both from their roots: fold/text.py -> fold/test_text.py."""
    return module.with_name(f"test_{module.name}")


def own_tests(test: Path) -> list[Path]:
    """The files of a module's own tests: test_text.py, and test_text_*.py if it is divided."""
    return [*test.parent.glob(test.name), *sorted(test.parent.glob(f"{test.stem}_*.py"))]


def judge_pair(module: Path, test: Path, folder: Path) -> Verdict:
    """Run a module's own tests in `folder`, looking at that module only."""
    begun = time.monotonic()
    tests = own_tests(test)
    if not tests:
        return Verdict(f"no test file {os.path.relpath(test, folder)}", "", 0.0)
    try:
        return Verdict(*run_pair(module, tests, folder), time.monotonic() - begun)
    except subprocess.TimeoutExpired:
        return Verdict(f"still running after {LIMIT_SECONDS} s", time.monotonic() - begun)


def run_pair(module: Path, tests: Sequence[Path], folder: Path) -> tuple[str, str]:
    """The fault, and what the tests printed where they failed."""
    with tempfile.TemporaryDirectory() as scratch:
        data = f"--data-file={scratch}/data"
        run = ["run", "--branch", data, f"--include={module}", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = coverage([*run, *map(str, tests)], folder)
        if done.returncode:
            return "its own tests fail", done.stdout + done.stderr
        report = coverage(["json", data, "--quiet", "-o", f"{scratch}/report.json"], folder)
        if report.returncode:
            return "never imported by its own tests", ""
        [found] = json.loads(Path(scratch, "report.json").read_text("utf-8"))["files"].values()
    return what_is_missed(found), ""


def coverage(arguments: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"STREAMFOLD_HYPOTHESIS": "cover", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
    )


def what_is_missed(found: dict[str, Any]) -> str:
    """Lines, then branches as from->to, where -1 and the like stand for leaving the function."""
    lines = ", ".join(str(line) for line in found["missing_lines"])
    branches = ", ".join(f"{start}->{end}" for start, end in found["missing_branches"])
    return "; ".join([*([f"lines {lines}"] if lines else []), *([f"branches {branches}"] if branches else [])])


def main(wanted: Sequence[str]) -> int:
    pure = [module.path for module in read_modules().values() if module.is_pure and not module.is_init]
    modules = [path for path in pure if not wanted or path.as_posix() in wanted]
    if unknown := set(wanted) - {path.as_posix() for path in pure}:
        sys.exit(f"no pure module {', '.join(sorted(unknown))} in {os.path.relpath(SOURCE / PACKAGE, ROOT)}")

    begun = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = pool.map(
            lambda path: judge_pair(SOURCE / PACKAGE / path, ROOT / "tests" / own_test(path), ROOT), modules
        )
        bad = 0
        for path, verdict in zip(modules, verdicts, strict=True):
            bad += bool(verdict.fault)
            print(f"{path.as_posix():28} {verdict.seconds:5.1f} s  {verdict.fault or '100 %'}", flush=True)
            for line in verdict.output.splitlines()[-SHOWN_LINES:]:
                print(f"    {line}")
    print(f"{len(modules) - bad} of {len(modules)} pure modules covered by their own tests", end=", ")
    print(f"{time.monotonic() - begun:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
