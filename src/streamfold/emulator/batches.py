"""The endpoints of batches: create, retrieve, list, cancel. The clock moves their statuses.

    validating -> in_progress -> finalizing -> completed          each but the last lasts `batch_stage_seconds`
    any of the first three -> cancelling -> cancelled             after `batch_cancel_seconds`

An input_file_id that contains `fail` makes a batch that fails, one that contains `expire` a batch that expires.
"""

import math

from attrs import define

from streamfold.emulator.options import Options
from streamfold.emulator.request_log import Journal
from streamfold.emulator.store import IdSource, Shelf, page
from streamfold.emulator.timeline import CANCEL_RULES, Ending
from streamfold.serving import (
    ApiCall,
    BodyReply,
    Fields,
    Problem,
    ServerReply,
    read_batch_create,
    read_page_query,
)

DAY_SECONDS = 24 * 60 * 60
TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
WRONG_LINE: Fields = {"code": "invalid_json_line", "message": "This line is not valid JSON.", "param": None, "line": 1}
ERRORS: Fields = {"object": "list", "data": [WRONG_LINE]}
BATCH_BYTES = 4_000  # of one, beside its request
KEEP_BYTES = 64 * 2**20  # of all
OVER = ("completed", "failed", "expired", "cancelled")


@define(kw_only=True, eq=False)
class EmulatedBatch:
    """One batch.

    stages: when each of its statuses begins, in order. works: the time over which its requests complete, from and to.
    total: the number of its requests. stopped_at: when it was cancelled.
    """

    id: str
    request: Fields
    created_at: float
    stages: list[tuple[str, float]]
    works: tuple[float, float]
    total: int
    stopped_at: float = math.inf

    def status(self, now: float) -> str:
        """Its status at this time."""
        return [name for name, begins in self.stages if begins <= now][-1]

    def cancel(self, now: float, last: str, seconds: float) -> None:
        """Keep the statuses that have begun; then it is cancelling, and after `seconds` its last status."""
        past = [stage for stage in self.stages if stage[1] <= now]
        self.stages = [*past, ("cancelling", now), (last, now + seconds)]
        self.stopped_at = now

    def fields(self, now: float) -> Fields:
        """The Batch as it stands."""
        begun = {name: int(begins) for name, begins in self.stages if begins <= now}
        status = self.status(now)
        done = self._done(now)
        return {
            "id": self.id,
            "object": "batch",
            **self.request,
            "errors": ERRORS if status == "failed" else None,
            "status": status,
            "output_file_id": f"file_{self.id.removeprefix('batch_')}" if done and status in OVER else None,
            "error_file_id": None,
            "created_at": int(self.created_at),
            "expires_at": int(self.created_at) + DAY_SECONDS,
            **{f"{name}_at": begun.get(name) for name in TIMES},
            "request_counts": {"total": self.total, "completed": done, "failed": 0},
        }

    def _done(self, now: float) -> int:
        """How many requests are done: they complete evenly over the time in progress, none after a cancel."""
        if self.status(now) == "completed":
            return self.total
        start, end = self.works
        worked = min(now, self.stopped_at) - start
        return int(self.total * min(1.0, worked / (end - start))) if worked > 0 and end > start else 0


class BatchEndpoints:
    """All batches of an emulator, and what each endpoint answers."""

    def __init__(self, options: Options, ids: IdSource, journal: Journal) -> None:
        self._options = options
        self._ids = ids
        self._journal = journal
        self._kept: Shelf[EmulatedBatch] = Shelf(options.keep_responses, KEEP_BYTES)

    async def create_batch(self, call: ApiCall) -> ServerReply | Problem:
        """Create a batch; its requests are invented."""
        if isinstance(request := read_batch_create(call.body, call.dialect), Problem):
            return request
        size = BATCH_BYTES + len(call.body)
        if not self._kept.make_room(size, lambda batch: batch.status(call.now) in OVER):
            return Problem(429, f"{len(self._kept)} batches are kept, and none of them is over.", code="emulator_full")
        stages = _stages(request["input_file_id"], call.now, self._options.batch_stage_seconds)
        begins = dict(stages)
        start = begins.get("in_progress", math.inf)
        batch = EmulatedBatch(
            id=self._ids.next("batch"),
            request=request,
            created_at=call.now,
            stages=stages,
            works=(start, begins.get("finalizing", begins.get("expired", start))),
            total=self._options.batch_requests,
        )
        self._kept.add((call.tenant, batch.id), batch, size)
        return BodyReply.of(batch.fields(call.now))

    async def retrieve_batch(self, call: ApiCall) -> ServerReply | Problem:
        """The batch as it stands."""
        batch = self._find(call)
        return batch if isinstance(batch, Problem) else BodyReply.of(batch.fields(call.now))

    async def list_batches(self, call: ApiCall) -> ServerReply | Problem:
        """A page of the tenant's batches."""
        if isinstance(query := read_page_query(call.query, call.dialect), Problem):
            return query
        return BodyReply.of(page((each.fields(call.now) for each in self._kept.of(call.tenant)), query))

    async def cancel_batch(self, call: ApiCall) -> ServerReply | Problem:
        """Cancel the batch. A second cancel changes nothing; one of a batch that is over is refused."""
        if isinstance(batch := self._find(call), Problem):
            return batch
        self._journal.count("batch_cancels")
        rule = CANCEL_RULES[self._options.cancel or call.dialect.name]
        status = batch.status(call.now)
        if status in OVER and status != "cancelled" and rule.finished_status != 200:
            return Problem(rule.finished_status, f"Cannot cancel a {status} batch.", "batch_id")
        if status not in (*OVER, "cancelling"):
            last = "completed" if rule.ending is Ending.GOES_ON else "cancelled"
            batch.cancel(call.now, last, self._options.batch_cancel_seconds)
        return BodyReply.of(batch.fields(call.now))

    def _find(self, call: ApiCall) -> EmulatedBatch | Problem:
        batch = self._kept.get((call.tenant, call.id))
        if batch is not None:
            return batch
        said = f"Batch with id '{call.id[:64]}' not found."
        if self._kept.was_dropped((call.tenant, call.id)):
            said += " It was over, and newer ones replaced it."
        return Problem(404, said, "batch_id", "not_found")


def _stages(input_file_id: str, now: float, seconds: float) -> list[tuple[str, float]]:
    """When each status begins, unless it is cancelled."""
    if "fail" in input_file_id:
        names = ["validating", "failed"]
    elif "expire" in input_file_id:
        names = ["validating", "in_progress", "expired"]
    else:
        names = ["validating", "in_progress", "finalizing", "completed"]
    return [(name, now + at * seconds) for at, name in enumerate(names)]
