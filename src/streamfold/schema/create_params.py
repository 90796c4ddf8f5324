"""The parameters of a create as a TypedDict, for `**parameters: Unpack[CreateParams]`.

Generated from the rules in `parameter.py` by `python -m tests.schema.create_params`; do not edit. Strings are plain
`str` where the API has a list of names, so that a value newer than this version type-checks. `stream` and MKA1's own
`extra_body` are missing: the call sets the first, and its argument `extra_body` can carry the second.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


class CreateParams(TypedDict, total=False):
    """Every parameter of a create in every dialect. None is the same as leaving a parameter out."""

    # Every dialect
    model: str | None
    input: str | Sequence[Mapping[str, Any]] | None
    instructions: str | None
    conversation: str | Mapping[str, Any] | None
    previous_response_id: str | None
    prompt: Mapping[str, Any] | None
    include: Sequence[str] | None
    stream_options: Mapping[str, Any] | None
    store: bool | None
    background: bool | None
    tools: Sequence[Mapping[str, Any]] | None
    tool_choice: str | Mapping[str, Any] | None
    parallel_tool_calls: bool | None
    temperature: float | None
    top_p: float | None
    top_logprobs: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    truncation: str | None
    context_management: Sequence[Mapping[str, Any]] | None
    service_tier: str | None
    text: Mapping[str, Any] | None
    reasoning: Mapping[str, Any] | None
    metadata: Mapping[str, str] | None
    prompt_cache_key: str | None
    safety_identifier: str | None
    user: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    # MKA1
    stream_events: bool | None
    webhook_url: str | None
    webhook_secret: str | None
    fallback_models: Sequence[str] | None
    auto_routing: bool | None
    auto_routing_debug: bool | None
    modalities: Sequence[str] | None
    audio: Mapping[str, Any] | None
    stop: str | Sequence[str] | None
    top_k: int | None
    min_p: float | None
    repetition_penalty: float | None
    do_sample: bool | None
    chat_template_kwargs: Mapping[str, Any] | None
    prefill_think: bool | str | None
    use_cache: bool | None
    # OpenAI
    background_options: Mapping[str, Any] | None
    access_programs: Mapping[str, Any] | None
    image: Mapping[str, Any] | None
    moderation: Mapping[str, Any] | None
    prompt_cache_options: Mapping[str, Any] | None
    prompt_cache_retention: str | None
