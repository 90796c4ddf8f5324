"""What the toy model says and thinks: the steps of messages, refusals and reasoning items.

In      a Draft, and tokens
Out     Steps; the item is in the draft's output when they are used up
Units   one token a delta
Errors  none
Source  docs/reference/emulator.md; the order of events: recorded streams

Each generator ends with its item, whole or cut: where the limit of tokens is reached, the item is closed as
incomplete with what it has, and the draft knows.
"""

import base64
from collections.abc import Generator, Iterable

from streamfold.emulator.draft import Draft, Step, Steps
from streamfold.emulator.request import Fields
from streamfold.emulator.words import identifier

__all__ = ["audio", "message", "reasoning", "refusal", "stream"]


def stream(draft: Draft, tokens: Iterable[str], name: str, at: Fields, **more: object) -> Generator[Step, None, str]:
    """The deltas `response.NAME.delta` of the tokens, as many as the limit allows. Returns: their text."""
    kind = f"response.{name}.delta"
    said: list[str] = []
    for token in draft.spend(tokens):
        said.append(token)
        yield Step(1.0, {"type": kind, **at, "delta": token, **more})
    return "".join(said)


def message(draft: Draft, tokens: Iterable[str], *, has_logprobs: bool, has_citation: bool) -> Steps:
    """A message of one output_text part."""
    item: Fields = {
        "id": identifier(draft.names, "msg"),
        "type": "message",
        "status": "in_progress",
        "content": [],
        "role": "assistant",
    }
    at = draft.at(item, content_index=0)
    part: Fields = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    yield draft.begin(item)
    yield Step(0.0, {"type": "response.content_part.added", **at, "part": part})
    if has_logprobs:
        text, logprobs = yield from _with_logprobs(draft, tokens, at)
    else:
        text, logprobs = (yield from stream(draft, tokens, "output_text", at, logprobs=[])), []
    part = part | {"text": text, "logprobs": logprobs}
    if has_citation:
        annotation = _citation(text)
        part |= {"annotations": [annotation]}
        cited = {**at, "annotation_index": 0, "annotation": annotation}
        yield Step(0.0, {"type": "response.output_text.annotation.added", **cited})
    yield Step(0.0, {"type": "response.output_text.done", **at, "text": text, "logprobs": logprobs})
    yield Step(0.0, {"type": "response.content_part.done", **at, "part": part})
    yield draft.end(item | {"status": draft.item_status, "content": [part]})


def refusal(draft: Draft, tokens: Iterable[str]) -> Steps:
    """A message of one refusal part."""
    item: Fields = {"id": identifier(draft.names, "msg"), "type": "message", "status": "in_progress"}
    item |= {"content": [], "role": "assistant"}
    at = draft.at(item, content_index=0)
    part: Fields = {"type": "refusal", "refusal": ""}
    yield draft.begin(item)
    yield Step(0.0, {"type": "response.content_part.added", **at, "part": part})
    text = yield from stream(draft, tokens, "refusal", at)
    part = part | {"refusal": text}
    yield Step(0.0, {"type": "response.refusal.done", **at, "refusal": text})
    yield Step(0.0, {"type": "response.content_part.done", **at, "part": part})
    yield draft.end(item | {"status": draft.item_status, "content": [part]})


def reasoning(
    draft: Draft, paragraphs: list[list[str]], *, prefix: str, has_summary: bool, is_encrypted: bool
) -> Steps:
    """A reasoning item. With a summary, each paragraph is a part of it; else all of them are its text, in one part.

    prefix: the dialect's name of the events of a reasoning text.
    """
    begun_tokens = draft.output_tokens
    item: Fields = {"id": identifier(draft.names, "rs"), "type": "reasoning", "summary": []}
    yield draft.begin(item)
    if has_summary:
        filled: Fields = {"summary": (yield from _summary(draft, item, paragraphs))}
    else:
        tokens = [token for paragraph in paragraphs for token in paragraph]
        filled = {"content": [(yield from _reasoning_text(draft, item, tokens, prefix))]}
    draft.reasoning_tokens += draft.output_tokens - begun_tokens
    if is_encrypted:
        filled |= {"encrypted_content": base64.b64encode(draft.names.randbytes(48)).decode()}
    yield draft.end(item | filled | ({"status": "incomplete"} if draft.is_cut else {}))


def audio(draft: Draft, transcript: str) -> Steps:
    """The spoken form of a text, whole in its two events: MKA1 has no events for parts of it."""
    item: Fields = {"id": identifier(draft.names, "audio"), "type": "output_audio", "status": "in_progress"}
    item |= {"data": "", "transcript": ""}
    yield draft.begin(item, 5.0)
    spoken = base64.b64encode(_WAVE_HEADER + bytes(64)).decode()
    yield draft.end(item | {"data": spoken, "transcript": transcript, "status": "completed"})


def _summary(draft: Draft, item: Fields, paragraphs: list[list[str]]) -> Generator[Step, None, list[Fields]]:
    summary: list[Fields] = []
    for index, tokens in enumerate(paragraphs):
        if draft.is_cut:
            break
        at = draft.at(item, summary_index=index)
        part = {"type": "summary_text", "text": ""}
        yield Step(0.0, {"type": "response.reasoning_summary_part.added", **at, "part": part})
        text = yield from stream(draft, tokens, "reasoning_summary_text", at)
        yield Step(0.0, {"type": "response.reasoning_summary_text.done", **at, "text": text})
        summary.append(part | {"text": text})
        yield Step(0.0, {"type": "response.reasoning_summary_part.done", **at, "part": summary[-1]})
    return summary


def _reasoning_text(draft: Draft, item: Fields, tokens: list[str], prefix: str) -> Generator[Step, None, Fields]:
    at = draft.at(item, content_index=0)
    part = {"type": "reasoning_text", "text": ""}
    yield Step(0.0, {"type": "response.content_part.added", **at, "part": part})
    text = yield from stream(draft, tokens, prefix.removeprefix("response."), at)
    yield Step(0.0, {"type": f"{prefix}.done", **at, "text": text})
    part = part | {"text": text}
    yield Step(0.0, {"type": "response.content_part.done", **at, "part": part})
    return part


def _with_logprobs(draft: Draft, tokens: Iterable[str], at: Fields) -> Generator[Step, None, tuple[str, list[Fields]]]:
    said: list[str] = []
    logprobs: list[Fields] = []
    for token in draft.spend(tokens):
        logprob = -round(draft.random.random() * 2, 6)
        logprobs.append({"token": token, "bytes": list(token.encode()), "logprob": logprob, "top_logprobs": []})
        said.append(token)
        yield Step(1.0, {"type": "response.output_text.delta", **at, "delta": token, "logprobs": logprobs[-1:]})
    return "".join(said), logprobs


def _citation(text: str) -> Fields:
    end = len(text)
    place = {"start_index": max(0, end - 80), "end_index": end}
    return {"type": "url_citation", **place, "title": "About streams", "url": "https://example.com/streams?from=toy"}


# RIFF, one channel of 16 bits at 8 kHz, and 64 bytes of silence behind it.
_WAVE_HEADER = (
    b"RIFF\x64\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    b"data\x40\x00\x00\x00"
)
