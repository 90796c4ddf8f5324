"""Every case of the corpus of parsing cases, in its own chunks and in others: the frames must be the same.

The file's own `doc` key explains its form. What is known only when the tests run cannot be a parameter of them, so
each test goes through all cases and names those that failed.
"""

import base64
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamfold.sse import Frame, FrameDecoder

CASES = 429
SMALL_BYTES = 10_000
NAMES = {"name", "class", "source", "hard", "notes"}
FORMS = {"chunks", "events", "tolerant_events", "after_chunk", "final", "ignore"}

Case = dict[str, Any]
Recut = Callable[[list[bytes]], list[bytes]]


@pytest.fixture(scope="module")
def cases(corpus: Path) -> list[Case]:
    return json.loads((corpus / "conformance" / "sse_cases.json").read_text(encoding="utf-8"))["cases"]


def chunks_of(case: Case) -> list[bytes]:
    return [chunk for entry in case["chunks"] for chunk in expand(entry)]


def expand(entry: str | dict[str, Any]) -> list[bytes]:
    """One chunk; or bytes repeated, as one chunk or cut by size."""
    if isinstance(entry, str):
        return [base64.b64decode(entry)]
    whole = base64.b64decode(entry["b64"]) * entry["repeat"]
    size = entry.get("size", len(whole))
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def as_given(chunks: list[bytes]) -> list[bytes]:
    return chunks


def as_one(chunks: list[bytes]) -> list[bytes]:
    return [b"".join(chunks)]


def byte_by_byte(chunks: list[bytes]) -> list[bytes]:
    return [byte.to_bytes() for byte in b"".join(chunks)]


def cut_at_random(chunks: list[bytes]) -> list[bytes]:
    """Pieces of 1 to 2, 9 or 1,000 bytes; the same ones in every run."""
    stream = b"".join(chunks)
    chance = random.Random(stream)
    pieces: list[bytes] = []
    longest, start = chance.choice([2, 9, 1000]), 0
    while start < len(stream):
        end = start + chance.randint(1, longest)
        pieces.append(stream[start:end])
        start = end
    return pieces


def expected_events(case: Case, *, tolerant: bool) -> list[Case]:
    events = case.get("tolerant_events", case["events"]) if tolerant else case["events"]
    return [event for event in events for _ in range(event.get("times", 1))]


def is_what_was_expected(frame: Frame, event: Case, *, ignore: list[str]) -> bool:
    """Whether the frame, shown as a browser would, is the event in all that is compared."""
    data = frame.data.decode(errors="replace")
    shown = {
        "event": (frame.event or b"message").decode(errors="replace"),
        "data": data,
        "id": frame.id.decode(errors="replace"),
        "retry": frame.retry,
        "data_chars": len(data),
        "data_sha256": hashlib.sha256(data.encode()).hexdigest() if "data_sha256" in event else None,
    }
    return all(shown[key] == value for key, value in event.items() if key != "times" and key not in ignore)


def faults(case: Case, chunks: list[bytes], *, tolerant: bool) -> Iterator[str]:
    """What this case gives otherwise than it should."""
    decoder = FrameDecoder(tolerant=tolerant)
    frames: list[Frame] = []
    counts = []
    for chunk in chunks:
        frames += decoder.feed(chunk)
        counts.append(len(frames))
    frames += decoder.close()
    events, ignore = expected_events(case, tolerant=tolerant), case.get("ignore", [])
    if len(frames) != len(events):
        yield f"{len(frames)} frames, not {len(events)}"
    elif not all(is_what_was_expected(*pair, ignore=ignore) for pair in zip(frames, events, strict=True)):
        yield "other frames"
    if not tolerant and final_of(decoder) != case["final"]:
        yield f"at the end {final_of(decoder)}"
    if chunks == chunks_of(case) and counts != case.get("after_chunk", counts):
        yield f"frames after each chunk {counts}"


def final_of(decoder: FrameDecoder) -> Case:
    return {
        "last_event_id": decoder.last_event_id.decode(errors="replace"),
        "reconnection_time": decoder.reconnection_milliseconds,
    }


def test_no_case_is_left_out_and_each_form_in_them_is_understood(cases: list[Case]) -> None:
    assert len({case["name"] for case in cases}) == len(cases) == CASES
    assert {key for case in cases for key in case} == NAMES | FORMS
    assert any("times" in event for case in cases for event in case["events"])
    assert any("data_sha256" in event for case in cases for event in case["events"])


@pytest.mark.parametrize(
    ("recut", "tolerant"),
    [
        pytest.param(
            recut, tolerant, id=f"{recut.__name__}, {'tolerant' if tolerant else 'as the standard'}", marks=marks
        )
        for recut in (as_given, as_one, byte_by_byte, cut_at_random)
        for tolerant in (False, True)
        for marks in [pytest.mark.thorough if recut is byte_by_byte else ()]
    ],
)
def test_every_case_gives_its_frames_however_it_is_cut(cases: list[Case], recut: Recut, tolerant: bool) -> None:
    tried, failed = 0, []
    for case in cases:
        found = list(faults(case, recut(chunks_of(case)), tolerant=tolerant))
        tried += 1
        failed += [f"{case['name']}: {fault}" for fault in found]
    assert failed == []
    assert tried == CASES


@pytest.mark.parametrize("tolerant", [pytest.param(False, id="as the standard"), pytest.param(True, id="tolerant")])
def test_every_small_case_gives_its_frames_byte_by_byte(cases: list[Case], tolerant: bool) -> None:
    """The large ones too, in `make test-all`."""
    small = [case for case in cases if sum(map(len, chunks_of(case))) < SMALL_BYTES]
    assert len(small) > CASES - 10
    found = {case["name"]: list(faults(case, byte_by_byte(chunks_of(case)), tolerant=tolerant)) for case in small}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param({"events": []}, "1 frames, not 0", id="a frame too many"),
        pytest.param({"events": [{"data": "b"}]}, "other frames", id="another frame"),
        pytest.param({"events": [{"data_sha256": ""}]}, "other frames", id="another digest"),
        pytest.param({"after_chunk": [1, 1]}, "frames after each chunk [0, 1]", id="later than asked"),
        pytest.param({"final": {}}, "at the end {'last_event_id': '', 'reconnection_time': None}", id="another end"),
    ],
)
def test_a_case_that_is_not_met_is_told(change: Case, fault: str) -> None:
    chunks = [b"data: a\n", b"\n"]
    case: Case = {
        "chunks": [base64.b64encode(chunk).decode() for chunk in chunks],
        "events": [{"event": "message", "data": "a", "id": "", "retry": None}],
        "final": {"last_event_id": "", "reconnection_time": None},
    }
    assert list(faults(case, chunks, tolerant=False)) == []
    assert list(faults(case | change, chunks, tolerant=False)) == [fault]
