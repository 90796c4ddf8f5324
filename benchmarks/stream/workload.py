"""Generate streams of a chosen shape and size, as a server like OpenAI's sends them.

The same Shape always gives the same bytes: words, ids and padding come from `random.Random(seed)`. Key order, ids, padding,
the events and the place of the usage follow recorded streams. The mix of events is the same at every size (one reasoning
delta for ten of text, one of arguments for twenty, one annotation for 500), so that the cost of an event can be compared
between sizes.
"""

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from random import Random
from typing import Any, TypeAlias, TypeVar

from attrs import frozen
from msgspec.json import encode

__all__ = ["Shape", "cut", "make_stream", "payloads"]

Fields: TypeAlias = dict[str, Any]
_Ended = TypeVar("_Ended")
Events: TypeAlias = Generator[tuple[str, Fields], None, _Ended]

CREATED_AT = 1_765_552_659
DELTAS_PER_REASONING_PART = 20
DELTAS_PER_ARGUMENT_DELTA = 20
DELTAS_PER_ANNOTATION = 500
PADDING_BLOCK = 16  # a delta and its padding fill whole blocks, so that their length reveals nothing about the text
HEX = "0123456789abcdef"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

# What a delta says: a word in most, a mark in some, and now and then what JSON must escape or UTF-8 spells in bytes.
WORDS = tuple(
    """
    the of and to in is that for it as was with be by on not he this are or his from at which but have an had they you
    were there one all we can her has would what will more when who some could time them other than then now look only
    its over think also back after use two how our work first well way even new want because any these give most
    stream event river number answer question between measure carefully understanding consequently infrastructure
    """.split()
)
RARE = ("naïve", "Zürich", "東京", "Привет", "🌍", "“so”", '"quoted"', "C:\\dir", "`code`", "1,024", "𝔘nicode", "café")
MARKS = (",", ",", ".", ".", ".", ":", ";", "\n", "\n\n", "\n- ", " –", "?", "!")


@frozen
class Shape:
    """What a stream is like.

    deltas: how many output_text deltas it has. seed: chooses the words and ids. reasoning: whether a
    reasoning item with summary parts comes first. tools: whether a function call comes before the message.
    annotations: whether the text has citations. obfuscation: whether deltas are padded, as they are by default.
    logprobs: whether each text delta carries its token's. event_lines: whether frames name their event before the
    data. line_end: what ends a line, one of LF, CR LF, CR. done_marker: whether a frame `[DONE]` ends the stream.
    """

    deltas: int = 1000
    seed: int = 0
    reasoning: bool = True
    tools: bool = True
    annotations: bool = True
    obfuscation: bool = True
    logprobs: bool = False
    event_lines: bool = True
    line_end: bytes = b"\n"
    done_marker: bool = False


def make_stream(shape: Shape) -> list[bytes]:
    """The frames of one response, from `response.created` (number 0) to `response.completed`, with no number missing.

    The terminal event's Response is what folding the events before it gives.
    """
    frames = [
        _frame(kind.encode(), encode({"type": kind, "sequence_number": number, **fields}), shape)
        for number, (kind, fields) in enumerate(_events(shape))
    ]
    return [*frames, b"data: [DONE]" + 2 * shape.line_end] if shape.done_marker else frames


def payloads(frames: Iterable[bytes]) -> list[bytes]:
    """The data of each frame that `make_stream` made; `[DONE]` is left out."""
    data = [frame.partition(b"data: ")[2].rstrip(b"\r\n") for frame in frames]
    return [one for one in data if one != b"[DONE]"]


def cut(data: bytes, size: int) -> list[bytes]:
    """The bytes in chunks of `size`; the last one may be shorter."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def _frame(name: bytes, data: bytes, shape: Shape) -> bytes:
    lines = [b"event: " + name] if shape.event_lines else []
    return shape.line_end.join([*lines, b"data: " + data, b"", b""])


# Events: the name of each, and the fields that follow `type` and `sequence_number`. Each generator returns its item as it
# ends.


def _events(shape: Shape) -> Events[None]:
    random = Random(shape.seed)
    output: list[Fields] = []
    begun = _response(random, tools=shape.tools)
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    if shape.reasoning:
        output.append((yield from _reasoning(shape, random, {"output_index": len(output)})))
    if shape.tools:
        output.append((yield from _function_call(shape, random, {"output_index": len(output)})))
    output.append((yield from _message(shape, random, {"output_index": len(output)})))
    ended = {"status": "completed", "output": output, "service_tier": "default", "usage": _usage(shape)}
    yield "response.completed", {"response": begun | ended}


def _reasoning(shape: Shape, random: Random, at: Fields) -> Events[Fields]:
    item: Fields = {"id": _identifier(random, "rs"), "type": "reasoning", "summary": []}
    yield "response.output_item.added", at | {"item": item}
    summary: list[Fields] = []
    for index in range(2):
        where = {"item_id": item["id"], **at, "summary_index": index}
        part = {"type": "summary_text", "text": ""}
        yield "response.reasoning_summary_part.added", where | {"part": part}
        deltas = ["**", *islice(_words(random), 1 + shape.deltas // DELTAS_PER_REASONING_PART), "**"]
        for delta in deltas:
            yield "response.reasoning_summary_text.delta", where | {"delta": delta} | _padding(shape, random, delta)
        text = "".join(deltas)
        yield "response.reasoning_summary_text.done", where | {"text": text}
        yield "response.reasoning_summary_part.done", where | {"part": part | {"text": text}}
        summary.append(part | {"text": text})
    item = item | {"summary": summary}
    yield "response.output_item.done", at | {"item": item}
    return item


def _function_call(shape: Shape, random: Random, at: Fields) -> Events[Fields]:
    item: Fields = {"id": _identifier(random, "fc"), "type": "function_call", "status": "in_progress", "arguments": ""}
    item |= {"call_id": "call_" + "".join(random.choices(LETTERS, k=24)), "name": "search"}
    where = {"item_id": item["id"], **at}
    yield "response.output_item.added", at | {"item": item}
    query = islice(_words(random), 1 + shape.deltas // DELTAS_PER_ARGUMENT_DELTA)
    # A token of the JSON that the model writes; a word's own escapes are part of it.
    deltas = ['{"', "query", '":"', *(encode(word).decode()[1:-1] for word in query), '","', "limit", '":', "5", "}"]
    for delta in deltas:
        yield "response.function_call_arguments.delta", where | {"delta": delta} | _padding(shape, random, delta)
    arguments = "".join(deltas)
    yield "response.function_call_arguments.done", where | {"arguments": arguments}
    item = item | {"status": "completed", "arguments": arguments}
    yield "response.output_item.done", at | {"item": item}
    return item


def _message(shape: Shape, random: Random, at: Fields) -> Events[Fields]:
    item: Fields = {"id": _identifier(random, "msg"), "type": "message", "status": "in_progress"}
    item |= {"content": [], "role": "assistant"}
    where = {"item_id": item["id"], **at, "content_index": 0}
    part: Fields = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    yield "response.output_item.added", at | {"item": item}
    yield "response.content_part.added", where | {"part": part}
    part = part | (yield from _text(shape, random, where))
    yield "response.output_text.done", where | {"text": part["text"], "logprobs": part["logprobs"]}
    yield "response.content_part.done", where | {"part": part}
    item = item | {"status": "completed", "content": [part]}
    yield "response.output_item.done", at | {"item": item}
    return item


def _text(shape: Shape, random: Random, where: Fields) -> Events[Fields]:
    """The deltas of the message, with a citation now and then. Returns: what they make of the part."""
    text: list[str] = []
    length = 0
    annotations: list[Fields] = []
    logprobs: list[Fields] = []
    for number, delta in enumerate(islice(_words(random), shape.deltas), 1):
        token = [_token(random, delta)] if shape.logprobs else []
        fields = where | {"delta": delta, "logprobs": token} | _padding(shape, random, delta)
        yield "response.output_text.delta", fields
        text.append(delta)
        length += len(delta)
        logprobs += token
        if shape.annotations and (number % DELTAS_PER_ANNOTATION == 0 or number == shape.deltas):
            place = {"annotation_index": len(annotations)}
            annotations.append(_citation(random, end=length))
            yield "response.output_text.annotation.added", where | place | {"annotation": annotations[-1]}
    return {"text": "".join(text), "annotations": annotations, "logprobs": logprobs}


# Values


def _response(random: Random, *, tools: bool) -> Fields:
    return {
        "id": _identifier(random, "resp"),
        "object": "response",
        "created_at": CREATED_AT,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": "Answer in short sentences, and say where each fact is from.",
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "toy-1",
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": "high", "summary": "detailed"},
        "safety_identifier": None,
        "service_tier": "auto",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [SEARCH] if tools else [],
        "top_logprobs": 0,
        "top_p": 0.985,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


SEARCH: Fields = {
    "type": "function",
    "description": "Find pages that answer a question.",
    "name": "search",
    "parameters": {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for."},
            "limit": {"type": "integer", "description": "The most pages to give."},
        },
        "required": ["query", "limit"],
        "additionalProperties": False,
    },
    "strict": True,
}


def _usage(shape: Shape) -> Fields:
    thought = 2 * (3 + shape.deltas // DELTAS_PER_REASONING_PART) if shape.reasoning else 0
    called = 9 + shape.deltas // DELTAS_PER_ARGUMENT_DELTA if shape.tools else 0
    written = thought + called + shape.deltas
    return {
        "input_tokens": 142,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": 142 + written,
    }


def _citation(random: Random, *, end: int) -> Fields:
    word = random.choice(WORDS)
    return {
        "type": "url_citation",
        "end_index": end,
        "start_index": max(0, end - 80),
        "title": f"About {word} – the naïve view",
        "url": f"https://example.com/2025/12/05/about-{word}?utm_source=toy",
    }


def _token(random: Random, delta: str) -> Fields:
    logprob = -round(random.expovariate(2.0), 12)
    return {"token": delta, "bytes": list(delta.encode()), "logprob": logprob, "top_logprobs": []}


def _padding(shape: Shape, random: Random, delta: str) -> Fields:
    if not shape.obfuscation:
        return {}
    return {"obfuscation": "".join(random.choices(LETTERS, k=PADDING_BLOCK - len(delta) % PADDING_BLOCK))}


def _identifier(random: Random, prefix: str) -> str:
    return f"{prefix}_{''.join(random.choices(HEX, k=50))}"


def _words(random: Random) -> Iterator[str]:
    """Endless words, as a model's tokens: each with the space before it, sentences with their marks."""
    mark = "\n"  # what stands before the word, if no word does
    while True:
        word = random.choice(RARE) if random.random() < 0.02 else random.choice(WORDS)
        word = word.capitalize() if mark[:1] in {".", "?", "!", "\n"} else word
        yield word if mark.endswith(("\n", " ")) else " " + word
        mark = random.choice(MARKS) if random.random() < 0.12 else ""
        if mark:
            yield mark
