"""Find words that read as translated, and say what to write instead.

The table is STYLE §1's. It is applied to README, CONTRIBUTING, SECURITY, changelog.d and docs (prose only: code is
left out, and so are block quotes in decisions), and to the docstrings, comments and texts in src. To see what a file
has left, name it, or a folder: `python -m tests.docs.words src/streamfold/fold docs/how-to`.
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import FENCE, ROOT

CODE = "\x00"  # stands for each character that is not prose, so that no phrase runs across it


@dataclass(frozen=True)
class Word:
    """One row: what not to write, what to write instead, one sentence that breaks the rule and one that keeps it."""

    name: str
    pattern: re.Pattern[str]
    instead: str
    breaks: str
    passes: str


def word(name: str, pattern: str, instead: str, breaks: str, passes: str) -> Word:
    """A row of the table. A space in `pattern` also matches a line break."""
    return Word(name, re.compile(pattern.replace(" ", r"\s+")), instead, breaks, passes)


THING = r"(?:streams?|responses?|events?|records?|numbers?|frames?|cursor|last|first|newest|end|log|hole|gap)"
WORDS = [
    word(
        "behind (= after)",
        r"\b[Bb]ehind (?:which|whose|it|them|that|those|these|each|its|event|events|record|number|\d+|\x00|"
        rf"the (?:\x00|{THING}))",
        "after, that follows",
        "the text behind event 41",
        "the server runs behind a proxy, and the log may be 250 events behind",
    ),
    word("go on", r"\b(?:[Gg]o|goes|gone|went) on\b(?! top)", "continue, resume with", "it goes on from 41", "put on"),
    word(
        "is told, tells",
        r"\b(?:[Tt]old|[Tt]ells|is telling|[Ii]s said|are said|was said)\b",
        "is reported, reports, prints, says",
        "the reader is told the reason",
        "the two are hard to tell apart",
    ),
    word(
        "is none",
        r"(?<!here)(?<!\s)\s+(?:is|are|was|were) none\b",
        "is not a valid …; there is no …",
        "'gpt' is none",
        "there was none, and it has none",
    ),
    word(
        "is no X",
        r"(?<!here)(?<!hy)(?<!\s)\s+(?:is|are) no (?!longer|more|less|better|worse|such|different|later|earlier|\x00)\w+",
        "is not a …; there is no …",
        "an answer that is no success",
        "there is no answer, it is no longer open, and why is no field lost?",
    ),
    word("to be had", r"\b(?:to|can|could|may) be had\b", "is available", "once it is to be had", "it had to be read"),
    word(
        "came of, became of",
        r"\b(?:comes?|came|becomes?|became) of\b",
        "the result, the outcome",
        "What became of it",
        "it came from the log",
    ),
    word("whoever", r"\b[Ww]hoever\b", "if you …, a client that …", "Whoever waits is woken", "a client that waits"),
    word(
        "Who does X gets Y",
        r"(?:^|[.:;\x00\n])\s*Who (?:\w|,|\x00)[^.?!]*\.",
        "if you …, a client that …",
        "Who waits is woken.",
        "Who uses it?",
    ),
    word("mend", r"\b[Mm]end(?:s|ed|ings?)?\b", "repair (a stream), fix (a bug)", "a mended gap", "a recommended fix"),
    word(
        "dear (= expensive)", r"\b[Dd]ear(?:er|est|ly)?\b", "too slow, too expensive", "that is too dear", "a deadline"
    ),
    word(
        "made stream",
        r"\bmade (?:streams?|responses?|events?)\b",
        "generated stream, created response",
        "a made stream",
        "the client made a stream",
    ),
    word(
        "leave alone, it is left",
        r"\b(?:leaves?|left|leaving) (?:(?:it|them|the \w+|that|this) )?alone\b|"
        r"\b(?:it|response|stream) (?:is|was) left\b(?! (?:out|empty|over|open|as|in|to|un\w+))",
        "disconnect; does not change",
        "the response is left, and the rest is left alone",
        "what is left in the buffer",
    ),
    word("door", r"\b[Dd]oors?\b", "the public API, `__init__`", "the door of the package", "indoor"),
    word(
        "house, room",
        r"\b(?:[Tt]he|[Oo]ur|[Tt]his) house\b|(?<!no\s)\b[Rr]ooms?\b(?! (?:for|to)\b)",
        "the package, the package layout, a subpackage",
        "each room of the house",
        "there is room for one more",
    ),
    word("heed", r"\b[Hh]eed(?:s|ed|ing)?\b", "watch, handle", "it heeds a cancel", "it needs a cancel"),
    word("deed", r"\b[Dd]eeds?\b", "action", "each deed of the caller", "it is indeed done"),
    word("upset", r"\b[Uu]psets?\b", "failure", "an upset of the gateway", "a set-up"),
    word("conduct", r"\b[Cc]onduct(?:s|ed)?\b", "run, rules", "the conduct of a client", "a conductor"),
    word("telling", r"\b[Tt]ellings?\b", "report, transcript", "the telling of a stream", "hard to tell"),
    word("glance", r"\b[Gg]lanc(?:e|es|ed|ing)\b", "peek, head", "a glance at the Response", "a balance"),
    word(
        "shell (= empty object)",
        r"\b(?:empty|bare) shells?\b|\bshells? (?:of|that was|for) (?:an?|the|each|its) (?:\w+ )?(?:item|part|response)s?\b|"
        r"\b(?:item|part)'?s? shells?\b|\bthe shell of (?:an? )?(?:item|part)s?\b",
        "placeholder",
        "the shell of an item",
        "a shell command, and the items of a shell call",
    ),
    word(
        "draw (= pick at random)",
        r"\b(?:[Dd]rawn?|draws|drew) (?:at|by) (?:random|chance)\b|\b[Dd]rawn? from\b|\bdraws? (?:no )?(?:chance|random)",
        "generate, pick",
        "a script drawn from a seed",
        "the picture is drawn ten times a second",
    ),
    word(
        "chance (= randomness)",
        r"\b[Bb]y chance\b|\b(?:no|the|of) chance\b(?! (?:to|that|of)\b)",
        "randomness, `random`",
        "no clock and no chance",
        "the server has a chance to answer",
    ),
    word("one line for each", r"\bone line for each\b", "one line per event", "one line for each event", "a line each"),
    word("nothing to spare", r"\bnothing to spare\b", "barely meets", "met with nothing to spare", "a spare worker"),
]


@dataclass(frozen=True)
class Finding:
    """A word in a file: `str()` gives path:line, the words found, and what to write instead."""

    path: str
    line: int
    found: str
    word: Word

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r} ({self.word.name}): write {self.word.instead}"


def find_words(text: str, path: str = "") -> Iterator[Finding]:
    """The findings in prose, a text whose code is already masked."""
    for row in WORDS:
        for match in row.pattern.finditer(text):
            found = match[0].replace(CODE, "")
            begin = match.start() + len(match[0]) - len(match[0].lstrip())
            yield Finding(path, text.count("\n", 0, begin) + 1, " ".join(found.split())[:60], row)


def mask(match: re.Match[str]) -> str:
    """As many marks as there are characters; line ends stay, so that a line keeps its number."""
    return "".join("\n" if each == "\n" else CODE for each in match[0])


def markdown_prose(text: str, *, quotes: bool = True) -> str:
    """A page with its fenced blocks, code spans and link targets masked; block quotes too where quotes is false."""
    lines, fence = [], ""
    for line in text.splitlines():
        mark = FENCE.match(line)
        hidden = bool(fence or mark) or (not quotes and line.lstrip().startswith(">"))
        if mark and not fence:
            fence = mark[2]
        elif mark and mark[2] == fence:
            fence = ""
        lines.append(CODE * max(1, len(line)) if hidden else line)
    prose = "\n".join(lines)
    for code in (r"``[^`]+``|`[^`]+`", r"\]\([^()\s]+\)", r"<!--.*?-->|<[^<>\n]+>|https?://\S+"):
        prose = re.sub(code, mask, prose, flags=re.DOTALL)
    return re.sub(r"(?m)^[ \t]*(?:[-*>|#]+|\d+\.)[ \t]", lambda mark: " " * len(mark[0]), prose)


QUOTES = re.compile(r"\A[A-Za-z]{0,2}(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')\Z")
SKIPPED = {tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT}


def python_prose(text: str) -> str:
    """A module with all but its comments and texts masked. A text without a space is a name, and is masked too,
    unless it follows another text."""
    shown = [[CODE if each.strip() else each for each in line] for line in text.splitlines()]
    follows = False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "COMMENT":
            place(shown, token.start, re.sub(r"^#+", lambda hashes: " " * len(hashes[0]), token.string))
        elif kind in {"FSTRING_START", "FSTRING_END"}:  # from Python 3.12 on; before, an f-string is one STRING
            place(shown, token.start, " " * len(token.string))
        elif kind in {"STRING", "FSTRING_MIDDLE"} and (follows or " " in token.string or "\n" in token.string):
            place(shown, token.start, QUOTES.sub(lambda quotes: " " * len(quotes[0]), token.string))
        follows = "STRING" in kind or (follows and token.type in SKIPPED)
    prose = "\n".join("".join(line) for line in shown)
    return re.sub(r"``[^`\n]+``|`[^`\n]+`|\{[^{}\n]*\}|https?://\S+", mask, prose)


def place(shown: list[list[str]], start: tuple[int, int], text: str) -> None:
    """Write a text over the masked lines, from `start` on: a line counted from 1, a column from 0."""
    for offset, piece in enumerate(text.split("\n")):
        line, column = start[0] - 1 + offset, start[1] if not offset else 0
        shown[line][column : column + len(piece)] = piece


def read_prose(path: Path) -> str:
    text = path.read_text("utf-8")
    return python_prose(text) if path.suffix == ".py" else markdown_prose(text, quotes="decisions" not in path.parts)


def written_files() -> list[Path]:
    """Every file whose text a person reads."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
    return [*pages, *(ROOT / "changelog.d").glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]


def findings_in(paths: Iterable[Path]) -> dict[str, list[Finding]]:
    """What each file has, by its path from the root; a file that is clean is not in it."""
    found = {path: list(find_words(read_prose(ROOT / path), path)) for path in sorted(map(short, paths))}
    return {path: sorted(each, key=lambda one: one.line) for path, each in found.items() if each}


def short(path: Path) -> str:
    return path.resolve().relative_to(ROOT).as_posix()


def main(wanted: list[str]) -> int:
    folders = [Path(each).resolve() for each in wanted]
    paths = [path for path in written_files() if not wanted or any(path.is_relative_to(each) for each in folders)]
    found = findings_in(paths)
    for finding in (each for findings in found.values() for each in findings):
        print(finding)
    print(f"{len(paths) - len(found)} of {len(paths)} files are clean")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
