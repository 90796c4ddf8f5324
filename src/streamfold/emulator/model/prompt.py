"""What a request asks the toy model to do: read from its tools, its reasoning, its text format, and words in its input.

Only the last message of the user is searched, in any case, and only its first 65,536 characters. Each word must stand
alone: `fail` in "please fail now", not in "failure". docs/reference/emulator.md has the table of words.
"""

import re
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from streamfold.emulator.model.textgen import count_tokens
from streamfold.serving import CreateRequest, Fields, is_list, is_object

LONG_TOKENS = 4000
SHORT_TOKENS = 40
MAX_TOKENS = 10_000_000
TOKENS_OF = {"token": 1, "word": 1, "sentence": 12, "line": 12, "paragraph": 80, "page": 500}

SEARCHED_CHARACTERS = 65_536
COUNTED_CHARACTERS = 65_536  # a longer text is taken to have a token for each four

# It begins where digits begin, and gives nothing back: "1,1,1,..." of any length is read once, not once from each digit.
_NUMBER = r"(?<![\d,_])(\d[\d,_]*+)"
_LENGTH = re.compile(rf"{_NUMBER}[ -]?(token|word|sentence|line|paragraph|page)s?\b", re.IGNORECASE)
_COUNT = re.compile(rf"\bcount\b[^.\n]{{0,40}}?\bto {_NUMBER}", re.IGNORECASE)
_LONG = re.compile(
    r"\b(?:long|longer|longest|lengthy|detailed|exhaustive|essay|story|novel|book|thousands?)\b", re.IGNORECASE
)
_ECHO = re.compile(r"\b(?:echo|repeat)[: ](?=.)", re.IGNORECASE | re.DOTALL)
_CAPITAL = re.compile(r"\bcapital of France\b", re.IGNORECASE)


@frozen(kw_only=True)
class Wish:
    """What the answer should be.

    says: the answer itself, if the input gives it; else it has `tokens` tokens. counts_to: the answer is the numbers up
    to here. is_failing: the response fails half way; has_error_event: an `error` event comes before that. is_filtered:
    it ends half way as incomplete, by the content filter. thinks: a reasoning item comes first. schema: what a JSON answer
    must fit; None for an answer in words.
    """

    says: str | None = None
    tokens: int = SHORT_TOKENS
    counts_to: int | None = None
    has_citation: bool = False
    is_refused: bool = False
    is_failing: bool = False
    has_error_event: bool = False
    is_filtered: bool = False
    thinks: bool = False
    schema: Fields | None = None


def read_wish(request: CreateRequest) -> Wish:
    """What the request asks for."""
    text = user_text(request.input)
    prompt = text[:SEARCHED_CHARACTERS]
    has_error_event = has_words(prompt, "error event")
    return Wish(
        says=_what_to_say(text, prompt),
        tokens=_how_many(prompt),
        counts_to=_number(_COUNT.search(prompt)),
        has_citation=has_words(prompt, "cite"),
        is_refused=has_words(prompt, "refuse"),
        is_failing=has_error_event or has_words(prompt, "fail"),
        has_error_event=has_error_event,
        is_filtered=has_words(prompt, "filter"),
        thinks=has_words(prompt, "think") or _has_effort(request.fields.get("reasoning")),
        schema=_schema(request.fields.get("text")),
    )


def input_tokens(request: CreateRequest) -> int:
    """How many tokens the request holds, in its instructions and all texts of its input."""
    instructions = request.fields.get("instructions")
    texts = [instructions] if isinstance(instructions, str) else []
    texts += [request.input] if isinstance(request.input, str) else list(_texts(request.input))
    return 8 + sum(  # 8 for the framing
        count_tokens(text) if len(text) <= COUNTED_CHARACTERS else len(text) // 4 for text in texts
    )


def user_text(given: str | list[Any] | None) -> str:
    """The text of the last user message: all its text parts, joined."""
    if not isinstance(given, list):
        return given or ""
    for item in reversed(given):
        if item.get("role") == "user":
            return "".join(_texts(item.get("content")))
    return ""


def has_words(prompt: str, words: str) -> bool:
    return re.search(rf"\b{words}\b", prompt, re.IGNORECASE) is not None


def _texts(node: Any) -> Iterator[str]:
    """Every text in the content of items: plain, as the `text` of a part, or as a tool's output."""
    if isinstance(node, str):
        yield node
    elif is_list(node):
        for each in node:
            yield from _texts(each)
    elif is_object(node):
        for name in ("content", "text", "output", "arguments"):
            yield from _texts(node.get(name))


def _what_to_say(text: str, prompt: str) -> str | None:
    if found := _ECHO.search(prompt):
        return text[found.end() :].strip()
    is_asked = _CAPITAL.search(prompt) and _how_many(prompt) == SHORT_TOKENS
    return "The capital of France is Paris." if is_asked else None


def _how_many(prompt: str) -> int:
    if found := _LENGTH.search(prompt):
        return min((_number(found) or 1) * TOKENS_OF[found[2].lower()], MAX_TOKENS)
    return LONG_TOKENS if _LONG.search(prompt) else SHORT_TOKENS


def _number(found: re.Match[str] | None) -> int | None:
    """The number that was found, between 1 and the longest answer."""
    if found is None:
        return None
    digits = re.sub("[,_]", "", found[1])
    return max(1, min(int(digits[:20]), MAX_TOKENS))


def _has_effort(reasoning: Any) -> bool:
    known: Fields = reasoning or {}
    return known.get("effort", "none") not in ("none", None) or known.get("summary") is not None


def _schema(text: Any) -> Fields | None:
    form: Any = text.get("format") if is_object(text) else None
    if not is_object(form) or form.get("type") not in ("json_object", "json_schema"):
        return None
    schema: Fields = form.get("schema", ANY_OBJECT)
    return schema


ANY_OBJECT: Fields = {"type": "object", "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}}}
