"""The endpoints of Responses: create, retrieve, stream, list, update, delete, cancel.

In      Calls
Out     Replies, or Problems
Units   Unix seconds; sequence numbers
Errors  none
Source  docs/reference/emulator.md; the protocol reference, sections 4 to 6, 8 and 13
"""

from collections.abc import Callable
from pathlib import Path

from streamfold.emulator.body import input_items
from streamfold.emulator.call import Call
from streamfold.emulator.cancel import cancel_rule
from streamfold.emulator.journal import Journal
from streamfold.emulator.model import Script, answer
from streamfold.emulator.options import Options
from streamfold.emulator.playback import read_recording
from streamfold.emulator.query import read_page_query, read_retrieve_query
from streamfold.emulator.record import Names, Record, Shelf, page
from streamfold.emulator.reply import Json, Pending, Reply, Stream
from streamfold.emulator.request import CreateRequest, Problem, read_create, read_metadata_update
from streamfold.emulator.timeline import Pace, Timeline
from streamfold.emulator.wire import event_data, is_obfuscated, shape_response
from streamfold.errors import UsageError
from streamfold.schema import Dialect, FinishedReplay, is_terminal_status
from streamfold.webhook import sign_standard

__all__ = ["Responses"]


class Responses:
    """All Responses of an emulator. Every method named as an endpoint takes a Call and answers it."""

    def __init__(self, options: Options, names: Names, journal: Journal, told: Callable[[Record], None]) -> None:
        self._options = options
        self._names = names
        self._journal = journal
        self._told = told
        self._shelf: Shelf[Record] = Shelf()
        playback = options.playback
        data = playback.read_bytes() if isinstance(playback, Path) else playback
        self._recording = None if data is None else read_recording(data)

    def create_response(self, call: Call) -> Reply | Problem:
        """Make a Response; answer with its stream, with its beginning, or with its end."""
        request = read_create(call.body, call.dialect)
        if isinstance(request, Problem):
            return request
        if problem := _bad_secret(request, call.dialect):
            return problem
        previous = request.previous_response_id
        if previous is not None and self._shelf.find(call.tenant, previous) is None:
            said = f"Previous response with id '{previous}' not found."
            return Problem(400, said, "previous_response_id", "previous_response_not_found")
        record = self._make(call, request)
        if request.store or request.background:
            self._shelf.put(record)
        self._journal.count("creates")
        self._told(record)
        if request.stream:
            padded = is_obfuscated(request, None, call.dialect)
            return Stream(record=record, dialect=call.dialect, obfuscation=padded, is_foreground=not request.background)
        if request.background:
            return Json.of(shape_response(record.begun | {"status": "queued"}, call.dialect))
        return Pending(record)

    def retrieve_response(self, call: Call) -> Reply | Problem:
        """The Response as it stands, or its events after a cursor."""
        query = read_retrieve_query(call.query, call.dialect)
        if isinstance(query, Problem):
            return query
        record = self._find(call)
        if isinstance(record, Problem):
            return record
        if not query.stream:
            return Json.of(record.response(call.now))
        if problem := self._unstreamable(record, call):
            return problem
        self._journal.count("resumes")
        padded = is_obfuscated(record.request, query.include_obfuscation, call.dialect)
        timeline = record.timeline
        timeline.advance(call.now)
        if timeline.is_over and call.dialect.finished_replay is FinishedReplay.TERMINAL_EVENT:
            return self._finished(record, query.starting_after, call.dialect)
        start = timeline.place_after(query.starting_after)
        return Stream(record=record, dialect=call.dialect, obfuscation=padded, start=start)

    def list_responses(self, call: Call) -> Reply | Problem:
        """A page of the tenant's Responses."""
        query = read_page_query(call.query, call.dialect)
        if isinstance(query, Problem):
            return query
        return Json.of(page((each.response(call.now) for each in self._shelf.of(call.tenant)), query))

    def list_input_items(self, call: Call) -> Reply | Problem:
        """A page of what the Response was asked with."""
        query = read_page_query(call.query, call.dialect)
        record = self._find(call)
        if isinstance(query, Problem):
            return query
        if isinstance(record, Problem):
            return record
        return Json.of(page(input_items(record.request, response_id=record.id), query))

    def update_response(self, call: Call) -> Reply | Problem:
        """The Response with other metadata."""
        record = self._find(call)
        if isinstance(record, Problem):
            return record
        metadata = read_metadata_update(call.body, call.dialect)
        if isinstance(metadata, Problem):
            return metadata
        record.metadata = metadata
        return Json.of(record.response(call.now))

    def delete_response(self, call: Call) -> Reply | Problem:
        """Forget the Response. A stream of it that is open goes on."""
        record = self._find(call)
        if isinstance(record, Problem):
            return record
        self._shelf.drop(call.tenant, call.id)
        return Json.of({"id": call.id, "object": "response", "deleted": True})

    def cancel_response(self, call: Call) -> Reply | Problem:
        """Cancel the Response, as the dialect of cancels has it."""
        record = self._find(call)
        if isinstance(record, Problem):
            return record
        self._journal.count("cancels")
        rule = cancel_rule(self._options.cancel or call.dialect.name)
        if not record.request.background:
            return Problem(400, "Cannot cancel a synchronous response.", "response_id")
        response = record.response(call.now)
        status = str(response.get("status"))
        if not is_terminal_status(status):
            record.timeline.cancel(rule.ending, call.now)
            return Json.of(record.response(call.now))
        refused = rule.again_status if status == "cancelled" else rule.finished_status
        if refused == 200:
            return Json.of(response)
        return Problem(refused, f"Cannot cancel a {status} response.", "response_id")

    def _find(self, call: Call) -> Record | Problem:
        record = self._shelf.find(call.tenant, call.id)
        return record or Problem(404, f"Response with id '{call.id}' not found.", "response_id", "not_found")

    def _make(self, call: Call, request: CreateRequest) -> Record:
        options = self._options
        id = self._names.next("resp")
        created_at = float(int(call.now))
        script = self._script(request, id, created_at, call.dialect)
        id = str(script.begun.get("id", id))
        speed, queue = options.tokens_per_second or None, options.queue_seconds * request.background
        pace = Pace(call.now, queue, speed, options.hold_after_events)
        is_quiet = request.background and not request.stream and not request.stream_events
        timeline = Timeline(
            script,
            pace,
            call.dialect,
            is_queued=request.background,
            has_deltas=not (is_quiet and call.dialect.resume_needs_stream is False),
            faults=() if script.is_recorded else call.faults,  # a recording stays as it is
        )
        return Record(
            id=id,
            tenant=call.tenant,
            dialect=call.dialect,
            request=request,
            created_at=call.now,
            begun=script.begun,
            timeline=timeline,
        )

    def _script(self, request: CreateRequest, id: str, created_at: float, dialect: Dialect) -> Script:
        if self._recording is not None:
            return self._recording.script()
        return answer(request, response_id=id, created_at=created_at, dialect=dialect, seed=self._options.seed)

    def _unstreamable(self, record: Record, call: Call) -> Problem | None:
        """Why no stream of this Response can be had, in the words that were seen."""
        if call.dialect.resume_needs_background and not record.request.background:
            return _cannot_stream("it was not created with background=true")
        if call.dialect.resume_needs_stream and not record.request.stream:
            return _cannot_stream("it was not created with stream=true")
        window = self._options.resume_window_seconds
        if window is None:
            window = call.dialect.resume_window_seconds
        if window is not None and call.now - record.created_at >= window:
            age = f"{window / 60:g} minutes" if window else "0 minutes"
            return Problem(400, f"This response can no longer be streamed because it is more than {age} old.")
        return None

    def _finished(self, record: Record, starting_after: int | None, dialect: Dialect) -> Stream:
        """The stream of a Response that is over: its terminal event alone, or nothing for who has it already."""
        nothing = Stream(record=record, dialect=dialect, obfuscation=False, start=len(record.timeline.entries))
        last = record.timeline.entries[-1]
        if not last.is_terminal or (starting_after is not None and starting_after >= (last.number or 0)):
            return nothing
        data = last.data(dialect, obfuscation=False)
        if self._options.numbers_finished_next and starting_after is not None:
            data = event_data(last.fields, sequence_number=starting_after + 1, dialect=dialect, obfuscation=False)
        return Stream(record=record, dialect=dialect, obfuscation=False, single=(last.type, data))


def _cannot_stream(why: str) -> Problem:
    return Problem(400, f"This response cannot be streamed because {why}.", "response_id")


def _bad_secret(request: CreateRequest, dialect: Dialect) -> Problem | None:
    """OpenAI's secrets are base64, for Standard Webhooks signs with the bytes; MKA1's are any text."""
    if dialect.name == "mka1" or request.webhook_secret is None:
        return None
    try:
        sign_standard(b"", request.webhook_secret, message_id="", timestamp=0)
    except UsageError:
        return Problem(400, "webhook_secret must be whsec_ and base64.", "webhook_secret", "invalid_value")
    return None
