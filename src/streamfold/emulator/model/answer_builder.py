"""An answer while it is made: its token budget, its items, and the events of messages, refusals, reasoning and sound.

Each generator ends with its item, whole or cut: where the token limit is reached, the item is closed as incomplete with
what it has, and the builder knows why. The order of events is that of recorded streams.
"""

import base64
from collections.abc import Generator, Iterable, Iterator
from itertools import chain, islice
from random import Random
from typing import Any, TypeAlias

from msgspec import Struct

from streamfold.emulator.model.textgen import identifier
from streamfold.serving import Fields


class ScriptStep(Struct, frozen=True, gc=False):
    """One event that is yet to happen.

    wait_tokens: how many tokens of time pass before it. fields: the event, `type` first, without a sequence_number
    unless it was recorded. data: the recorded bytes, which are sent as they are; None for a generated event.
    """

    wait_tokens: float
    fields: Fields
    data: bytes | None = None


Steps: TypeAlias = Iterator[ScriptStep]


class AnswerBuilder:
    """An answer so far.

    random: chooses words and values; seeded by the request and the seed. names: chooses ids; seeded by the Response's id
    as well. limit: the largest number of output tokens; None for no limit. output: the items that have ended. cut_by: what
    cut the answer short, `max_output_tokens` or the reason given to `cut_after`; None if nothing did. is_over: whether
    nothing more comes. output_tokens, reasoning_tokens: used so far.
    """

    def __init__(self, *, random: Random, names: Random, limit: int | None) -> None:
        self.random = random
        self.names = names
        self.limit = limit
        self.output: list[Fields] = []
        self.cut_by: str | None = None
        self.is_over = False
        self.output_tokens: int = 0
        self.reasoning_tokens = 0

    @property
    def is_cut(self) -> bool:
        """Whether the answer was cut short."""
        return self.cut_by is not None

    @property
    def item_status(self) -> str:
        """The status of an item that ends now."""
        return "incomplete" if self.is_cut else "completed"

    def spend(self, tokens: Iterable[str]) -> Iterator[str]:
        """The tokens, as many as the limit allows."""
        for token in tokens:
            if self.output_tokens == self.limit:
                self.cut_by = "max_output_tokens"
                return
            self.output_tokens += 1
            yield token

    def cut_after(self, tokens: Iterable[str], count: int, reason: str) -> Iterator[str]:
        """The first `count` tokens; then the answer is cut short for this reason."""
        yield from islice(tokens, count)
        self.cut_by = reason

    def end(self, item: Fields) -> ScriptStep:
        """Put the item into the output and return the event that reports it."""
        self.output.append(item)
        index = len(self.output) - 1
        return ScriptStep(0.0, {"type": "response.output_item.done", "output_index": index, "item": item})

    def begin(self, item: Fields, wait_tokens: float = 0.0) -> ScriptStep:
        """The event that adds an item as it begins."""
        return ScriptStep(
            wait_tokens, {"type": "response.output_item.added", "output_index": len(self.output), "item": item}
        )

    def at(self, item: Fields, **more: Any) -> Fields:
        """The fields by which events refer to the item."""
        return {"item_id": item["id"], "output_index": len(self.output), **more}


def stream(
    builder: AnswerBuilder, tokens: Iterable[str], name: str, at: Fields, logprobs: list[Fields] | None = None
) -> Generator[ScriptStep, None, str]:
    """Yield a delta `response.NAME.delta` per token, as many as the limit allows, and return their text.

    logprobs: filled with one for each token; None for a stream without.
    """
    kind = f"response.{name}.delta"
    said: list[str] = []
    more: Fields = {"logprobs": []} if name == "output_text" else {}
    for token in builder.spend(tokens):
        said.append(token)
        if logprobs is not None:
            logprob = -round(builder.random.random() * 2, 6)
            logprobs.append({"token": token, "bytes": list(token.encode()), "logprob": logprob, "top_logprobs": []})
            more = {"logprobs": logprobs[-1:]}
        yield ScriptStep(1.0, {"type": kind, **at, "delta": token, **more})
    return "".join(said)


def message(builder: AnswerBuilder, tokens: Iterable[str], *, has_logprobs: bool, has_citation: bool) -> Steps:
    """A message of one output_text part."""
    item = _new_message(builder)
    at = builder.at(item, content_index=0)
    part: Fields = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    yield builder.begin(item)
    yield ScriptStep(0.0, {"type": "response.content_part.added", **at, "part": part})
    logprobs: list[Fields] = []
    text = yield from stream(builder, tokens, "output_text", at, logprobs if has_logprobs else None)
    part = part | {"text": text, "logprobs": logprobs}
    if has_citation:
        annotation: Fields = {
            "type": "url_citation",
            "start_index": max(0, len(text) - 80),
            "end_index": len(text),
            "title": "About streams",
            "url": "https://example.com/streams?from=toy",
        }
        part |= {"annotations": [annotation]}
        cited = {**at, "annotation_index": 0, "annotation": annotation}
        yield ScriptStep(0.0, {"type": "response.output_text.annotation.added", **cited})
    yield ScriptStep(0.0, {"type": "response.output_text.done", **at, "text": text, "logprobs": logprobs})
    yield ScriptStep(0.0, {"type": "response.content_part.done", **at, "part": part})
    yield builder.end(item | {"status": builder.item_status, "content": [part]})


def refusal(builder: AnswerBuilder, tokens: Iterable[str]) -> Steps:
    """A message of one refusal part."""
    item = _new_message(builder)
    yield builder.begin(item)
    part = yield from _part(builder, tokens, builder.at(item, content_index=0), "refusal", "refusal", field="refusal")
    yield builder.end(item | {"status": builder.item_status, "content": [part]})


def reasoning(
    builder: AnswerBuilder, paragraphs: list[list[str]], *, prefix: str, has_summary: bool, is_encrypted: bool
) -> Steps:
    """A reasoning item. Each paragraph is a part of its summary; without a summary, they are one part of its text.

    prefix: what the dialect calls the events of a reasoning text.
    """
    begun_tokens = builder.output_tokens
    item: Fields = {"id": identifier(builder.names, "rs"), "type": "reasoning", "summary": []}
    yield builder.begin(item)
    if has_summary:
        filled: Fields = {"summary": []}
        for index, tokens in enumerate(paragraphs):
            if builder.is_cut:
                break
            at, name = builder.at(item, summary_index=index), "reasoning_summary_text"
            part = yield from _part(builder, tokens, at, "summary_text", name, container="reasoning_summary_part")
            filled["summary"].append(part)
    else:
        at, name = builder.at(item, content_index=0), prefix.removeprefix("response.")
        part = yield from _part(builder, chain.from_iterable(paragraphs), at, "reasoning_text", name)
        filled = {"content": [part]}
    builder.reasoning_tokens += builder.output_tokens - begun_tokens
    if is_encrypted:
        filled |= {"encrypted_content": base64.b64encode(builder.names.randbytes(48)).decode()}
    yield builder.end(item | filled | ({"status": "incomplete"} if builder.is_cut else {}))


def audio(builder: AnswerBuilder, transcript: str) -> Steps:
    """The spoken form of a text, whole in its two events: MKA1 has no events for parts of it."""
    item: Fields = {"id": identifier(builder.names, "audio"), "type": "output_audio", "status": "in_progress"}
    item |= {"data": "", "transcript": ""}
    yield builder.begin(item, 5.0)
    spoken = base64.b64encode(_WAVE_HEADER + bytes(64)).decode()
    yield builder.end(item | {"data": spoken, "transcript": transcript, "status": "completed"})


def _new_message(builder: AnswerBuilder) -> Fields:
    id = identifier(builder.names, "msg")
    return {"id": id, "type": "message", "status": "in_progress", "content": [], "role": "assistant"}


def _part(
    builder: AnswerBuilder,
    tokens: Iterable[str],
    at: Fields,
    kind: str,
    name: str,
    *,
    field: str = "text",
    container: str = "content_part",
) -> Generator[ScriptStep, None, Fields]:
    """Yield the events of a part, which is added, grows and ends, and return it. name: of the events with its text."""
    part = {"type": kind, field: ""}
    yield ScriptStep(0.0, {"type": f"response.{container}.added", **at, "part": part})
    text = yield from stream(builder, tokens, name, at)
    yield ScriptStep(0.0, {"type": f"response.{name}.done", **at, field: text})
    part = part | {field: text}
    yield ScriptStep(0.0, {"type": f"response.{container}.done", **at, "part": part})
    return part


# RIFF, one channel of 16 bits at 8 kHz, and 64 bytes of silence after it.
_WAVE_HEADER = (
    b"RIFF\x64\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    b"data\x40\x00\x00\x00"
)
