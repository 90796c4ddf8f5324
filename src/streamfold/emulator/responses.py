"""The endpoints of Responses: create, retrieve, stream, list, update, delete, cancel."""

from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from streamfold.chaos import Fault
from streamfold.emulator.model import answer, input_items, read_playback
from streamfold.emulator.options import Options
from streamfold.emulator.request_log import Journal
from streamfold.emulator.store import IdSource, ResponseEvents, StoredResponse, page
from streamfold.emulator.timeline import CANCEL_RULES, Ending, Tempo, Timeline, stream_refusal
from streamfold.errors import UsageError
from streamfold.schema import Dialect, FinishedReplay, WebhookScheme, is_terminal_status
from streamfold.serving import (
    ApiCall,
    BodyReply,
    Clock,
    CreateRequest,
    EventFeed,
    FixedEvents,
    PendingReply,
    Problem,
    ServerReply,
    StreamReply,
    event_data,
    is_obfuscated,
    read_create,
    read_metadata_update,
    read_page_query,
    read_retrieve_query,
    shape_response,
)
from streamfold.sse import Frame
from streamfold.webhook import sign_standard


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
        self._kept: dict[tuple[str, str], StoredResponse] = {}  # by tenant and id, oldest first
        playback = options.playback
        data = playback.read_bytes() if isinstance(playback, Path) else playback
        self._playback = None if data is None else read_playback(data)

    def create_response(self, call: EmulatedCall) -> ServerReply | Problem:
        """Create a Response; answer with its stream, with its beginning, or with its end."""
        if isinstance(request := read_create(call.body, call.dialect), Problem):
            return request
        if problem := _bad_secret(request, call.dialect) or self._bad_previous(request, call):
            return problem
        stored = self._create(call, request)
        if request.store or request.background:
            self._kept[call.tenant, stored.id] = stored
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

    def retrieve_response(self, call: EmulatedCall) -> ServerReply | Problem:
        """The Response as it stands, or its events after a cursor."""
        if isinstance(query := read_retrieve_query(call.query, call.dialect), Problem):
            return query
        if isinstance(stored := self._find(call), Problem):
            return stored
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
        stored.timeline.advance(call.now)
        if stored.timeline.is_over and call.dialect.finished_replay is FinishedReplay.TERMINAL_EVENT:
            events = self._last_event(stored, query.starting_after, call.dialect)
            return StreamReply(events=events, content_type=call.dialect.content_type)
        place = stored.timeline.place_after(query.starting_after)
        return self._stream(stored, call, include_obfuscation=query.include_obfuscation, place=place)

    def list_responses(self, call: EmulatedCall) -> ServerReply | Problem:
        """A page of the tenant's Responses."""
        if isinstance(query := read_page_query(call.query, call.dialect), Problem):
            return query
        own = [stored for (tenant, _), stored in self._kept.items() if tenant == call.tenant]
        return BodyReply.of(page((each.response(call.now) for each in own), query))

    def list_input_items(self, call: EmulatedCall) -> ServerReply | Problem:
        """A page of the Response's input."""
        query = read_page_query(call.query, call.dialect)
        stored = self._find(call)
        if isinstance(query, Problem):
            return query
        if isinstance(stored, Problem):
            return stored
        return BodyReply.of(page(input_items(stored.request, response_id=stored.id), query))

    def update_response(self, call: EmulatedCall) -> ServerReply | Problem:
        """The Response with other metadata."""
        if isinstance(stored := self._find(call), Problem):
            return stored
        if isinstance(metadata := read_metadata_update(call.body, call.dialect), Problem):
            return metadata
        stored.metadata = metadata
        return BodyReply.of(stored.response(call.now))

    def delete_response(self, call: EmulatedCall) -> ServerReply | Problem:
        """Forget the Response. An open stream of it continues."""
        if isinstance(stored := self._find(call), Problem):
            return stored
        del self._kept[call.tenant, call.id]
        return BodyReply.of({"id": call.id, "object": "response", "deleted": True})

    def cancel_response(self, call: EmulatedCall) -> ServerReply | Problem:
        """Cancel the Response, as the cancel rule says."""
        if isinstance(stored := self._find(call), Problem):
            return stored
        self._journal.count("cancels")
        rule = CANCEL_RULES[self._options.cancel or call.dialect.name]
        status = stored.timeline.status(call.now)
        if problem := rule.refusal(status, is_background=stored.request.background):
            return problem
        if not is_terminal_status(status):
            stored.cancel(rule.ending, call.now)
        return BodyReply.of(stored.response(call.now))

    def _find(self, call: EmulatedCall) -> StoredResponse | Problem:
        stored = self._kept.get((call.tenant, call.id))
        return stored or Problem(404, f"Response with id '{call.id}' not found.", "response_id", "not_found")

    def _bad_previous(self, request: CreateRequest, call: EmulatedCall) -> Problem | None:
        previous = request.previous_response_id
        if previous is None or (call.tenant, previous) in self._kept:
            return None
        said = f"Previous response with id '{previous}' not found."
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
            if not is_terminal_status(stored.timeline.status(now)):
                stored.cancel(Ending.SILENT, now)

        return cancel if cancels else None

    def _create(self, call: EmulatedCall, request: CreateRequest) -> StoredResponse:
        options = self._options
        id = self._ids.next("resp")
        script = self._playback or answer(
            request, response_id=id, created_at=float(int(call.now)), dialect=call.dialect, seed=options.seed
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
    stored.timeline.advance(now)
    return BodyReply.of(stored.response(now)) if stored.timeline.is_over else stored.timeline.next_due - now


def _bad_secret(request: CreateRequest, dialect: Dialect) -> Problem | None:
    """Standard Webhooks signs with the bytes that the secret is base64 of; MKA1's secrets are any text."""
    if dialect.webhook_scheme is WebhookScheme.MKA1 or request.webhook_secret is None:
        return None
    try:
        sign_standard(b"", request.webhook_secret, message_id="", timestamp=0)
    except UsageError:
        return Problem(400, "webhook_secret must be whsec_ and base64.", "webhook_secret", "invalid_value")
    return None
