"""The endpoints of Responses: create, retrieve, stream, list, update, delete, cancel, compact, count tokens."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

from attrs import frozen
from msgspec.json import encode

from streamfold.chaos import Fault
from streamfold.emulator.model import answer, answer_tokens, has_logprobs, input_items, input_tokens, read_playback
from streamfold.emulator.options import Options
from streamfold.emulator.request_log import Journal
from streamfold.emulator.store import IdSource, ResponseEvents, Shelf, StoredResponse, cut_page, page, page_of
from streamfold.emulator.timeline import CANCEL_RULES, Ending, Tempo, Timeline, stream_refusal
from streamfold.emulator.webhooks import bad_webhook
from streamfold.schema import Dialect, FinishedReplay, is_terminal_status
from streamfold.serving import (
    ApiCall,
    BodyReply,
    Clock,
    CreateRequest,
    EventFeed,
    Fields,
    FixedEvents,
    PendingReply,
    Problem,
    ServerReply,
    StreamReply,
    event_data,
    is_list,
    is_obfuscated,
    is_object,
    read_compaction,
    read_create,
    read_metadata_update,
    read_page_query,
    read_retrieve_query,
    read_token_count,
    shape_response,
    usage_of,
    value_marks,
)
from streamfold.sse import Frame

MOST_TOOLS = 128  # and other lists that each answer goes through
# A page of Responses ends where it is this long: each may echo a body of many megabytes.
MOST_PAGE_BYTES = 4 * 2**20
MOST_LOOKS = 20  # each up to 5 ms
MOST_SHOWN = 64  # characters of an id in a refusal
SUMMARY_CHARACTERS = 500
# What a Response may take of the memory, from measurements: the events that echo its request or its text, and its deltas.
RESPONSE_BYTES, ECHOES, VALUE_BYTES, TOKEN_BYTES, LOGPROB_BYTES, TOOL_BYTES = 20_000, 14, 120, 900, 1_800, 20_000
THOUGHT_TOKENS = 800  # of the highest effort
BYTES_PER_SCHEMA_TOKEN = 2  # a value for `{"a":{"type":"string"}}` has about twelve tokens


@frozen(kw_only=True)
class EmulatedCall(ApiCall):
    """A call, and the faults that it meets."""

    faults: tuple[Fault, ...] = ()


class ResponseEndpoints:
    """All Responses of an emulator, and what each endpoint answers. on_create: called with every new Response."""

    def __init__(
        self,
        options: Options,
        ids: IdSource,
        journal: Journal,
        clock: Clock,
        on_create: Callable[[StoredResponse], None],
    ) -> None:
        self._options = options
        self._ids = ids
        self._journal = journal
        self._clock = clock
        self._on_create = on_create
        self._kept: Shelf[StoredResponse] = Shelf(options.keep_responses, options.keep_bytes)
        playback = options.playback
        data = playback.read_bytes() if isinstance(playback, Path) else playback
        self._playback = None if data is None else read_playback(data)

    async def create_response(self, call: EmulatedCall) -> ServerReply | Problem:
        """Create a Response; answer with its stream, with its beginning, or with its end."""
        if isinstance(request := read_create(call.body, call.dialect), Problem):
            return request
        asked = answer_tokens(request, self._options.max_answer_tokens)
        if problem := self._refused(request, asked, call):
            return problem
        size = _size(request, call.body, asked, most_tokens=self._options.max_answer_tokens)
        if not self._make_room(size, call.now):
            return self._full(size)
        stored = self._create(call, request)
        self._kept.add((call.tenant, stored.id), stored, size)
        self._journal.count("creates")
        self._on_create(stored)
        if request.stream:
            on_disconnect = None if request.background else self._canceller(stored)
            return self._stream(stored, call, on_disconnect=on_disconnect)
        if request.background:
            return BodyReply.of(shape_response(stored.begun | {"status": "queued"}, call.dialect))
        return PendingReply(
            poll=lambda now: _when_over(stored, now),
            wait=lambda seconds: self._clock.wait(seconds, stored.changed),
            on_disconnect=self._canceller(stored),
        )

    async def retrieve_response(self, call: EmulatedCall) -> ServerReply | Problem:
        """The Response as it stands, or its events after a cursor."""
        if isinstance(query := read_retrieve_query(call.query, call.dialect), Problem):
            return query
        if isinstance(stored := self._find(call), Problem):
            return stored
        await stored.catch_up(call.now)
        if not query.stream:
            return BodyReply.of(stored.response(call.now))
        if problem := stream_refusal(
            call.dialect,
            is_background=stored.request.background,
            is_streamed=stored.request.stream,
            age_seconds=call.now - stored.created_at,
            window_seconds=self._options.resume_window_seconds,
        ):
            return problem
        self._journal.count("resumes")
        if stored.timeline.is_over and call.dialect.finished_replay is FinishedReplay.TERMINAL_EVENT:
            events = self._last_event(stored, query.starting_after, call.dialect)
            return StreamReply(events=events, content_type=call.dialect.content_type)
        place = stored.timeline.place_after(query.starting_after)
        return self._stream(stored, call, include_obfuscation=query.include_obfuscation, place=place)

    async def list_responses(self, call: EmulatedCall) -> ServerReply | Problem:
        """A page of the tenant's Responses."""
        if isinstance(query := read_page_query(call.query, call.dialect), Problem):
            return query
        own = [stored for stored in self._kept.of(call.tenant) if not stored.is_hidden]
        own = own[::-1] if query.order == "desc" else own
        found, has_more = cut_page(own, [each.id for each in own], query)
        data: list[Fields] = []
        length = 0
        for each in found:
            await each.catch_up(call.now)
            fields = each.response(call.now)
            length += len(encode(fields))
            if length > MOST_PAGE_BYTES and data:
                has_more = True
                break
            data.append(fields)
        return BodyReply.of(page_of(data, has_more=has_more))

    async def list_input_items(self, call: EmulatedCall) -> ServerReply | Problem:
        """A page of the Response's input."""
        query = read_page_query(call.query, call.dialect)
        stored = self._find(call)
        if isinstance(query, Problem):
            return query
        if isinstance(stored, Problem):
            return stored
        return BodyReply.of(page(input_items(stored.request, response_id=stored.id), query))

    async def update_response(self, call: EmulatedCall) -> ServerReply | Problem:
        """The Response with other metadata."""
        if isinstance(stored := self._find(call), Problem):
            return stored
        if isinstance(metadata := read_metadata_update(call.body, call.dialect), Problem):
            return metadata
        stored.metadata = metadata
        await stored.catch_up(call.now)
        return BodyReply.of(stored.response(call.now))

    async def delete_response(self, call: EmulatedCall) -> ServerReply | Problem:
        """Forget the Response. An open stream of it continues."""
        if isinstance(stored := self._find(call), Problem):
            return stored
        self._kept.remove((call.tenant, call.id))
        return BodyReply.of({"id": call.id, "object": "response", "deleted": True})

    async def cancel_response(self, call: EmulatedCall) -> ServerReply | Problem:
        """Cancel the Response, as the cancel rule says."""
        if isinstance(stored := self._find(call), Problem):
            return stored
        self._journal.count("cancels")
        await stored.catch_up(call.now)
        rule = CANCEL_RULES[self._options.cancel or call.dialect.name]
        status = stored.timeline.status(call.now)
        if problem := rule.refusal(status, is_background=stored.request.background):
            return problem
        if not is_terminal_status(status):
            stored.cancel(rule.ending, call.now)
        return BodyReply.of(stored.response(call.now))

    async def compact(self, call: EmulatedCall) -> ServerReply | Problem:
        """The user's messages, and one item that stands for the rest of the conversation."""
        if isinstance(request := read_compaction(call.body, call.dialect), Problem):
            return request
        if problem := self._bad_previous(request, call):
            return problem
        previous = self._kept.get((call.tenant, request.previous_response_id or ""))
        items = [*(input_items(previous.request, response_id=previous.id) if previous else [])]
        id = self._ids.next("resp")
        items += input_items(request, response_id=id)
        summary = encode(items).decode()[:SUMMARY_CHARACTERS]
        digest = hashlib.blake2b(summary.encode(), digest_size=48).digest()
        item: Fields = {"id": self._ids.next("cmp"), "type": "compaction"}
        item["encrypted_content"] = base64.b64encode(digest).decode()
        if call.dialect.compaction_has_content:
            item["content"] = summary
        asked = input_tokens(request)
        return BodyReply.of(
            {
                "id": id,
                "object": "response.compaction",
                "created_at": int(call.now),
                "output": [*(each for each in items if each.get("role") == "user"), item],
                "usage": usage_of(asked, len(digest), 0, dialect=call.dialect),
            }
        )

    async def count_input_tokens(self, call: EmulatedCall) -> ServerReply | Problem:
        """How many tokens a create with this input would count."""
        if isinstance(request := read_token_count(call.body, call.dialect), Problem):
            return request
        if problem := self._bad_previous(request, call):
            return problem
        return BodyReply.of({"object": "response.input_tokens", "input_tokens": input_tokens(request)})

    def _refused(self, request: CreateRequest, asked: int, call: EmulatedCall) -> Problem | None:
        """Why a valid create is refused. asked: the tokens of its message."""
        if problem := bad_webhook(request, call.dialect) or _too_many(request) or self._bad_previous(request, call):
            return problem
        return self._too_long() if asked > self._options.max_answer_tokens and self._playback is None else None

    def _make_room(self, size: int, now: float) -> bool:
        """Drop Responses that are over until this one fits. Those that nobody read since may not know yet that they are."""
        looks = MOST_LOOKS

        def is_over(stored: StoredResponse) -> bool:
            nonlocal looks
            if looks and not stored.timeline.is_over and stored.timeline.next_due <= now:
                looks -= 1
                stored.timeline.catch_up(now)
            return stored.timeline.is_over

        return self._kept.make_room(size, is_over)

    def _find(self, call: EmulatedCall) -> StoredResponse | Problem:
        stored = self._kept.get((call.tenant, call.id))
        if stored and not stored.is_hidden:
            return stored
        shown = call.id[:MOST_SHOWN]
        said = f"Response with id '{shown}' not found."
        if self._kept.was_dropped((call.tenant, call.id)):
            kept = f"{self._options.keep_responses} Responses and {self._options.keep_bytes} bytes"
            said = f"{said} It was finished, and newer ones replaced it: this emulator keeps {kept}."
        elif not shown.startswith("resp"):
            return Problem(404, f"{said} There is no endpoint /responses/{shown} either.", "response_id", "not_found")
        return Problem(404, said, "response_id", "not_found")

    def _too_long(self) -> Problem:
        most = self._options.max_answer_tokens
        said = f"The input asks for an answer of more than {most} tokens, the most that this emulator gives"
        return Problem(
            400, f"{said} (max_answer_tokens). Pass max_output_tokens to get its beginning.", "input", "answer_too_long"
        )

    def _full(self, size: int) -> Problem:
        if size > self._options.keep_bytes:
            said = f"The Response would take {size} bytes of memory, and keep_bytes is {self._options.keep_bytes}."
            return Problem(413, said, code="request_too_large")
        said = f"{len(self._kept)} Responses are kept ({self._kept.bytes} bytes), and no finished one can be replaced"
        return Problem(
            429, f"{said}. Cancel or delete some, or raise keep_responses or keep_bytes.", code="emulator_full"
        )

    def _bad_previous(self, request: CreateRequest, call: EmulatedCall) -> Problem | None:
        previous = request.previous_response_id
        kept = previous and self._kept.get((call.tenant, previous))
        if previous is None or (kept and not kept.is_hidden):
            return None
        said = f"Previous response with id '{previous[:MOST_SHOWN]}' not found."
        return Problem(400, said, "previous_response_id", "previous_response_not_found")

    def _stream(
        self,
        stored: StoredResponse,
        call: EmulatedCall,
        *,
        include_obfuscation: bool | None = None,
        place: int = 0,
        on_disconnect: Callable[[], None] | None = None,
    ) -> StreamReply:
        obfuscation = is_obfuscated(stored.request, include_obfuscation, call.dialect)
        events = ResponseEvents(stored, self._clock, call.dialect, obfuscation=obfuscation)
        return StreamReply(
            events=events, content_type=call.dialect.content_type, place=place, on_disconnect=on_disconnect
        )

    def _canceller(self, stored: StoredResponse) -> Callable[[], None] | None:
        """What to do if the client of a foreground Response disconnects."""
        cancels = self._options.cancels_on_disconnect
        if cancels is None:
            cancels = stored.dialect.cancels_on_disconnect

        def cancel() -> None:
            now = self._clock.now()
            if not _is_over(stored, now):
                stored.cancel(Ending.SILENT, now)

        return cancel if cancels else None

    def _create(self, call: EmulatedCall, request: CreateRequest) -> StoredResponse:
        options = self._options
        id = self._ids.next("resp")
        script = self._playback or answer(
            request,
            response_id=id,
            created_at=float(int(call.now)),
            dialect=call.dialect,
            seed=options.seed,
            most_tokens=options.max_answer_tokens,
        )
        id = str(script.begun.get("id", id))
        speed, queue = options.tokens_per_second or None, options.queue_seconds * request.background
        is_quiet = request.background and not request.stream and not request.stream_events
        timeline = Timeline(
            script,
            Tempo(call.now, queue, speed, options.hold_after_events),
            call.dialect,
            is_queued=request.background,
            has_deltas=not (is_quiet and call.dialect.resume_needs_stream is False),
            faults=() if script.is_recorded else call.faults,  # a recording stays as it is
        )
        return StoredResponse(
            id=id,
            dialect=call.dialect,
            request=request,
            created_at=call.now,
            begun=script.begun,
            timeline=timeline,
            is_hidden=not (request.store or request.background),
        )

    def _last_event(self, stored: StoredResponse, starting_after: int | None, dialect: Dialect) -> EventFeed:
        """The events of a Response that is over: its terminal event alone; none if the reader has it already."""
        last = stored.timeline.entries[-1]
        if not last.is_terminal or (starting_after is not None and starting_after >= (last.number or 0)):
            return FixedEvents()
        data = last.data(dialect, obfuscation=False)
        if self._options.numbers_finished_next and starting_after is not None:
            data = event_data(last.fields, sequence_number=starting_after + 1, dialect=dialect, obfuscation=False)
        return FixedEvents(Frame(event=last.type.encode(), data=data))


def _when_over(stored: StoredResponse, now: float) -> BodyReply | float:
    """The Response once nothing more happens to it, else the seconds until its next event."""
    if not stored.timeline.catch_up(now):
        return 0.0
    return BodyReply.of(stored.response(now)) if stored.timeline.is_over else stored.timeline.next_due - now


def _is_over(stored: StoredResponse, now: float) -> bool:
    """Whether nothing more happens to it. If much of it is due at once, this takes several calls to find out."""
    if not stored.timeline.is_over and stored.timeline.next_due <= now:
        stored.timeline.catch_up(now)
    return stored.timeline.is_over


def _too_many(request: CreateRequest) -> Problem | None:
    """What makes an answer cost more than its tokens do."""
    choice = request.fields.get("tool_choice")
    chosen = choice.get("tools") if is_object(choice) else None
    for name, given in (
        ("tools", request.fields.get("tools")),
        ("tool_choice.tools", chosen),
        ("include", request.fields.get("include")),
    ):
        if is_list(given) and len(given) > MOST_TOOLS:
            return Problem(
                400, f"{name} must have at most {MOST_TOOLS} entries, got {len(given)}.", name, "invalid_value"
            )
    return None


def _size(request: CreateRequest, body: bytes, tokens: int, *, most_tokens: int) -> int:
    """What the Response that a body creates may take of the memory, in bytes. tokens: of its message."""
    tools = len(request.fields.get("tools") or ())
    if request.fields.get("reasoning"):
        tokens += THOUGHT_TOKENS
    if tools or request.fields.get("text"):  # arguments and answers that fit a schema
        tokens += len(body) // BYTES_PER_SCHEMA_TOKEN
    each = TOKEN_BYTES + LOGPROB_BYTES * has_logprobs(request)
    answer = each * min(tokens, most_tokens, request.max_output_tokens or most_tokens) + TOOL_BYTES * tools
    return RESPONSE_BYTES + ECHOES * len(body) + VALUE_BYTES * value_marks(body) + answer
