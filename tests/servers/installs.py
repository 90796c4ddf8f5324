"""The servers' own environments: which releases, where they are, and how they get there.

`python -m tests.servers.installs [NAME ...]` installs them without running anything.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".servers"  # ignored by git; delete it, or a folder in it, to install again


class CannotInstall(Exception):
    """There is no way to install a server here; the message says what is missing."""


@frozen
class Install:
    """One environment.

    packages: What is installed, with its release. python: The oldest Python it runs on. flags: Of the package manager.
    cache: The folder that it is in.
    """

    name: str
    packages: tuple[str, ...]
    python: tuple[int, int] = (3, 11)
    is_npm: bool = False
    flags: tuple[str, ...] = ()
    cache: Path = CACHE

    @property
    def folder(self) -> Path:
        return self.cache / self.name

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def _stamp(self) -> Path:
        return self.folder / ".installed"

    @property
    def is_installed(self) -> bool:
        return self._stamp.exists() and self._stamp.read_text("utf-8").split() == [*self.packages]

    def ensure(self) -> None:
        """Install it, unless these very releases are there.

        Raises:
            CannotInstall: Something that it needs is missing, or the package manager failed.
        """
        if self.is_installed:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self.is_npm:
            self._run(program("npm", for_=self.name), "install", "--no-audit", "--no-fund", *self.flags, *self.packages)
        else:
            self._run(python_from(self.python), "-m", "venv", str(self.folder))
            self._run(str(self.bin / "python"), "-m", "pip", "install", "--quiet", *self.flags, *self.packages)
        self._stamp.write_text("\n".join(self.packages), "utf-8")  # last, so that an interrupted install is repeated

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
            raise CannotInstall(f"cannot install {self.name}: `{' '.join(command)}` failed:\n{last}")


INSTALLS = {
    each.name: each
    for each in (
        Install("azure", ("azure-ai-agentserver-responses==2.3.0",)),
        Install("fastresponses", ("fastresponses==0.1.0",)),
        Install("aimock", ("@copilotkit/aimock@1.43.0",), is_npm=True),
        Install("litellm", ("litellm[proxy]==1.108.7",)),
        Install("ogx", ("ogx==1.5.0",), python=(3, 12)),
    )
}


def python_from(oldest: tuple[int, int]) -> str:
    """A Python that runs, is that old or newer, and can create an environment: the oldest such one."""
    for path in _pythons(oldest):
        check = f"import ensurepip, venv, sys; sys.exit(sys.version_info[:2] < {oldest!r})"
        if subprocess.run([path, "-c", check], capture_output=True, check=False).returncode == 0:
            return path
    version = ".".join(map(str, oldest))
    raise CannotInstall(f"there is no Python {version} or later here: install one, with its venv module")


def _pythons(oldest: tuple[int, int]) -> Iterator[str]:
    # A name on PATH may be a shim of pyenv that does not run.
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    for minor in range(oldest[1], 20):
        if found := shutil.which(f"python{oldest[0]}.{minor}"):
            yield found
        yield from map(str, sorted(versions.glob(f"{oldest[0]}.{minor}.*/bin/python")))
    yield sys.executable


def program(name: str, *, for_: str) -> str:
    if found := shutil.which(name):
        return found
    raise CannotInstall(f"{for_} needs {name}, which is not installed")


def install(installs: Mapping[str, Install], names: list[str]) -> int:
    """Install those environments, or all. Returns: how many could not be installed; their reasons go to stderr."""
    failures = 0
    for each in [installs[name] for name in names] or installs.values():
        print(f"{each.name}: {', '.join(each.packages)}", flush=True)
        try:
            each.ensure()
        except CannotInstall as error:
            print(error, file=sys.stderr)
            failures += 1
    return failures


if __name__ == "__main__":
    sys.exit(install(INSTALLS, sys.argv[1:]))
