"""Write what the last run found into docs/reference/servers.md: `python -m tests.servers.page`.

Only a run in which every case passed can be written.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.servers.installs import CACHE, INSTALLS, ROOT
from tests.servers.table import CUTS, FOREGROUND_CUTS, SERVERS, Server

RESULTS = CACHE / "results.json"
PAGE = ROOT / "docs" / "reference" / "servers.md"
BETWEEN = re.compile(r"(?<=<!-- from here on made by tests/servers/page.py -->\n).*(?=<!-- up to here -->)", re.DOTALL)

# The rows, and the cases that each of them stands for.
ROWS: Mapping[str, Sequence[str]] = {
    "create": ["create"],
    "stream": ["stream"],
    "stream, background": ["background"],
    "cut": FOREGROUND_CUTS,
    "cut, background": CUTS,
    "cancel in the middle": ["cancel-foreground"],
    "cancel in the middle, background": ["cancel"],
    "cancel after the end": ["cancel-after-end"],
    "killed while recording, then resumed": ["kill-foreground"],
    "killed while recording, then resumed, background": ["kill"],
    "the server killed and started again, background": ["crash"],
}


class Incomplete(Exception):
    """The last run did not pass every case; the message names those that are missing."""


def render(found: Mapping[str, Any]) -> str:
    """The tables of a run.

    Raises:
        Incomplete: A case is missing.
    """
    outcomes = found["outcomes"]
    if missing := sorted(
        f"{server.name}-{case}"
        for server in SERVERS
        for case in server.cases
        if case not in outcomes.get(server.name, {})
    ):
        raise Incomplete(f"the last run did not pass {', '.join(missing)}: run `make test-servers` again")
    lines = [
        f"\nRun on {found['date']}.\n",
        *table(["server", "release", "background", "GET", "resume", "cancel"], map(_support, SERVERS)),
        "",
        *(f"- **{server.name}**: {server.note}" for server in SERVERS),
        "",
        *table(["", *(server.name for server in SERVERS)], _rows(outcomes)),
    ]
    return "\n".join(lines) + "\n\n"


def _support(server: Server) -> list[str]:
    can = server.support
    words = ["yes" if each else "no" for each in (can.retrieves, can.resumes, can.cancels)]
    return [server.name, " ".join(f"`{each}`" for each in INSTALLS[server.install].packages), can.background, *words]


def _rows(outcomes: Mapping[str, Mapping[str, str]]) -> Iterator[list[str]]:
    for row, cases in ROWS.items():
        yield [
            row,
            *(_cell([outcomes[server.name][case] for case in cases if case in server.outcomes]) for server in SERVERS),
        ]


def _cell(words: list[str]) -> str:
    if not words:
        return "–"
    times = f"{len(words)} × " if len(words) > 1 else ""
    return " or ".join(f"{times}{each}" for each in sorted(set(words)))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table in Markdown."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def main() -> int:
    try:
        text = render(json.loads(RESULTS.read_text("utf-8")))
    except (FileNotFoundError, Incomplete) as error:
        print(error, file=sys.stderr)
        return 1
    page = PAGE.read_text("utf-8")
    PAGE.write_text(BETWEEN.sub(lambda _: text, page), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
