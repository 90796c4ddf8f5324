"""`streamfold fold`: the Response, the document, the state at a number, the lines."""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamfold.cli.fold import source
from streamfold.fold import fold, replay, snapshot_json
from streamfold.reader import EventReader
from tests.cli.conftest import Run
from tests.cli.made import completed, delta, frame, numbered, opening, said

FRAMES = said("Hel", "lo ", "world")
WHOLE = b"".join(FRAMES)
EVENTS = EventReader().feed(WHOLE)
RESPONSE = snapshot_json(fold(EVENTS)) + b"\n"

Save = Callable[..., Path]


def test_in_a_pipe_the_bytes_are_those_of_snapshot_json_and_a_line_end(run: Run, save: Save) -> None:
    ran = run("fold", save(FRAMES))
    assert (ran.code, ran.out, ran.err) == (0, RESPONSE, "")


def test_on_a_terminal_the_response_is_pretty(run: Run, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    ran = run("fold", save(FRAMES), terminal=True)
    assert json.loads(ran.out) == json.loads(RESPONSE)
    assert ran.out.startswith(b'{\n  "id"')


def test_json_gives_one_document_in_the_promised_order(run: Run, save: Save) -> None:
    ran = run("fold", save(FRAMES), "--json")
    expected = {
        "cursor": 6,
        "status": "completed",
        "terminal": True,
        "events": 7,
        "output_text": "Hello world",
        "anomalies": [],
        "response": json.loads(RESPONSE),
    }
    assert ran.document == expected
    assert list(ran.document) == list(expected)
    assert ran.out.endswith(RESPONSE[:-1] + b"}\n")


def test_a_field_that_nobody_knows_and_the_spelling_of_a_number_survive(run: Run, save: Save) -> None:
    data = WHOLE.replace(
        b'"object": "response", "status": "comp', b'"new": [1.0e2, 12345678901234567890123], "status": "comp'
    )
    assert b'"new":[1.0e2, 12345678901234567890123]' in run("fold", save(data), "--json").out


@pytest.mark.parametrize("at", range(7))
def test_at_gives_the_state_at_that_number(at: int, run: Run, save: Save) -> None:
    path = save(FRAMES)
    state = replay(EVENTS, at=at)
    assert run("fold", path, "--at", str(at)).out == snapshot_json(state) + b"\n"
    document = run("fold", path, "--at", str(at), "--json").document
    assert (document["cursor"], document["events"], document["output_text"]) == (at, at + 1, state.output_text)


def test_at_reads_no_further(run: Run, save: Save) -> None:
    ran = run("fold", save(b"".join(FRAMES[:4]) + b"data: {}\n\n" * 9 + b"data: {torn"), "--at", "3", "--json")
    assert (ran.code, ran.document["cursor"], ran.document["anomalies"]) == (0, 3, [])


def test_duplicates_are_counted_as_events(run: Run, save: Save) -> None:
    ran = run("fold", save(FRAMES[:3] + FRAMES[1:]), "--json")
    assert (ran.code, ran.document["events"], ran.document["output_text"]) == (0, 9, "Hello world")


def test_anomalies_have_kind_count_and_first(run: Run, save: Save) -> None:
    frames = [re.sub(rb', "sequence_number": \d+', b"", each) for each in FRAMES]
    ran = run("fold", save(frames), "--json")
    assert ran.document["anomalies"] == [{"kind": "unnumbered", "count": 7, "first": 0}]


@pytest.mark.parametrize(
    ("policy", "anomalies"), [("renumber", [{"kind": "hole", "count": 1, "first": 4}]), ("arrival", [])]
)
def test_another_policy_passes_over_a_gap(
    policy: str, anomalies: list[dict[str, object]], run: Run, save: Save
) -> None:
    ran = run("fold", save(FRAMES[:3] + FRAMES[4:]), "--json", "--policy", policy)
    assert (ran.code, ran.document["anomalies"]) == (0, anomalies)


def test_the_end_marker_is_no_event(run: Run, save: Save) -> None:
    ran = run("fold", save(WHOLE + b"data:  [DONE] \n\n"), "--json")
    assert (ran.code, ran.document["events"], ran.document["anomalies"]) == (0, 7, [])


@pytest.mark.parametrize("data", [WHOLE, gzip.compress(WHOLE)], ids=["plain", "gzip"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_stdin_is_read_however_it_is_cut(data: bytes, size: int, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHUNK_BYTES", size)
    assert run("fold", "-", stdin=data).out == RESPONSE


def test_options_may_stand_on_either_side_of_stdin(run: Run) -> None:
    outs = {run(*arguments, stdin=WHOLE).out for arguments in (("fold", "--json", "-"), ("fold", "-", "--json"))}
    assert len(outs) == 1
    assert run("fold", "--", "-", stdin=WHOLE).out == RESPONSE


def test_events_gives_a_line_each(run: Run, save: Save) -> None:
    ran = run("fold", save(FRAMES), "--events")
    assert ran.out.decode().splitlines() == [
        "   0  response.created              status: in_progress",
        "   1  response.output_item.added    output[0] opened: message in_progress",
        "   2  response.content_part.added   output[0].content[0] opened: output_text",
        '   3  response.output_text.delta    output[0].content[0].text += "Hel"',
        '   4  response.output_text.delta    output[0].content[0].text += "lo "',
        '   5  response.output_text.delta    output[0].content[0].text += "world"',
        "   6  response.completed            status: in_progress → completed",
    ]


def test_events_tells_duplicates_and_numbers_that_are_missing(run: Run, save: Save) -> None:
    unread = b"data: {torn\n\n"
    ran = run("fold", save([*FRAMES[:3], FRAMES[1], unread, *FRAMES[3:]]), "--events", "--at", "3")
    lines = ran.out.decode().splitlines()
    assert lines[3] == "   1  response.output_item.added    duplicate"
    assert lines[4].startswith("   -  (no type)                     unreadable: ")
    assert lines[4].endswith(" ! malformed")
    assert len(lines) == 6


def test_events_stops_where_the_stream_breaks(run: Run, save: Save) -> None:
    ran = run("fold", save(FRAMES[:3] + FRAMES[4:]), "--events")
    assert (ran.code, len(ran.out.splitlines())) == (1, 3)


def test_events_on_a_terminal_are_cut_to_its_width(run: Run, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "76")
    ran = run("fold", save(said("東京" * 30, "short")), "--events", terminal=True)
    lines = ran.out.decode().splitlines()
    assert lines[3].endswith("…")
    assert len(lines[3]) < 76  # wide characters take two columns
    assert lines[4].endswith('"short"')


EVIL = "\x1b[31mred\x07\x9b2J\x7f\r\ttab\n"


@pytest.mark.parametrize("options", [[], ["--json"], ["--events"], ["--watch", "--speed", "1e9"]])
def test_controls_never_reach_a_terminal(options: list[str], run: Run, save: Save) -> None:
    odd = frame({"type": f"odd{EVIL}", "sequence_number": 4})
    stream = [*numbered(*opening(), delta(EVIL)), odd]
    ran = run("fold", save(stream), *options, terminal=True)
    out = re.sub(r"\x1b\[[0-9;]*m", "", ran.out.decode()) if not options else ran.out.decode()
    assert not [each for each in out + ran.err if (each < " " and each not in "\n\t") or "\x7f" <= each <= "\x9f"]


def test_in_a_pipe_the_text_is_left_as_it_is(run: Run, save: Save) -> None:
    assert run("fold", save(said(EVIL)), "--watch", "--speed", "1e9").out == EVIL.encode()


def test_a_long_response_on_a_terminal_is_whole_and_without_colours(run: Run, save: Save) -> None:
    ran = run("fold", save(said("x" * 300_000)), terminal=True)
    assert b"x" * 300_000 in ran.out
    assert b"\x1b" not in ran.out


def test_a_status_other_than_completed_is_no_error(run: Run, save: Save) -> None:
    failed = {"type": "response.failed", "response": {"status": "failed", "error": {"code": "x"}}}
    ran = run("fold", save(numbered(*opening(), failed)), "--json")
    assert (ran.code, ran.document["status"], ran.document["terminal"]) == (0, "failed", True)


def test_memory_does_not_hold_the_file(run: Run, save: Save) -> None:
    import tracemalloc

    path = save(numbered(*opening(), *[{"type": "keepalive", "pad": "x" * 1000}] * 20_000, completed("x")))
    tracemalloc.start()
    try:
        assert run("fold", path, "--json").code == 0
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size / 10
    finally:
        tracemalloc.stop()


def test_ctrl_c_while_reading_leaves_what_was_folded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_some(chunks: Iterator[bytes]) -> Iterator[bytes]:
        yield b"".join(FRAMES[:4])
        raise KeyboardInterrupt

    monkeypatch.setattr(source.ByteSource, "chunks", lambda self, **_: read_some(iter(())))
    ran = run("fold", "-", "--json")
    assert (ran.code, ran.document["cursor"], ran.err) == (130, 3, "streamfold: stdin: stopped after event 3\n")
