"""The pages of the documentation, read as text: code blocks, links and headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

FENCE = re.compile(r"^( *)(```+)(.*)$")
HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)?$")
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True)
class Block:
    """One fenced block. line: that of its first line of text."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        return list(read_blocks(self.text))

    @cached_property
    def prose(self) -> str:
        """The text without its blocks."""
        return "\n".join(read_prose(self.text))

    @property
    def links(self) -> list[str]:
        """The targets of the links, as written."""
        return LINK.findall(CODE.sub("", self.prose))

    @property
    def anchors(self) -> set[str]:
        headings = (HEADING.match(line) for line in self.prose.splitlines())
        return {slug(heading[1]) for heading in headings if heading}


def read_blocks(text: str) -> Iterator[Block]:
    fence, indent, language, first = "", 0, "", 0
    held: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if not fence and mark:
            fence, indent, language, first = mark[2], len(mark[1]), mark[3].strip(), number + 1
            held = []
        elif fence and mark and mark[2] == fence and not mark[3].strip():
            yield Block(language, "".join(f"{one}\n" for one in held), first)
            fence = ""
        elif fence:
            held.append(line[indent:])


def read_prose(text: str) -> Iterator[str]:
    fence = ""
    for line in text.splitlines():
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark[2]
        elif mark and mark[2] == fence:
            fence = ""
        elif not fence:
            yield line


def slug(heading: str) -> str:
    """The anchor that mkdocs gives to a heading."""
    plain = re.sub(r"[^\w\s-]", "", heading).strip().lower()
    return re.sub(r"[-\s]+", "-", plain)


def all_pages() -> list[Page]:
    return [Page(ROOT / "README.md"), *(Page(path) for path in sorted(DOCS.rglob("*.md")))]


def pages_that_run() -> list[Page]:
    """README, tutorial and how-to: every Python block in them is run."""
    folders = {"tutorial", "how-to"}
    return [page for page in all_pages() if page.path.parent == ROOT or page.path.parent.name in folders]
