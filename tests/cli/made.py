"""Small streams made for the command line: each event as a frame, numbered from 0."""

import json
from typing import Any

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
