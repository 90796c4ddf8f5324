"""The endpoints of batches: create, retrieve, list, cancel. Their statuses are moved by the clock.

In      Calls
Out     Replies, or Problems
Units   Unix seconds
Errors  none
Source  docs/reference/emulator.md; the protocol reference, section 7

    validating -> in_progress -> finalizing -> completed          each but the last lasts `batch_stage_seconds`
    any of the first three -> cancelling -> cancelled             after `batch_cancel_seconds`
An input_file_id with the word `fail` makes a batch that fails, one with `expire` a batch that expires.
"""

import math

from attrs import define

from streamfold.emulator.call import Call
from streamfold.emulator.cancel import Ending, cancel_rule
from streamfold.emulator.journal import Journal
from streamfold.emulator.options import Options
from streamfold.emulator.query import read_page_query
from streamfold.emulator.record import Names, Shelf, page
from streamfold.emulator.reply import Json, Reply
from streamfold.emulator.request import BatchRequest, Fields, Problem, read_batch_create
from streamfold.schema import Dialect

__all__ = ["Batches"]

DAY_SECONDS = 24 * 60 * 60
TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
OVER = ("completed", "failed", "expired", "cancelled")


@define(kw_only=True, eq=False)
class Batch:
    """One batch: how it was asked for, and when each of its statuses begins, in order.

    works: from when to when its requests are done. stopped_at: when it was cancelled. total: of its requests.
    """

    id: str
    tenant: str
    request: BatchRequest
    created_at: float
    stages: list[tuple[str, float]]
    works: tuple[float, float]
    total: int
    stopped_at: float = math.inf

    def status(self, now: float) -> str:
        """Its status at this time."""
        return [name for name, begins in self.stages if begins <= now][-1]

    def cancel(self, now: float, last: str, seconds: float) -> None:
        """What has happened stays; then it is cancelling, and at last what it is to become."""
        past = [stage for stage in self.stages if stage[1] <= now]
        self.stages = [*past, ("cancelling", now), (last, now + seconds)]
        self.stopped_at = now

    def fields(self, now: float, dialect: Dialect) -> Fields:
        """The Batch as it stands."""
        begun = {name: int(begins) for name, begins in self.stages if begins <= now}
        status = self.status(now)
        done = self._done(now)
        request = self.request
        fields: Fields = {
            "id": self.id,
            "object": "batch",
            "endpoint": request.endpoint,
            "errors": _errors() if status == "failed" else None,
            "input_file_id": request.input_file_id,
            "completion_window": request.completion_window,
            "status": status,
            "output_file_id": f"file_{self.id.removeprefix('batch_')}" if done and status in OVER else None,
            "error_file_id": None,
            "created_at": int(self.created_at),
            "expires_at": int(self.created_at) + DAY_SECONDS,
            **{f"{name}_at": begun.get(name) for name in TIMES},
            "request_counts": {"total": self.total, "completed": done, "failed": 0},
            "metadata": None if request.metadata is None else dict(request.metadata),
        }
        if dialect.requires_max_concurrency:
            fields["max_concurrency"] = request.max_concurrency
        return fields

    def _done(self, now: float) -> int:
        """How many requests are done: they end evenly over the time in progress, and none after a cancel."""
        if self.status(now) == "completed":
            return self.total
        start, end = self.works
        worked = min(now, self.stopped_at) - start
        return int(self.total * min(1.0, worked / (end - start))) if worked > 0 and end > start else 0


class Batches:
    """All batches of an emulator. Every method named as an endpoint takes a Call and answers it."""

    def __init__(self, options: Options, names: Names, journal: Journal) -> None:
        self._options = options
        self._names = names
        self._journal = journal
        self._shelf: Shelf[Batch] = Shelf()

    def create_batch(self, call: Call) -> Reply | Problem:
        """Make a batch; its requests are made up."""
        request = read_batch_create(call.body, call.dialect)
        if isinstance(request, Problem):
            return request
        stages = _stages(request.input_file_id, call.now, self._options.batch_stage_seconds)
        begins = dict(stages)
        start = begins.get("in_progress", math.inf)
        batch = Batch(
            id=self._names.next("batch"),
            tenant=call.tenant,
            request=request,
            created_at=call.now,
            stages=stages,
            works=(start, begins.get("finalizing", begins.get("expired", start))),
            total=self._options.batch_requests,
        )
        self._shelf.put(batch)
        return Json.of(batch.fields(call.now, call.dialect))

    def retrieve_batch(self, call: Call) -> Reply | Problem:
        """The batch as it stands."""
        batch = self._find(call)
        return batch if isinstance(batch, Problem) else Json.of(batch.fields(call.now, call.dialect))

    def list_batches(self, call: Call) -> Reply | Problem:
        """A page of the tenant's batches."""
        query = read_page_query(call.query, call.dialect)
        if isinstance(query, Problem):
            return query
        return Json.of(page((each.fields(call.now, call.dialect) for each in self._shelf.of(call.tenant)), query))

    def cancel_batch(self, call: Call) -> Reply | Problem:
        """Cancel the batch: a second time changes nothing, one that is over is refused."""
        batch = self._find(call)
        if isinstance(batch, Problem):
            return batch
        self._journal.count("batch_cancels")
        rule = cancel_rule(self._options.cancel or call.dialect.name)
        status = batch.status(call.now)
        if status in OVER and status != "cancelled" and rule.finished_status != 200:
            return Problem(rule.finished_status, f"Cannot cancel a {status} batch.", "batch_id")
        if status not in (*OVER, "cancelling"):
            last = "completed" if rule.ending is Ending.GOES_ON else "cancelled"
            batch.cancel(call.now, last, self._options.batch_cancel_seconds)
        return Json.of(batch.fields(call.now, call.dialect))

    def _find(self, call: Call) -> Batch | Problem:
        batch = self._shelf.find(call.tenant, call.id)
        return batch or Problem(404, f"Batch with id '{call.id}' not found.", "batch_id", "not_found")


def _stages(input_file_id: str, now: float, seconds: float) -> list[tuple[str, float]]:
    """When each status begins, if nobody cancels."""
    if "fail" in input_file_id:
        names = ["validating", "failed"]
    elif "expire" in input_file_id:
        names = ["validating", "in_progress", "expired"]
    else:
        names = ["validating", "in_progress", "finalizing", "completed"]
    return [(name, now + at * seconds) for at, name in enumerate(names)]


def _errors() -> Fields:
    said = {"code": "invalid_json_line", "message": "This line is no JSON.", "param": None, "line": 1}
    return {"object": "list", "data": [said]}
