"""docs/reference/bodies.md lists every item, part and annotation with its fields, made from the code.

`python -m tests.docs.test_bodies_page` writes the tables anew.
"""

import inspect
from typing import get_args

from msgspec.structs import fields

from streamfold.schema.batch import Batch, BatchStatus
from streamfold.schema.item import Annotation, Item, Part
from tests.docs.pages import DOCS

PAGE = DOCS / "reference" / "bodies.md"
BEGIN, END = "<!-- made by tests/docs/test_bodies_page.py -->", "<!-- end of what is made -->"
TABLES = {"Items": Item, "Parts": Part, "Annotations": Annotation}


def test_the_page_lists_every_type_with_its_fields() -> None:
    text = PAGE.read_text("utf-8")
    assert made(text) == text, "run: python -m tests.docs.test_bodies_page"


def test_the_page_lists_every_field_and_status_of_a_batch() -> None:
    text = PAGE.read_text("utf-8")
    wanted = {field.name for field in fields(Batch)} | {status.value for status in BatchStatus}
    assert [word for word in sorted(wanted) if f"`{word}`" not in text] == []


def made(text: str) -> str:
    """The page with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    tables = "\n\n".join(table(heading, get_args(union)) for heading, union in TABLES.items())
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.partition(END)[2]}"


def table(heading: str, kinds: tuple[type, ...]) -> str:
    rows = [f"## {heading}", "", "| wire name | class | fields | what it is |", "|---|---|---|---|"]
    return "\n".join([*rows, *map(row, kinds)])


def row(kind: type) -> str:
    own = [field.name for field in fields(kind) if field.name not in {"id", "status"}]
    cells = [f"`{kind.__struct_config__.tag}`", f"`{kind.__name__}`", ", ".join(f"`{name}`" for name in own)]
    return f"| {' | '.join([*cells, inspect.getdoc(kind) or ''])} |"


if __name__ == "__main__":
    PAGE.write_text(made(PAGE.read_text("utf-8")), "utf-8")
