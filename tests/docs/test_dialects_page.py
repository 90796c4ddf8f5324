"""docs/reference/dialects.md holds the values of the three dialects, made from the code.

`python -m tests.docs.test_dialects_page` writes the table anew.
"""

from enum import Enum

from msgspec.structs import fields

from streamfold.schema.dialect import DIALECTS
from tests.docs.pages import DOCS

PAGE = DOCS / "reference" / "dialects.md"
BEGIN, END = "<!-- made by tests/docs/test_dialects_page.py -->", "<!-- end of what is made -->"


def test_the_page_holds_every_value() -> None:
    text = PAGE.read_text("utf-8")
    assert made(text) == text, "run: python -m tests.docs.test_dialects_page"


def made(text: str) -> str:
    """The page with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{differences()}\n\n{END}{rest.partition(END)[2]}"


def table() -> str:
    dialects = list(DIALECTS.values())
    rows = ["| value | " + " | ".join(f"`{name}`" for name in DIALECTS) + " |", "|---" * (len(dialects) + 1) + "|"]
    for name in names():
        values = [getattr(dialect, name) for dialect in dialects]
        if not any(isinstance(value, frozenset) for value in values):
            rows.append(f"| `{name}` | " + " | ".join(map(shown, values)) + " |")
    return "\n".join(rows)


def differences() -> str:
    """The sets, each as what all dialects share and what each has beside that."""
    lines = ["| set | in all three | and beside these |", "|---|---|---|"]
    for name in names():
        sets = {dialect.name: getattr(dialect, name) for dialect in DIALECTS.values()}
        if all(isinstance(value, frozenset) for value in sets.values()):
            shared = frozenset.intersection(*sets.values())
            own = [f"`{key}`: {listed(value - shared)}" for key, value in sets.items() if value - shared]
            lines.append(f"| `{name}` | {listed(shared)} | {'<br>'.join(own)} |")
    return "\n".join(lines)


def names() -> list[str]:
    return [field.name for field in fields(type(next(iter(DIALECTS.values())))) if field.name != "name"]


def listed(words: frozenset[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words))


def shown(value: object) -> str:
    match value:
        case None:
            return "not stated"
        case bool():
            return "yes" if value else "no"
        case Enum():
            return f"`{value.value}`"
        case str():
            return f"`{value}`"
        case tuple():
            return " to ".join(map(str, value))
        case _:
            return str(value)


if __name__ == "__main__":
    PAGE.write_text(made(PAGE.read_text("utf-8")), "utf-8")
