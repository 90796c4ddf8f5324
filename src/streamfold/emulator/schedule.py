"""Which faults a request meets: those of the options, those its header asks for, and those that the plan draws.

In      the route, the query, the body and the headers of a request
Out     Faults
Units   requests
Errors  InvalidArgument for a header that names no fault
Source  docs/reference/emulator.md
"""

import random
from collections.abc import Set as AbstractSet

import msgspec

from streamfold.chaos import Fault, Target, draw_faults, parse_faults
from streamfold.emulator.options import Options
from streamfold.emulator.query import RetrieveQuery, read_retrieve_query
from streamfold.emulator.route import Route
from streamfold.schema import UNDECODABLE

__all__ = ["FAULT_HEADER", "Schedule", "targets_of"]

FAULT_HEADER = "x-streamfold-fault"


class Schedule:
    """The faults to come, in the order of the requests."""

    def __init__(self, options: Options) -> None:
        self._left: dict[int, int | None] = {at: fault.times for at, fault in enumerate(options.faults)}
        self._faults = options.faults
        self._plan = options.plan
        self._draw = random.Random(options.plan.seed if options.plan else 0).random

    def faults(self, targets: AbstractSet[Target], header: str | None) -> tuple[Fault, ...]:
        """The faults of one request, once; each that it meets counts towards its `times`.

        Those of the header are for this request, whatever they are said to be for.
        Raises: InvalidArgument for a header that names no fault.
        """
        asked = parse_faults(header) if header else ()
        drawn = draw_faults(self._plan, self._draw) if self._plan and Target.STREAM in targets else ()
        return (*asked, *self._standing(targets), *(each for each in drawn if each.on in targets))

    def _standing(self, targets: AbstractSet[Target]) -> list[Fault]:
        met: list[Fault] = []
        for at, fault in enumerate(self._faults):
            left = self._left[at]
            if fault.on in targets and left != 0:
                self._left[at] = None if left is None else left - 1
                met.append(fault)
        return met


def targets_of(route: Route, query: bytes, body: bytes) -> frozenset[Target]:
    """What a request is to the `on` of a fault."""
    match route.endpoint:
        case "create_response":
            found = {Target.CREATE, Target.STREAM} if _asks_for_stream(body) else {Target.CREATE}
        case "retrieve_response":
            asked = read_retrieve_query(query, route.dialect)
            streams = isinstance(asked, RetrieveQuery) and asked.stream
            found = {Target.RESUME, Target.STREAM} if streams else {Target.RETRIEVE}
        case "retrieve_batch":
            found = {Target.RETRIEVE}
        case "cancel_response" | "cancel_batch":
            found = {Target.CANCEL}
        case _:
            found = set[Target]()
    return frozenset(found | {Target.ALL})


class _Body(msgspec.Struct):
    stream: bool = False


def _asks_for_stream(body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=_Body).stream
    except UNDECODABLE:
        return False
