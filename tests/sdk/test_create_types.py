"""Whatever the types of the installed openai SDK allow in a create, compact or token count, the emulator accepts.

Every parameter, and every name in every `Literal` below it, is sent once: the bodies are made from the SDK's own types.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

import pytest
import typing_extensions
from openai.types.responses import input_token_count_params, response_compact_params, response_create_params
from openai.types.responses.response_includable import ResponseIncludable

from streamfold.emulator import Emulator, Options
from streamfold.schema import OPENAI, check_create
from streamfold.schema.parameter import create_rules
from tests.emulator.inprocess import HandClock, ask

CREATE = response_create_params.ResponseCreateParamsBase
MOST_DEPTH = 6  # an input item may hold items
# What the SDK's type allows and its documentation, or the type of the values, does not.
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "stream_options": {"stream": True},
    "background_options": {"background": True},
}
# A `str` of the types of which the documentation names the only value.
DOCUMENTED: Mapping[str, Mapping[str, Any]] = {"ContextManagement": {"type": "compaction"}}
VALUES: Mapping[str, Any] = {
    "temperature": 1.0,
    "top_p": 0.5,
    "top_logprobs": 3,
    "max_output_tokens": 20,
    "max_tool_calls": 1,
    "compact_threshold": 1000,
    "max_output_length": 100,
    "partial_images": 1,
}


def hints(kind: Any) -> dict[str, Any]:
    return typing_extensions.get_type_hints(kind, include_extras=True)


def is_required(annotation: Any) -> bool:
    return get_origin(annotation) in (Required, typing_extensions.Required)


def samples(kind: Any, name: str = "", depth: int = 0) -> Iterator[Any]:
    """Values of a type: the first is its simplest, the others have each other name of each Literal in it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Required, NotRequired, typing_extensions.Required, typing_extensions.NotRequired, Annotated):
        yield from samples(arguments[0], name, depth)
    elif origin is Literal:
        yield from arguments
    elif origin in (Union, UnionType):
        for each in arguments:
            if each is not NoneType:
                yield from samples(each, name, depth)
    elif typing_extensions.is_typeddict(kind):
        yield from objects(kind, depth)
    elif origin is not None and arguments and issubclass(origin, Iterable) and not issubclass(origin, Mapping):
        if depth > MOST_DEPTH:
            yield []
        else:
            yield from ([each] for each in samples(arguments[0], name, depth + 1))
    elif origin is not None or kind is dict:
        yield {}
    else:
        yield {str: "text", bool: True, object: {}, int: VALUES.get(name, 1), float: VALUES.get(name, 1.0)}.get(
            kind, "text"
        )


def objects(kind: Any, depth: int) -> Iterator[dict[str, Any]]:
    known = hints(kind)
    simplest = {name: next(samples(each, name, depth + 1)) for name, each in known.items() if is_required(each)}
    documented = DOCUMENTED.get(kind.__name__, {})
    known = {name: each for name, each in known.items() if name not in documented}
    simplest |= documented
    yield simplest
    if depth > MOST_DEPTH:
        return
    for name, each in known.items():
        for value in samples(each, name, depth + 1):
            if simplest.get(name) != value:
                yield simplest | {name: value}


def bodies(kind: Any, base: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, annotation in hints(kind).items():
        for value in samples(annotation, name):
            yield {**base, **NEEDED.get(name, {}), name: value}


def most_different(given: Iterable[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """All of a few; of many, evenly chosen ones."""
    found = list(given)
    return found[:: max(1, len(found) // most)]


def test_every_parameter_of_the_sdk_has_a_rule() -> None:
    assert hints(CREATE).keys() - create_rules(OPENAI).keys() == set()


def test_every_include_of_the_sdk_is_accepted_and_no_other() -> None:
    names = get_args(ResponseIncludable)
    assert check_create({"model": "m", "include": list(names)}, OPENAI) is None
    refused = [name for name in INCLUDES if name not in names]
    assert refused == []


INCLUDES = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]


def test_whatever_the_types_allow_passes_the_rules() -> None:
    checked = 0
    for body in bodies(CREATE, {"model": "m"}):
        complaint = check_create(body, OPENAI)
        assert complaint is None or is_known(body, complaint), (body, complaint)
        checked += 1
    assert checked > 500


def is_known(body: dict[str, Any], complaint: tuple[str, str]) -> bool:
    """A combination that the SDK's text excludes: a long window without a stream."""
    return complaint[0] == "background_options.completion_window" and body.get("stream") is True


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/responses", CREATE),
        ("/responses/compact", response_compact_params.ResponseCompactParams),
        ("/responses/input_tokens", input_token_count_params.InputTokenCountParams),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_whatever_the_types_allow_is_answered(path: str, kind: Any) -> None:
    app = Emulator(Options(tokens_per_second=None), clock=HandClock())
    for body in most_different(bodies(kind, {"model": "m"}), 300):
        body.pop("previous_response_id", None)  # any text, but of a Response that exists
        answer = await ask(app, "POST", f"/v1{path}", body)
        assert answer.status == 200, (body, answer.body)
