"""The events that a relay makes itself: the end of a response whose stream has none."""

from collections.abc import Sequence
from typing import Any

from msgspec import Raw
from msgspec.json import Decoder, encode

from streamfold.fold import State, snapshot_json
from streamfold.log import Record
from streamfold.relay.bridge import bridge

UPSTREAM_LOST = "upstream_lost"
LOST = "the upstream of the response is lost"
CANCELLED = "the response was cancelled outside its stream"
TOOK_BACK = "its end does not continue what was sent; GET the whole Response"
# The statuses that have an event of their own name. A response of any other status has failed, as far as a client that
# reads the stream can know; its Response says the rest.
STATUSES = frozenset({"completed", "incomplete", "failed", "cancelled"})
ENDS = frozenset({*(f"response.{status}" for status in STATUSES), "error"})
"""The names of the events that end a stream."""

# Inside a string of the answer the quotes would be escaped, so this is the error's own code.
LOST_MARK = b'"error":{"code":"%b",' % UPSTREAM_LOST.encode()

_decode_fields = Decoder(dict[str, Raw]).decode


def made_end(before: State, final: State, number: int) -> Sequence[Record]:
    """The events that end a stream whose response ended outside it: what was missed, and the terminal event.

    Args:
        before: After the last event that the stream brought.
        final: How the response ended.
        number: The number of the first of them.

    Raises:
        NoBridge: The final output does not continue what was sent.
    """
    missed = bridge(before, final, number)
    return [*missed, last_event(final, number + len(missed))]


def last_event(state: State, number: int) -> Record:
    """The terminal event of a response whose end was learned outside its stream, from a GET or a cancel's answer.

    Args:
        state: The final state.
        number: The event's number.
    """
    status = state.status if state.status in STATUSES else "failed"
    return _event(f"response.{status}", number, Raw(snapshot_json(state)))


def lost_event(state: State, number: int, reason: str) -> Record:
    """The event that ends a response whose upstream is lost: failed, with everything that was received.

    Args:
        state: What was received.
        number: The event's number.
        reason: Why nothing more can be learned, in words.
    """
    fields: dict[str, Any] = dict(_decode_fields(snapshot_json(state)))
    fields["status"] = "failed"
    fields["error"] = {"code": UPSTREAM_LOST, "message": f"The relay lost the upstream of this response: {reason}."}
    return _event("response.failed", number, fields)


def is_lost(record: Record) -> bool:
    """Whether a record is an event that `lost_event` made."""
    return record.name == "response.failed" and LOST_MARK in record.data


def _event(name: str, number: int, response: object) -> Record:
    return Record(number, name, encode({"type": name, "sequence_number": number, "response": response}))
