"""The toy model: what it answers to a request, event by event, always the same for the same request and seed.

In      a CreateRequest, the id and time of its Response, a Dialect, a seed
Out     a Script: the Response as it begins, the Steps, and the Response as it ends
Units   tokens; a Step says how many of them pass before it, and a clock outside makes seconds of them
Errors  none: a request that was read can be answered
Source  docs/reference/emulator.md has the words that choose what it does

The steps come lazily: an answer of 100,000 tokens is never held as events. An answer is, in this order: a reasoning
item, where the request has it think; each hosted tool's call; then the calls of the caller's own tools, or else the
message, and its sound where that was asked for.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Any

from attrs import field, frozen
from msgspec.json import encode

from streamfold.emulator.body import response_begun, usage_of
from streamfold.emulator.draft import Draft, Step, Steps
from streamfold.emulator.message import audio, message, reasoning, refusal
from streamfold.emulator.prompt import Wish, input_tokens, read_wish, user_text
from streamfold.emulator.request import CreateRequest, Fields
from streamfold.emulator.tool import Call, Tool, tool_of
from streamfold.emulator.words import counting, example, sentences, tokens_of
from streamfold.schema import Dialect

__all__ = ["Script", "Step", "answer"]

FAILURE: Fields = {"code": "server_error", "message": "The model stopped half way, as the input asked it to."}
REFUSAL = "I'm sorry, but I can't help with that."
THOUGHT_TOKENS = 12
THOUGHT_TOKENS_OF_EFFORT = {"minimal": 4, "low": 12, "medium": 30, "high": 80, "xhigh": 200}
ASKED_CHARACTERS = 120
# OpenAI names the tier that served, once it is known.
SERVED_TIER = {"openai": "default"}


@frozen(kw_only=True)
class Script:
    """One answer. It is read once: `steps` gives each step as it is asked for.

    begun: the Response as it begins, in progress, with no output and null for usage. steps: the events between
    `response.in_progress` and the terminal one; of a recording, all of its events. is_recorded: whether the steps
    are a recording, with created, in_progress and terminal event among them, and their own numbers.
    """

    begun: Fields
    steps: Iterator[Step]
    ending: Callable[[], Fields] = field(repr=False)
    is_recorded: bool = False

    @property
    def ended(self) -> Fields:
        """The terminal Response, once the steps are used up: status, output, usage, error.

        Its completed_at is null, for the clock is outside. Before, it is the Response with the items that have ended.
        """
        return self.ending()


def answer(request: CreateRequest, *, response_id: str, created_at: float, dialect: Dialect, seed: int = 0) -> Script:
    """What the toy model answers: the same words for the same request and seed; ids are of the Response's id too.

    Nothing is made before the steps are read.
    """
    asked = encode(dict(request.fields), order="sorted").decode()
    draft = Draft(
        random=Random(f"{seed} {asked}"), names=Random(f"{seed} {response_id}"), limit=request.max_output_tokens
    )
    begun = response_begun(request, response_id=response_id, created_at=created_at, dialect=dialect)
    wish = read_wish(request)
    steps = Answer(request, wish, draft, dialect).steps()
    return Script(begun=begun, steps=steps, ending=lambda: _ended(begun, draft, input_tokens(request), dialect))


@frozen
class Answer:
    """One answer on its way: what is asked for, and what is made of it."""

    request: CreateRequest
    wish: Wish
    draft: Draft
    dialect: Dialect

    def steps(self) -> Steps:
        """All steps, up to the end or to where the answer is cut short."""
        for part in self._parts():
            yield from part
            if self.draft.is_cut:
                break
        if self.wish.has_error_event and self.draft.cut_by == "failure":
            yield Step(0.0, {"type": "error", **FAILURE, "param": None})
        self.draft.is_over = True

    def _parts(self) -> Iterator[Steps]:
        tools = list(self._chosen_tools())
        if self.wish.thinks:
            yield self._reasoning()
        hosted = ((definition, tool) for definition, tool in tools if tool.is_hosted)
        for definition, tool in islice(hosted, self.request.fields.get("max_tool_calls")):
            yield tool.make(self._call(definition))
        calls = [(definition, tool) for definition, tool in tools if not tool.is_hosted]
        if calls and not self._has_results() and not self._stops_half_way():
            for definition, tool in self._called(calls):
                yield tool.make(self._call(definition))
            return
        yield self._message()
        if "audio" in (self.request.fields.get("modalities") or ()) and "output_audio" in self.dialect.item_types:
            yield audio(self.draft, _text_of(self.draft.output[-1]))

    # Tools

    def _chosen_tools(self) -> Iterator[tuple[Fields, Tool]]:
        """The tools that the choice allows, and that the toy model has."""
        choice = self.request.fields.get("tool_choice") or "auto"
        for definition in self.request.fields.get("tools") or ():
            tool = tool_of(definition, self.dialect)
            if tool and _allows(choice, definition):
                yield definition, tool

    def _called(self, calls: list[tuple[Fields, Tool]]) -> list[tuple[Fields, Tool]]:
        """Those of the caller's tools that the input names, else the first one; one alone where only one is allowed."""
        prompt = user_text(self.request.input)
        named = [each for each in calls if each[0].get("name") and each[0]["name"] in prompt]
        is_parallel = self.request.fields.get("parallel_tool_calls") is not False
        return (named or calls[:1]) if is_parallel else (named or calls)[:1]

    def _call(self, definition: Fields) -> Call:
        asked = user_text(self.request.input)[:ASKED_CHARACTERS].strip() or "streams"
        return Call(self.draft, definition, asked, self.dialect, self._include())

    def _has_results(self) -> bool:
        """Whether the input ends with what the caller's tools gave, so that they need not be called again."""
        given = self.request.input
        return isinstance(given, list) and bool(given) and str(given[-1].get("type")).endswith("_output")

    # What it says

    def _reasoning(self) -> Steps:
        config: Fields = self.request.fields.get("reasoning") or {}
        length = THOUGHT_TOKENS_OF_EFFORT.get(str(config.get("effort")), THOUGHT_TOKENS)
        words = sentences(self.draft.random)
        return reasoning(
            self.draft,
            [list(islice(words, length)) for _ in range(2)],
            prefix=self.dialect.reasoning_event_prefix,
            has_summary=config.get("summary") is not None,
            is_encrypted="reasoning.encrypted_content" in self._include(),
        )

    def _message(self) -> Steps:
        tokens, count = self._tokens()
        if self._stops_half_way():
            reason = "failure" if self.wish.is_failing else "content_filter"
            tokens = self.draft.cut_after(tokens, count // 2, reason)
        if self.wish.is_refused:
            return refusal(self.draft, tokens)
        fields = self.request.fields
        has_logprobs = "message.output_text.logprobs" in self._include() or bool(fields.get("top_logprobs"))
        return message(self.draft, tokens, has_logprobs=has_logprobs, has_citation=self.wish.has_citation)

    def _tokens(self) -> tuple[Iterator[str], int]:
        """The tokens of the message, and how many there are."""
        wish = self.wish
        said = REFUSAL if wish.is_refused else wish.says
        if said is None and wish.schema is not None:
            said = encode(example(wish.schema, self.draft.random)).decode()
        if said is not None:
            tokens = tokens_of(said)
            return iter(tokens), len(tokens)
        if wish.counts_to is not None:
            return counting(wish.counts_to), wish.counts_to
        return islice(sentences(self.draft.random), wish.tokens), wish.tokens

    def _stops_half_way(self) -> bool:
        return self.wish.is_failing or self.wish.is_filtered

    def _include(self) -> tuple[str, ...]:
        return tuple(self.request.fields.get("include") or ())


def _ended(begun: Fields, draft: Draft, asked_tokens: int, dialect: Dialect) -> Fields:
    """The Response with what the draft holds: a terminal one, if the draft is over."""
    status = "completed" if draft.is_over else "in_progress"
    known: Fields = {"error": None, "incomplete_details": None}
    if draft.cut_by == "failure":
        status, known["error"] = "failed", FAILURE
    elif draft.cut_by:
        status, known["incomplete_details"] = "incomplete", {"reason": draft.cut_by}
    if begun["service_tier"] == "auto":
        known["service_tier"] = SERVED_TIER.get(dialect.name, "auto")
    usage = usage_of(asked_tokens, draft.output_tokens, draft.reasoning_tokens, dialect=dialect)
    return begun | known | {"status": status, "output": list(draft.output), "usage": usage}


def _allows(choice: Any, definition: Fields) -> bool:
    """Whether a tool_choice allows a tool: by its mode, or by naming its type, and its name or server."""
    if isinstance(choice, str):
        return choice != "none"
    if choice.get("type") == "allowed_tools":
        return any(_allows(each, definition) for each in choice.get("tools") or ())
    wanted = {name: choice[name] for name in ("type", "name", "server_label") if choice.get(name) is not None}
    return all(definition.get(name) == value for name, value in wanted.items() if name in definition)


def _text_of(item: Fields) -> str:
    return "".join(part.get("text", "") for part in item["content"])
