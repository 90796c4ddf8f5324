"""The toy model: what it answers to a request, event by event; and a recorded stream played in its place.

The same request and seed always give the same answer. Steps come lazily, so an answer of 100,000 tokens is never held as
events. An answer is, in this order: a reasoning item, if the request has it think; a call of each hosted tool; then
calls of the caller's own tools, or else the message and, if asked for, its sound. docs/reference/emulator.md lists the
words that choose what it does.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from random import Random
from typing import Any

from attrs import field, frozen
from msgspec.json import decode, encode

from streamfold.emulator.model.answer_builder import (
    AnswerBuilder,
    ScriptStep,
    Steps,
    audio,
    message,
    reasoning,
    refusal,
)
from streamfold.emulator.model.body import moderation, response_begun
from streamfold.emulator.model.prompt import SEARCHED_CHARACTERS, Wish, input_tokens, read_wish, user_text
from streamfold.emulator.model.textgen import count_tokens, counting, example, sentences, token_stream
from streamfold.emulator.model.tool import Tool, ToolCall, tool_of
from streamfold.errors import UsageError
from streamfold.fold import SequencePolicy, State, fold, snapshot_json
from streamfold.schema import Dialect, decode_event
from streamfold.serving import CreateRequest, Fields, Problem, is_list, is_object, output_text, read_object, usage_of
from streamfold.sse import FrameDecoder

FAILURE: Fields = {"code": "server_error", "message": "The model stopped half way, as the input asked it to."}
REFUSAL = "I'm sorry, but I can't help with that."
THOUGHT_TOKENS = 12
THOUGHT_TOKENS_OF_EFFORT = {"minimal": 4, "low": 12, "medium": 30, "high": 80, "xhigh": 200, "max": 400}
ASKED_CHARACTERS = 120


@frozen(kw_only=True)
class Script:
    """One answer. A model's is read once: `steps` makes each step when it is asked for.

    begun: the Response as it begins, in progress, with no output and null for usage. steps: the events between
    `response.in_progress` and the terminal one. is_recorded: whether the steps are all events of a recording instead,
    the first and the terminal one included, with their own numbers.
    """

    begun: Fields
    steps: Iterable[ScriptStep]
    ending: Callable[[], Fields] = field(repr=False)
    is_recorded: bool = False

    @property
    def ended(self) -> Fields:
        """The terminal Response, once the steps are used up; before that, the Response with the items that have ended.

        `completed_at` is null: the model has no clock.
        """
        return self.ending()


def answer(
    request: CreateRequest,
    *,
    response_id: str,
    created_at: float,
    dialect: Dialect,
    seed: int | str = 0,
    most_tokens: int | None = None,
) -> Script:
    """What the toy model answers: the same words for the same request and seed. Ids also depend on the Response's id.

    Args:
        request: A valid create.
        response_id: The Response's.
        created_at: Unix seconds.
        dialect: Whose events and tools it has.
        seed: Another one gives other words and ids.
        most_tokens: A limit beside the request's `max_output_tokens`.
    """
    asked = encode(dict(request.fields), order="sorted").decode()
    limits = [each for each in (request.max_output_tokens, most_tokens) if each is not None]
    builder = AnswerBuilder(
        random=Random(f"{seed} {asked}"), names=Random(f"{seed} {response_id}"), limit=min(limits, default=None)
    )
    begun = response_begun(request, response_id=response_id, created_at=created_at, dialect=dialect)
    wish = read_wish(request)
    steps = ToyModel(request, wish, builder, dialect).steps()
    return Script(begun=begun, steps=steps, ending=lambda: _ended(begun, request, builder, dialect))


def answer_tokens(request: CreateRequest, most: int) -> int:
    """How many tokens the message that the request asks for has; `most + 1` if it has more."""
    wish = read_wish(request)
    asked = wish.tokens if wish.counts_to is None else wish.counts_to
    if wish.says is not None:
        asked = count_tokens(wish.says, most + 1)
    limit = request.max_output_tokens
    return min(asked, most + 1, asked if limit is None else limit)


def has_logprobs(request: CreateRequest) -> bool:
    """Whether the request asks for the probability of each token."""
    included = request.fields.get("include") or ()
    return "message.output_text.logprobs" in included or bool(request.fields.get("top_logprobs"))


@frozen
class ToyModel:
    """Answers one request."""

    request: CreateRequest
    wish: Wish
    builder: AnswerBuilder
    dialect: Dialect

    def steps(self) -> Steps:
        """All steps, up to the end or up to where the answer is cut short."""
        for part in self._parts():
            yield from part
            if self.builder.is_cut:
                break
        if self.wish.has_error_event and self.builder.cut_by == "failure":
            yield ScriptStep(0.0, {"type": "error", **FAILURE, "param": None})
        self.builder.is_over = True

    def _parts(self) -> Iterator[Steps]:
        tools = list(self._chosen_tools())
        if self.wish.thinks:
            yield self._reasoning()
        hosted = [each for each in tools if each[1].is_hosted]
        yield from self._calls(hosted[: self.request.fields.get("max_tool_calls")])
        own = [each for each in tools if not each[1].is_hosted]
        if own and not self._has_results() and not self._stops_half_way():
            yield from self._calls(self._named(own))
        else:
            yield self._message()
            if self._is_spoken():
                yield audio(self.builder, output_text(self.builder.output[-1:]))

    def _is_spoken(self) -> bool:
        return "output_audio" in self.dialect.item_types and "audio" in (self.request.fields.get("modalities") or ())

    # Tools

    def _chosen_tools(self) -> Iterator[tuple[Fields, Tool]]:
        """The tools that `tool_choice` allows and the toy model has."""
        choice = self.request.fields.get("tool_choice") or "auto"
        for definition in self.request.fields.get("tools") or ():
            tool = tool_of(definition, self.dialect)
            if tool and _allows(choice, definition):
                yield definition, tool

    def _named(self, calls: list[tuple[Fields, Tool]]) -> list[tuple[Fields, Tool]]:
        """The caller's tools that the input names, else the first one; only one unless calls may be parallel."""
        prompt = user_text(self.request.input)[:SEARCHED_CHARACTERS]
        named = [each for each in calls if each[0].get("name") and each[0]["name"] in prompt]
        is_parallel = self.request.fields.get("parallel_tool_calls") is not False
        return (named or calls[:1]) if is_parallel else (named or calls)[:1]

    def _calls(self, tools: list[tuple[Fields, Tool]]) -> Iterator[Steps]:
        asked = user_text(self.request.input)[:ASKED_CHARACTERS].strip() or "streams"
        for definition, tool in tools:
            yield tool.make(ToolCall(self.builder, definition, asked, self.dialect, self._include()))

    def _has_results(self) -> bool:
        """Whether the input ends with the output of the caller's tools, so that they need not be called again."""
        given = self.request.input
        return isinstance(given, list) and bool(given) and str(given[-1].get("type")).endswith("_output")

    # What it says

    def _reasoning(self) -> Steps:
        config: Fields = self.request.fields.get("reasoning") or {}
        length = THOUGHT_TOKENS_OF_EFFORT.get(str(config.get("effort")), THOUGHT_TOKENS)
        words = sentences(self.builder.random)
        return reasoning(
            self.builder,
            [list(islice(words, length)) for _ in range(2)],
            prefix=self.dialect.reasoning_event_prefix,
            has_summary=config.get("summary") is not None,
            is_encrypted="reasoning.encrypted_content" in self._include(),
        )

    def _message(self) -> Steps:
        tokens, count = self._tokens()
        if self._stops_half_way():
            reason = "failure" if self.wish.is_failing else "content_filter"
            tokens = self.builder.cut_after(tokens, count // 2, reason)
        if self.wish.is_refused:
            return refusal(self.builder, tokens)
        return message(
            self.builder, tokens, has_logprobs=has_logprobs(self.request), has_citation=self.wish.has_citation
        )

    def _tokens(self) -> tuple[Iterator[str], int]:
        """The tokens of the message, and how many there are, if the answer stops half way."""
        wish = self.wish
        said = REFUSAL if wish.is_refused else wish.says
        if said is None and wish.schema is not None:
            said = encode(example(wish.schema, self.builder.random)).decode()
        if said is not None:
            return token_stream(said), count_tokens(said) if self._stops_half_way() else 0
        if wish.counts_to is not None:
            return counting(wish.counts_to), wish.counts_to
        return islice(sentences(self.builder.random), wish.tokens), wish.tokens

    def _stops_half_way(self) -> bool:
        return self.wish.is_failing or self.wish.is_filtered

    def _include(self) -> tuple[str, ...]:
        return tuple(self.request.fields.get("include") or ())


def _ended(begun: Fields, request: CreateRequest, builder: AnswerBuilder, dialect: Dialect) -> Fields:
    """The Response with what the builder holds; a terminal one if the builder is over."""
    status = "completed" if builder.is_over else "in_progress"
    known: Fields = {"error": None, "incomplete_details": None}
    if builder.cut_by == "failure":
        status, known["error"] = "failed", FAILURE
    elif builder.cut_by:
        status, known["incomplete_details"] = "incomplete", {"reason": builder.cut_by}
    if begun["service_tier"] == "auto":
        known["service_tier"] = dialect.served_tier or "auto"
    if status != "in_progress" and not dialect.sends_output_text and (asked := request.fields.get("moderation")):
        known["moderation"] = moderation(asked)
    asked_tokens = input_tokens(request)
    usage = usage_of(asked_tokens, builder.output_tokens, builder.reasoning_tokens, dialect=dialect)
    return begun | known | {"status": status, "output": list(builder.output), "usage": usage}


def _allows(choice: Any, definition: Fields) -> bool:
    """Whether a tool_choice allows a tool: by its mode, or by naming its type and its name or server."""
    if isinstance(choice, str):
        return choice != "none"
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("tools")
        return is_list(allowed) and any(is_object(each) and _is_named(each, definition) for each in allowed)
    return _is_named(choice, definition)


def _is_named(choice: Fields, definition: Fields) -> bool:
    wanted = {name: choice[name] for name in ("type", "name", "server_label") if choice.get(name) is not None}
    return all(definition.get(name) == value for name, value in wanted.items() if name in definition)


def read_playback(data: bytes) -> Script:
    """The recorded stream in the bytes of a `.sse` file, complete or cut off; it can be played again and again.

    Data that is not a JSON object is skipped.

    Raises:
        UsageError: There is no event in it.
        FrameTooLarge: A frame is longer than any reader accepts.
    """
    decoder = FrameDecoder(tolerant=True)
    frames = decoder.feed(data) + decoder.close()
    steps = tuple(step for frame in frames if (step := _step(frame.data)))
    if not steps:
        what = "holds no event" if data.strip() else "is empty"
        raise UsageError(f"the recording {what}; pass the body of a stream, as in an .sse file")
    events = (decode_event(step.data) for step in steps if step.data is not None)
    # By arrival: a recording may have holes, or no numbers at all.
    folded: Fields = decode(snapshot_json(fold(events, State.under(SequencePolicy.ARRIVAL))))
    responses = (step.fields["response"] for step in steps if is_object(step.fields.get("response")))
    return Script(begun=next(responses, folded), steps=steps, ending=lambda: folded, is_recorded=True)


def _step(data: bytes) -> ScriptStep | None:
    fields = read_object(data)
    if isinstance(fields, Problem) or not isinstance(kind := fields.get("type"), str):
        return None
    return ScriptStep(1.0 if kind.endswith(".delta") else 0.0, fields, data)
