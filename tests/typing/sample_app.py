"""A small program as a user would write it: it handles events, items and parts by `type`, and by class.

It is checked by mypy --strict and pyright strict (tests/typing/test_narrowing.py), and it runs.
"""

# pyright: strict

from typing import assert_type

from streamfold import Event, EventReader, Response, State, decode_response, reduce, snapshot
from streamfold.schema import ErrorEvent, OutputTextDelta, ResponseCompleted, UnknownEvent, decode_item, decode_part
from streamfold.schema.item import FunctionCall, Message, OutputText, Refusal, UnknownItem, UnknownPart


def text_by_type(event: Event) -> str:
    """The text that an event brings, asked by the name on the wire."""
    if event.type == "response.output_text.delta":
        assert_type(event, OutputTextDelta)
        return event.delta
    if event.type == "response.output_item.done":
        item = decode_item(event.item)
        if item.type == "message":
            assert_type(item, Message)
            return "".join(part.text for part in item.content if part.type == "output_text")
        if item.type == "function_call":
            assert_type(item, FunctionCall)
            return f"{item.name}({item.arguments})"
        return item.wire_type
    if event.type == "response.content_part.done":
        part = decode_part(event.part)
        if part.type == "refusal":
            assert_type(part, Refusal)
            return part.refusal
        return part.wire_type
    if event.type == "streamfold.unknown":
        assert_type(event, UnknownEvent)
        return event.error or event.wire_type
    return ""


def text_by_class(event: Event) -> str:
    """The same, by the class."""
    match event:
        case OutputTextDelta(delta=delta):
            return delta
        case ErrorEvent(message=message):
            return message or ""
        case ResponseCompleted():
            return decode_response(event.response).output_text
        case UnknownEvent(wire_type=name):
            return name
        case _:
            return event.wire_type


def parts_of(response: Response) -> list[str]:
    """What a whole Response holds, by class and by type."""
    found: list[str] = []
    for item in response.output:
        match item:
            case Message(content=content):
                for part in content:
                    match part:
                        case OutputText(text=text, annotations=annotations):
                            urls = [each.url or "" for each in annotations if each.type == "url_citation"]
                            found += [text, *urls]
                        case UnknownPart(wire_type=name):
                            found.append(name)
                        case _:
                            found.append(part.type)
            case UnknownItem(wire_type=name):
                found.append(name)
            case _:
                found.append(item.type)
    return found


def read(chunks: list[bytes]) -> tuple[list[str], list[str], State]:
    """Read a stream in both ways."""
    reader, state = EventReader(), State()
    by_type: list[str] = []
    by_class: list[str] = []
    for chunk in chunks:
        for event in reader.feed(chunk):
            state = reduce(state, event)
            by_type.append(text_by_type(event))
            by_class.append(text_by_class(event))
    assert_type(snapshot(state).output_text, str)
    return by_type, by_class, state
