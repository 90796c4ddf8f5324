"""Small streams made for the command line: each event as a frame, numbered from 0."""

import json
from typing import Any

import pytest

Fields = dict[str, Any]

RESPONSE: Fields = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
MESSAGE: Fields = {"id": "msg_1", "type": "message", "status": "in_progress", "content": []}
PART: Fields = {"type": "output_text", "text": ""}


def frame(event: Fields) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def numbered(*events: Fields) -> list[bytes]:
    return [frame(event | {"sequence_number": number}) for number, event in enumerate(events)]


def opening() -> list[Fields]:
    return [
        {"type": "response.created", "response": RESPONSE},
        {"type": "response.output_item.added", "output_index": 0, "item": MESSAGE},
        {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": PART},
    ]


def delta(text: str, *, item: int = 0, part: int = 0) -> Fields:
    return {"type": "response.output_text.delta", "output_index": item, "content_index": part, "delta": text}


def completed(text: str) -> Fields:
    item = MESSAGE | {"status": "completed", "content": [PART | {"text": text}]}
    return {"type": "response.completed", "response": RESPONSE | {"status": "completed", "output": [item]}}


def said(*fragments: str) -> list[bytes]:
    """A whole stream that says these fragments: three events, one for each fragment, and the terminal one."""
    return numbered(*opening(), *map(delta, fragments), completed("".join(fragments)))


# How servers report an error, and the words of each
ERRORS = [
    pytest.param(frame({"type": "error", "code": "c", "message": "the words"}), "c: the words", id="flat"),
    pytest.param(frame({"type": "error", "error": {"code": "c", "message": "the words"}}), "c: the words", id="nested"),
    pytest.param(frame({"type": "error", "code": 429, "message": "the words"}), "429: the words", id="a number"),
    pytest.param(b'data: {"error": {"code": 400, "message": "the words"}}\n\n', "400: the words", id="no type"),
    pytest.param(b'data: {"error": "the words"}\n\n', "the words", id="text in JSON"),
    pytest.param(b'data: {"detail": "the words"}\n\n', "the words", id="detail"),
    pytest.param(b"event: error\ndata: the words\n\n", "the words", id="text"),
    pytest.param(b'{"error": {"code": "c", "message": "the words"}}', "c: the words", id="behind the last frame"),
]
