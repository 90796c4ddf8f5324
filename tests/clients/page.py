"""Write what the last run found into docs/reference/clients.md and README.md: `python -m tests.clients.page`.

Only a run in which every case passed can be written.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping

from tests.clients.codex import TURNS
from tests.clients.installs import INSTALLS
from tests.clients.judge import Verdict
from tests.clients.results import Results
from tests.clients.table import CLIENTS, FAULTS, WAYS, Client, Way
from tests.servers.installs import ROOT
from tests.servers.page import Incomplete, table

PAGE = ROOT / "docs" / "reference" / "clients.md"
README = ROOT / "README.md"
BETWEEN = re.compile(r"(?<=<!-- from here on made by tests/clients/page.py -->\n).*(?=<!-- up to here -->)", re.DOTALL)


def render(found: Results) -> str:
    """The tables of a run, for the page.

    Raises:
        Incomplete: A case is missing.
    """
    _check(found)
    lines = [f"\nRun on {found.date}.\n", *table(["client", "release"], map(_release, CLIENTS)), ""]
    for way in WAYS:
        lines += [f"### {way.title}\n", way.note + "\n", *_cells(found, way), ""]
    lines += ["### Codex CLI\n", *_turns(found)]
    return "\n".join(lines) + "\n\n"


def render_summary(found: Results) -> str:
    """The table for the README: how many clients have the whole answer, by fault.

    Raises:
        Incomplete: A case is missing.
    """
    _check(found)
    ways = [way for way in WAYS if way.faults == tuple(FAULTS)]
    head = [f"{len(CLIENTS)} clients", *(way.title.lower() for way in ways)]
    rows = ([fault, *(_count(found, way, fault) for way in ways)] for fault in FAULTS if fault != "none")
    return "\n".join(["", *table(head, rows)]) + "\n\n"


def _check(found: Results) -> None:
    outcomes = found.outcomes
    missing = [
        f"{way.name}-{client.name}-{fault}"
        for way in WAYS
        for client in way.clients
        for fault in way.faults
        if fault not in outcomes.get(way.name, {}).get(client.name, {})
    ]
    missing += [f"codex-{turn.name}" for turn in TURNS if turn.name not in found.codex]
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise Incomplete(f"the last run did not pass {shown}: run `make test-clients` again")


def _release(client: Client) -> list[str]:
    packages = INSTALLS[client.install].packages if client.install else ("the machine's own",)
    named = [each for each in packages if not client.packages or each.rpartition("@")[0] in client.packages]
    return [client.name, " ".join(f"`{each}`" if client.install else each for each in named)]


def _cells(found: Results, way: Way) -> Iterator[str]:
    outcomes = found.outcomes[way.name]
    rows = ([client.name, *(outcomes[client.name][fault] for fault in way.faults)] for client in way.clients)
    yield from table(["", *way.faults], rows)


def _count(found: Results, way: Way, fault: str) -> str:
    """How many of the clients have what, the best first."""
    outcomes = found.outcomes[way.name]
    counts = Counter(outcomes[client.name][fault].partition(",")[0] for client in way.clients)
    return ", ".join(f"{counts[verdict]} × {verdict}" for verdict in Verdict if counts[verdict])


def _turns(found: Results) -> Iterator[str]:
    rows = ([turn.title, str(turn.cuts), found.codex[turn.name]] for turn in TURNS)
    yield from table(["", "connections cut", "outcome"], rows)


def aligned(outcomes: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The outcomes of one way as lines for a terminal; a case that was not run is left empty."""
    faults = [fault for fault in FAULTS if any(fault in each for each in outcomes.values())]
    rows = [["", *faults], *([name, *(each.get(fault, "") for fault in faults)] for name, each in outcomes.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def main() -> int:
    try:
        found = Results.read()
        made = {PAGE: render(found), README: render_summary(found)}
    except Incomplete as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in made.items():
        before, after = BETWEEN.split(path.read_text("utf-8"))
        path.write_text(before + text + after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
