"""Write src/streamfold/schema/create_params.py from the rules: `python -m tests.schema.create_params`.

The type of a parameter is found by asking its rule which values it accepts. A test compares the file with what this
script would write, so change the rules, then run it.
"""

from pathlib import Path
from typing import Any

from streamfold.schema.dialect import DIALECTS
from streamfold.schema.parameter import MKA1_ONLY, OPENAI_ONLY, SHARED, Rule, create_rules

TARGET = Path(__file__).resolve().parents[2] / "src/streamfold/schema/create_params.py"

# Set by the call itself: `create` or `stream` for the one, the `extra_body` of every call for the other.
LEFT_OUT = {"stream", "extra_body"}

WORD = "https://example.com"  # a string that every rule for strings accepts
OBJECT = {"type": WORD, "id": WORD, "model": WORD, "name": WORD, "compact_threshold": 1000}
SAMPLES: list[tuple[str, Any]] = [
    ("bool", True),
    ("float", 0.5),
    ("int", 1),
    ("str", WORD),
    ("Sequence[str]", [WORD]),
    ("Sequence[Mapping[str, Any]]", [OBJECT]),
    ("Mapping[str, Any]", OBJECT),
    ("Mapping[str, str]", {"key": WORD}),
]

HEADER = '''"""The parameters of a create as a TypedDict, for `**parameters: Unpack[CreateParams]`.

Generated from the rules in `parameter.py` by `python -m tests.schema.create_params`; do not edit. Strings are plain
`str` where the API has a list of names, so that a value newer than this version type-checks. `stream` and MKA1's own
`extra_body` are missing: the call sets the first, and its argument `extra_body` can carry the second.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


class CreateParams(TypedDict, total=False):
    """Every parameter of a create in every dialect. None is the same as leaving a parameter out."""
'''


def annotation(rule: Rule) -> str:
    """The type of the values that a rule accepts, None included."""
    kinds = [kind for kind, value in SAMPLES if rule(value, False) is None]
    if "float" in kinds:
        kinds.remove("int")  # to a type checker an int is a float
    if "Mapping[str, Any]" in kinds and "Mapping[str, str]" in kinds:
        kinds.remove("Mapping[str, str]")
    return " | ".join([*kinds, "None"])


def text() -> str:
    """The whole module."""
    lines = [HEADER]
    written: set[str] = set(LEFT_OUT)
    limits = create_rules(DIALECTS["mka1"])
    shared = {**SHARED, **{name: limits[name] for name in ("max_output_tokens", "max_tool_calls")}}
    for title, rules in [("Every dialect", shared), ("MKA1", MKA1_ONLY), ("OpenAI", OPENAI_ONLY)]:
        lines.append(f"    # {title}")
        lines += [f"    {name}: {annotation(rule)}" for name, rule in rules.items() if name not in written]
        written |= rules.keys()
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
