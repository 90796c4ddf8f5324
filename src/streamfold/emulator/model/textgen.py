"""What the toy model says: sentences, tokens of a given text, ids, and values that fit a JSON schema.

One token is one word or one mark, with the space before it. The text reads as sentences, and now and then holds what
JSON must escape or UTF-8 spells in several bytes, so that a stream cut anywhere is also cut in such places.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from streamfold.serving import is_list, is_object

SUBJECTS = tuple(
    """the stream|every event|the reader|a slow client|the gateway|one answer|the log|a number|the cursor|a second reader
    |the relay|no byte|the first frame|an open connection|the state|a café in Zürich|the river 東京|Привет|the 🌍
    """.replace("\n", "").split("|")
)
VERBS = "keeps waits follows ends returns carries counts remembers resumes finds writes reads holds grows".split()
REST = tuple(
    """what was sent before|the same place again|until the last event|without a gap|after the connection dropped
    |“so” it seems|"quoted" as it came|one number at a time|all that is known|in C:\\dir or /srv|with `code` in it
    |and nothing twice|1,024 times a day|from where it stopped|while others sleep|as naïve as it looks
    """.replace("\n", "").split("|")
)

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")


def tokens_of(text: str) -> list[str]:
    """The tokens of a text; joined, they are the text."""
    return _TOKEN.findall(text)


def token_stream(text: str) -> Iterator[str]:
    """The same, one by one: a list of the tokens of a long text takes many times its size."""
    return (found[0] for found in _TOKEN.finditer(text))


def count_tokens(text: str, most: float = math.inf) -> int:
    """How many tokens a text has; `most` if it has more."""
    count = 0
    for _ in _TOKEN.finditer(text):
        count += 1
        if count >= most:
            break
    return count


_OPENINGS = [tokens_of(" " + subject.strip()) for subject in SUBJECTS]
_MIDDLES = [tokens_of(" " + verb) for verb in VERBS]
_ENDINGS = [tokens_of(" " + rest.strip()) for rest in REST]
SENTENCES_IN_A_PARAGRAPH = 7


def sentences(random: Random) -> Iterator[str]:
    """An endless stream of tokens: sentences, in paragraphs."""
    choose: Callable[[list[list[str]]], list[str]] = random.choice
    number = 0
    while True:
        number += 1
        first, *more = choose(_OPENINGS)
        first = first[1:] if number % SENTENCES_IN_A_PARAGRAPH == 1 else first
        yield first[:1] + first[1:2].upper() + first[2:] if first[0] == " " else first[0].upper() + first[1:]
        yield from more
        yield from choose(_MIDDLES)
        yield from choose(_ENDINGS)
        yield ".\n\n" if number % SENTENCES_IN_A_PARAGRAPH == 0 else "."


def counting(last: int) -> Iterator[str]:
    """`1, 2, 3` up to the last: a number and its comma are one token."""
    for number in range(1, last):
        yield f"{number}, "
    yield str(last)


def identifier(random: Random, prefix: str) -> str:
    """An id as the API gives them: `msg_` and 48 hexadecimal digits."""
    return f"{prefix}_{random.getrandbits(192):048x}"


MAX_DEPTH = 6  # a schema may refer to itself


def example(schema: Any, random: Random, depth: int = 0) -> Any:
    """A value that fits a JSON schema of the usual kind, with words for strings; null where the schema does not say.

    Never raises, whatever the schema holds.
    """
    if not is_object(schema) or depth > MAX_DEPTH:
        return None
    if "const" in schema:
        return schema["const"]
    if choices := _list(schema, "enum"):
        return choices[0]
    if choices := _list(schema, "anyOf") or _list(schema, "oneOf"):
        return example(choices[0], random, depth + 1)
    kind: Any = schema.get("type", "object" if "properties" in schema else None)
    return _of_type(kind[0] if is_list(kind) and kind else kind, schema, random, depth)


def _list(schema: Mapping[str, Any], name: str) -> list[Any]:
    value = schema.get(name)
    return value if is_list(value) else []


def _of_type(kind: Any, schema: Mapping[str, Any], random: Random, depth: int) -> Any:
    match kind:
        case "object":
            known = schema.get("properties")
            return {name: example(each, random, depth + 1) for name, each in known.items()} if is_object(known) else {}
        case "array":
            return [example(schema.get("items"), random, depth + 1)]
        case "string":
            return "".join(random.choice(_OPENINGS) + random.choice(_ENDINGS)).strip()
        case "integer" | "number":
            low = schema.get("minimum")
            return (math.ceil(low) if isinstance(low, int | float) else 0) + random.randrange(1, 10)
        case "boolean":
            return True
        case _:
            return None
