"""The outcomes of the cases that passed, in a file that later runs of the same day and the same releases add to."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from attrs import asdict, define, field

from tests.clients.installs import CACHE, INSTALLS

FILE = CACHE / "results.json"


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def releases() -> dict[str, list[str]]:
    return {name: list(each.packages) for name, each in INSTALLS.items()}


@define
class Results:
    """What a page is made of.

    Attributes:
        date: The day of the run.
        releases: The packages by environment.
        outcomes: By way, client and fault, in words.
        codex: By turn, in words.
    """

    date: str = field(factory=today)
    releases: dict[str, list[str]] = field(factory=releases)
    outcomes: dict[str, dict[str, dict[str, str]]] = field(factory=dict)
    codex: dict[str, str] = field(factory=dict)

    @classmethod
    def read(cls, path: Path = FILE) -> Self:
        """Those of the file; none if it is of another day or of other releases."""
        new = cls()
        if path.exists():
            kept = cls(**json.loads(path.read_text("utf-8")))
            if (kept.date, kept.releases) == (new.date, new.releases):
                return kept
        return new

    def write(self, path: Path = FILE) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2), "utf-8")

    def of(self, way: str, client: str) -> dict[str, str]:
        """The outcomes of one client, by fault; they can be changed."""
        return self.outcomes.setdefault(way, {}).setdefault(client, {})
