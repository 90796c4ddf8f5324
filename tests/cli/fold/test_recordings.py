"""`fold --json` on every recorded stream: it works, and its Response is the one that the server ended with."""

import json
from typing import Any

import pytest

from streamfold.cli import main
from tests.conftest import Recording

WITH_A_GAP = {"openai/ai-openai-phase-1.sse"}  # its source removed events, as the corpus's index says


def terminal_response(data: bytes) -> dict[str, Any]:
    """The Response of the last event that carries one, read without our decoder."""
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    payloads = [line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:")]
    events = [json.loads(payload) for payload in payloads if payload != b"[DONE]"]
    return [event["response"] for event in events if "response" in event][-1]


def test_json_works_on_every_recording(
    sampled_recordings: list[Recording], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    for recording in sampled_recordings:
        policy = "renumber" if recording.name in WITH_A_GAP else "strict"
        assert main(["fold", str(recording.path), "--json", "--policy", policy]) == 0, recording.name
        out, err = capfdbinary.readouterr()
        assert err == b"", recording.name
        document = json.loads(out)
        expected = terminal_response(recording.data)
        if not expected.get("output"):
            expected["output"] = document["response"].get("output", expected.get("output"))
        assert document["response"] == expected, recording.name
        assert document["terminal"], recording.name


def test_a_gap_in_a_recording_gives_the_state_before_it(
    recordings: list[Recording], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    for recording in recordings:
        if recording.name in WITH_A_GAP:
            assert main(["fold", str(recording.path), "--json"]) == 1
            out, err = capfdbinary.readouterr()
            assert json.loads(out)["cursor"] == 5
            assert b"a gap: expected event 6, got 41" in err


def test_events_has_a_line_for_each_event(
    sampled_recordings: list[Recording], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    for recording in sampled_recordings:
        main(["fold", str(recording.path), "--json", "--policy", "renumber"])
        count = json.loads(capfdbinary.readouterr().out)["events"]
        main(["fold", str(recording.path), "--events", "--policy", "renumber"])
        assert len(capfdbinary.readouterr().out.splitlines()) == count, recording.name


def test_watch_ends_with_the_output_text(
    sampled_recordings: list[Recording], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    for recording in sampled_recordings:
        main(["fold", str(recording.path), "--json", "--policy", "renumber"])
        text = json.loads(capfdbinary.readouterr().out)["output_text"].encode()
        main(["fold", str(recording.path), "--watch", "--speed", "1e12", "--policy", "renumber"])
        assert capfdbinary.readouterr().out.endswith(text), recording.name
