"""The tables of docs/reference/events.md, made from the code.

In      streamfold.schema.event; what each type was seen in, from the corpus or from the page as it stands
Out     the page between its two marks

`python -m tests.docs.events_page` writes the page anew; it needs the corpus only for a type that the page lacks.
"""

import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import NODEFAULT
from msgspec.structs import fields

from streamfold.schema import EVENT_TYPES, KnownEvent
from streamfold.schema import event as wire
from tests.conftest import corpus_folder
from tests.docs.pages import DOCS

PAGE = DOCS / "reference" / "events.md"
BEGIN, END = "<!-- made by tests/docs/events_page.py -->", "<!-- end of what is made -->"
SECTION = re.compile(r"^# (.+)\n\n\n", re.MULTILINE)
ROW = re.compile(r"^\| `([\w.]+)` \|.*\| ([^|]*) \|$", re.MULTILINE)

SERVERS = {"mka1": "MKA1", "openai": "OpenAI", "openresponses": "Open Responses"}
# Types that no SDK and no schema lists: where they were seen instead.
OBSERVED = {
    "keepalive": "OpenAI's wire, on slow requests",
    "response.reasoning_part.added": "vLLM's tests",
    "response.reasoning_part.done": "vLLM's tests",
    "response.apply_patch_call_operation_diff.delta": "OpenAI's wire",
    "response.apply_patch_call_operation_diff.done": "OpenAI's wire",
}


def sections() -> dict[str, list[type[KnownEvent]]]:
    """The event types in the order of the source, under the headings of the source."""
    source = inspect.getsource(wire)
    headings = [(found.start(), found[1]) for found in SECTION.finditer(source)]
    found: dict[str, list[type[KnownEvent]]] = {}
    for kind in sorted(EVENT_TYPES.values(), key=lambda kind: place_of(kind, source)):
        heading = [name for start, name in headings if start < place_of(kind, source)][-1]
        found.setdefault(heading, []).append(kind)
    return found


def place_of(kind: type[KnownEvent], source: str) -> int:
    return source.index(f"\nclass {kind.__name__}(")


def row(kind: type[KnownEvent], seen_in: str) -> str:
    cells = [f"`{name_of(kind)}`", f"`{kind.__name__}`", fields_of(kind), inspect.getdoc(kind) or "", seen_in]
    return f"| {' | '.join(cells)} |"


def name_of(kind: type[KnownEvent]) -> str:
    return str(kind.__struct_config__.tag)


def fields_of(kind: type[KnownEvent]) -> str:
    """The fields but `sequence_number`, which all have; `?` follows one that may be absent."""
    named = [one for one in fields(kind) if one.name != "sequence_number"]
    is_optional = {one.name: one.default is not NODEFAULT or one.default_factory is not NODEFAULT for one in named}
    return ", ".join(f"`{name}`{'?' if optional else ''}" for name, optional in is_optional.items())


def tables(seen_in: Mapping[str, str]) -> str:
    parts: list[str] = []
    for heading, kinds in sections().items():
        rows = [row(kind, seen_in.get(name_of(kind), "")) for kind in kinds]
        head = ["| wire name | class | fields | in the fold | in |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"## {heading}", "", *head, *rows, ""]))
    return "\n".join(parts)


def seen_on_the_page(text: str) -> dict[str, str]:
    """What the last column of the page says, by wire name."""
    return dict(ROW.findall(text))


def seen_in_the_corpus(events: list[dict[str, Any]]) -> dict[str, str]:
    return {each["type"]: seen(each) for each in events}


def seen(event: dict[str, Any]) -> str:
    servers = ", ".join(SERVERS[name] for name in event["in"]) or OBSERVED[event["type"]]
    return servers if event["transport"] == "sse" else f"{servers}, on a WebSocket"


def made(text: str, seen_in: Mapping[str, str]) -> str:
    """The page with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{tables(seen_in)}\n{END}{rest.partition(END)[2]}"


def write(page: Path = PAGE) -> None:
    text = page.read_text("utf-8")
    listed = corpus_folder() / "protocol" / "events.json"
    seen_in = seen_on_the_page(text)
    if listed.exists():
        seen_in |= seen_in_the_corpus(json.loads(listed.read_text("utf-8")))
    page.write_text(made(text, seen_in), "utf-8")


if __name__ == "__main__":
    write()
