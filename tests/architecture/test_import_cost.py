"""`import streamfold` loads the pure core: no HTTP client, no database, no event loop.

The HTTP client alone takes twice as long to load as the decoder, and a program that folds bytes never needs it.
"""

import subprocess
import sys

import pytest

COSTLY = {
    "anyio", "asyncio", "cyclopts", "httpx", "httpx2", "httpx_sse", "openai", "rich", "socket", "sqlite3", "ssl",
}  # fmt: skip
LIST_MODULES = "import sys; print('\\n'.join(sys.modules))"


def loaded_by(statement: str) -> tuple[set[str], set[str]]:
    """What a new interpreter has loaded after `statement`: by its own table, and by its import log."""
    command = [sys.executable, "-X", "importtime", "-c", f"{statement}; {LIST_MODULES}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # A line of the log reads "import time:   self [us] | cumulative | name", the name indented by its depth.
    log = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    return set(done.stdout.split()), log


def costly_among(modules: set[str]) -> set[str]:
    return {name for name in modules if name.split(".")[0] in COSTLY}


def test_importing_the_package_loads_nothing_costly() -> None:
    table, log = loaded_by("import streamfold")
    assert "streamfold" in table & log
    assert costly_among(table | log) == set()


@pytest.mark.parametrize("name", ["sqlite3", "asyncio", "socket"])
def test_a_costly_import_is_seen_in_the_table_and_in_the_log(name: str) -> None:
    table, log = loaded_by(f"import {name}")
    assert name in costly_among(table) & costly_among(log)
