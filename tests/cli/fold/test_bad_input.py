"""What is no whole stream: one line on stderr, an exit code, and on stdout what could be folded."""

import errno
import gzip
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streamfold.cli.fold import source
from streamfold.fold import State, snapshot_json
from tests.cli.conftest import Run
from tests.cli.made import ERRORS, completed, delta, frame, numbered, opening, said

WHOLE = b"".join(said("Hel", "lo"))
FRAMES = said("Hel", "lo")
UP_TO_4 = b"".join(FRAMES[:5])
PACKED = gzip.compress(WHOLE, mtime=0)
CORRUPT = PACKED[:-8] + b"\0" * 8  # the checksum, behind all the data
GAP = b"".join(FRAMES[:3] + FRAMES[4:])
ERROR = {"error": {"code": "rate_limit", "message": "Slow\ndown"}}
FAILING = b"".join([*numbered(*opening()), frame({"type": "error", "sequence_number": 3, "code": "x", "message": "y"})])
NOTHING = json.loads(snapshot_json(State()))
RESPONSE_BODY = b'{"object":"response","status":"completed","output":[]}'


@dataclass(frozen=True)
class Bad:
    """A file, and what is said of it behind its name. cursor: of what could be folded; `...` for any."""

    data: bytes
    options: list[str]
    sentence: str
    cursor: Any


def bad(data: bytes, options: list[str], sentence: str, cursor: Any, *, id: str) -> Any:
    return pytest.param(Bad(data, options, sentence, cursor), id=id)


BAD = [
    bad(b"", [], "empty: there is nothing to fold", None, id="empty"),
    bad(b" \r\n\n", [], "empty: there is nothing to fold", None, id="blank"),
    bad(
        b"<!DOCTYPE html>\n<html><head><title>502\nBad Gateway</title></head></html>",
        [],
        "an HTML page (502 Bad Gateway), not an event stream",
        None,
        id="html",
    ),
    bad(b"\xef\xbb\xbf<html><body>no", [], "an HTML page, not an event stream", None, id="html without title"),
    bad(
        json.dumps(ERROR).encode(),
        [],
        "a JSON error body (rate_limit: Slow down), not an event stream",
        None,
        id="json error",
    ),
    bad(
        b'{"error":"no such model"}',
        [],
        "a JSON error body (no such model), not an event stream",
        None,
        id="error text",
    ),
    bad(b'{"detail":"Not Found"}', [], "a JSON error body (Not Found), not an event stream", None, id="detail"),
    bad(
        RESPONSE_BODY,
        [],
        "a whole Response as JSON (completed), not an event stream",
        None,
        id="json body",
    ),
    bad(
        b'{"object":"response","output":"' + b"x" * 5000 + b'"}',
        ["--max-frame-bytes", "1000"],
        "a whole Response as JSON, not an event stream",
        None,
        id="json body larger than a frame",
    ),
    bad(b'{"id":1}', [], "a JSON body, not an event stream", None, id="other json"),
    bad(b'{"id":1}\n{"id":2}', [], "JSON but not one object, not an event stream", None, id="json lines"),
    bad(b"[1, 2]", [], "JSON but not one object, not an event stream", None, id="json array"),
    bad(bytes(range(256)) * 4, [], "binary data, not an event stream", None, id="binary"),
    bad(b"\x89PNG\r\n\x1a\n\xff", [], "binary data, not an event stream", None, id="picture"),
    bad("naïve".encode("latin-1") * 9, [], "binary data, not an event stream", None, id="latin-1"),
    bad("just a note: é".encode(), [], "text, not an event stream", None, id="text"),
    bad(b": ping\n\n: ping\n\n", [], "an event stream without events", None, id="heartbeats only"),
    bad(b"data: [DONE]\n\n", [], "an event stream without events", None, id="end marker only"),
    bad(
        b'data: {"choices":[]}\n\ndata: {"choices":[]}\n\n',
        [],
        "not a Responses stream: none of its 2 events has a known type",
        ...,
        id="another api",
    ),
    bad(b'data: {"type":"resp', [], "truncated: it ends inside a frame, before the first event", None, id="torn"),
    bad(UP_TO_4 + FRAMES[5][:60], [], "truncated: it ends inside a frame, after event 4", 4, id="ends inside a frame"),
    bad(
        UP_TO_4 + b"event: response.comp",
        [],
        "truncated: it ends inside a frame, after event 4, without a terminal event",
        4,
        id="ends inside a frame without data",
    ),
    bad(UP_TO_4, [], "truncated: it ends after event 4, without a terminal event", 4, id="no terminal event"),
    bad(
        FAILING,
        [],
        "truncated: it ends after event 3, without a terminal event; the server reported: x: y",
        3,
        id="ends with an error event",
    ),
    bad(
        GAP,
        [],
        "a gap: expected event 3, got 4; this is the state after event 2: "
        "resume after 2 to fill the gap, or skip it with --policy renumber",
        2,
        id="gap",
    ),
    bad(WHOLE, ["--at", "99"], "no state at 99: the last event is 5", 5, id="number beyond the end"),
    bad(b"".join(FRAMES[2:]), ["--at", "1"], "no state at 1: the first event is 2", None, id="number before the start"),
    bad(
        GAP,
        ["--at", "3", "--policy", "renumber"],
        "no state at 3: event 2 is followed by event 4",
        2,
        id="number in a hole",
    ),
    bad(
        UP_TO_4 + b"data: " + b"x" * 5000,
        ["--max-frame-bytes", "1000"],
        "one frame is larger than 1,000 bytes; if that is right, raise --max-frame-bytes",
        4,
        id="frame too large",
    ),
    bad(PACKED[: len(PACKED) // 2], [], "the gzip file is truncated", ..., id="gzip cut off"),
    bad(PACKED[:-8], [], "the gzip file is truncated", 5, id="gzip without checksum"),
    bad(CORRUPT, [], "the gzip file is corrupt", 5, id="gzip with a wrong checksum"),
    bad(PACKED[:20] + b"\xff" * 40, [], "the gzip file is corrupt", ..., id="gzip corrupt"),
    bad(b"\x1f\x8brubbish", [], "the gzip file is corrupt", None, id="no gzip at all"),
    bad(
        PACKED,
        ["--max-bytes", "100"],
        "the gzip file unpacks to more than 100 bytes; if that is right, raise --max-bytes",
        None,
        id="gzip unpacks to too much",
    ),
]

Save = Callable[..., Path]


@pytest.mark.parametrize("bad", BAD)
def test_one_line_says_what_is_wrong(bad: Bad, run: Run, save: Save) -> None:
    path = save(bad.data)
    ran = run("fold", path, "--json", *bad.options)
    assert (ran.code, ran.err) == (1, f"streamfold: {path}: {bad.sentence}\n")
    assert list(ran.document) == ["cursor", "status", "terminal", "events", "output_text", "anomalies", "response"]
    assert bad.cursor in (ran.document["cursor"], ...)


@pytest.mark.parametrize("bad", BAD)
def test_what_could_be_folded_is_given(bad: Bad, run: Run) -> None:
    ran = run("fold", "-", *bad.options, stdin=bad.data)
    assert (ran.code, ran.err) == (1, f"streamfold: stdin: {bad.sentence}\n")
    if bad.cursor is None:
        assert ran.out == b""
    elif bad.cursor is not ...:
        assert isinstance(json.loads(ran.out), dict)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param("missing", "no such file", id="missing"),
        pytest.param(".", "a directory, not a file", id="directory"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",), ("--events",), ("--watch",)])
def test_what_is_no_file(name: str, sentence: str, options: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    path = tmp_path / name
    ran = run("fold", path, *options)
    assert (ran.code, ran.err) == (1, f"streamfold: {path}: {sentence}\n")
    if options == ("--json",):
        assert (ran.document["cursor"], ran.document["events"], ran.document["response"]) == (None, 0, NOTHING)
    else:
        assert ran.out == b""


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(errno.EACCES, "no permission to read it"), (errno.ELOOP, os.strerror(errno.ELOOP))],
    ids=["permission", "any other reason"],
)
def test_a_file_that_cannot_be_opened(
    number: int, sentence: str, run: Run, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    path = save(WHOLE)
    monkeypatch.setattr(source, "open", refuse, raising=False)
    assert run("fold", path).err == f"streamfold: {path}: {sentence}\n"


def test_a_read_that_fails_leaves_what_came_before(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        chunks = iter([UP_TO_4])

        def read_once(_: int) -> bytes:
            if chunk := next(chunks, b""):
                return chunk
            raise OSError(errno.EIO, "Input/output error")

        return read_once

    begin = source.ByteSource.__init__
    monkeypatch.setattr(source.ByteSource, "__init__", lambda self, read, **size: begin(self, fail(read), **size))
    ran = run("fold", "-", "--json")
    assert (ran.code, ran.err, ran.document["cursor"]) == (1, "streamfold: stdin: Input/output error\n", 4)


def test_stdin_that_is_closed(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from streamfold.cli import main

    monkeypatch.setattr(sys, "stdin", None)
    assert main(["fold", "-"]) == 1
    assert capsys.readouterr().err == "streamfold: stdin: it is closed\n"


def test_a_name_with_controls_stays_one_harmless_line(run: Run, tmp_path: Path) -> None:
    ran = run("fold", tmp_path / "a\nb\x1b[31m")
    assert ran.err.endswith("a b␛[31m: no such file\n")
    assert ran.err.count("\n") == 1


USAGE = [
    pytest.param(["fold"], "FILE", id="no file"),
    pytest.param(["fold", "x", "y"], "y", id="two files"),
    pytest.param(["fold", "x", "--nonsense"], "--nonsense", id="unknown option"),
    pytest.param(["fold", "x", "--at", "one"], "--at", id="no number"),
    pytest.param(["fold", "x", "--at", "-1"], "--at", id="negative number"),
    pytest.param(["fold", "x", "--policy", "lax"], "--policy", id="unknown policy"),
    pytest.param(["fold", "x", "--watch", "--speed", "0"], "--speed", id="no speed"),
    pytest.param(["fold", "x", "--watch", "--speed", "nan"], "--speed", id="speed that is no number"),
    pytest.param(["fold", "x", "--speed", "5"], "--speed needs --watch", id="speed without watch"),
    pytest.param(["fold", "x", "--json", "--events"], "exclude each other", id="two ways to show"),
    pytest.param(["fold", "x", "--max-bytes", "0"], "--max-bytes", id="no bytes"),
    pytest.param(["nonsense"], 'Unknown command "nonsense"; see streamfold --help', id="unknown command"),
    pytest.param(
        ["foo"], 'Unknown command "foo". Did you mean "follow"? See streamfold --help', id="a command with a typo"
    ),
    pytest.param(["fold"], "FILE is required; see streamfold fold --help", id="a missing argument"),
    pytest.param(["fold", "x", "y"], "unexpected argument 'y'; see streamfold fold --help", id="an extra argument"),
    pytest.param(["create", "--model"], "--model needs a value; see streamfold create --help", id="a missing value"),
    pytest.param(["log", "shwo"], 'Did you mean "show"? See streamfold log --help', id="a typo after log"),
]


@pytest.mark.parametrize(("arguments", "named"), USAGE)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], named: str, run: Run) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith("streamfold: ")
    assert named in ran.err
    assert ran.err.count("\n") == 1


def test_a_truncated_stream_is_no_error_up_to_a_number(run: Run, save: Save) -> None:
    ran = run("fold", save(UP_TO_4 + b"data: {torn"), "--at", "4", "--json")
    assert (ran.code, ran.err, ran.document["cursor"]) == (0, "", 4)


def test_a_last_block_without_its_blank_line_counts(run: Run, save: Save) -> None:
    ran = run("fold", save(WHOLE.rstrip(b"\n")), "--json")
    assert (ran.code, ran.err, ran.document["status"]) == (0, "", "completed")


def test_a_last_block_too_deep_to_be_read_is_not_called_torn(run: Run, save: Save) -> None:
    deep = b'data: {"type":"x","y":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    ran = run("fold", save(WHOLE + deep), "--json")
    assert (ran.code, ran.document["cursor"]) == (0, 5)


def test_events_after_the_terminal_one_are_reported_and_no_error(run: Run, save: Save) -> None:
    ran = run("fold", save(numbered(*opening(), completed("x"), delta("late"))), "--json")
    assert (ran.code, ran.document["anomalies"]) == (0, [{"kind": "after_terminal", "count": 1, "first": 4}])


BEFORE = [
    pytest.param([], id="alone"),
    pytest.param(numbered(*opening(), delta("Half")), id="in the middle"),
]


@pytest.mark.parametrize(("error", "words"), ERRORS)
@pytest.mark.parametrize("before", BEFORE)
def test_the_message_has_the_servers_words(before: list[bytes], error: bytes, words: str, run: Run, save: Save) -> None:
    ran = run("fold", save([*before, error]), "--json")
    assert ran.code == 1
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert ran.document["output_text"] == ("Half" if before else "")


@pytest.mark.parametrize(("error", "words"), ERRORS)
def test_an_error_behind_the_end_is_reported_too(error: bytes, words: str, run: Run, save: Save) -> None:
    failed = {"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "output": []}}
    path = save([*numbered(*opening(), failed), error])
    ran = run("fold", path, "--json")
    assert (ran.code, ran.document["status"]) == (0, "failed")
    assert ran.err == f"streamfold: {path}: the server reported: {words}\n"


CUT = [
    pytest.param(numbered(*opening()), id="no text"),
    pytest.param(
        [
            *numbered(*opening(), delta("One")),
            *numbered(
                {"type": "response.created", "response": {"id": "resp_2", "status": "in_progress", "output": []}},
                {"type": "response.completed", "response": {"id": "resp_2", "status": "completed", "output": []}},
            ),
        ],
        id="the end of another response",
    ),
    pytest.param(numbered({"type": "unknown"}, {"type": "keepalive"}), id="nothing of a response"),
    pytest.param([frame({"type": "response.completed", "sequence_number": 0, "response": None})], id="no Response"),
]


@pytest.mark.parametrize("frames", CUT)
@pytest.mark.parametrize("options", [[], ["--json"], ["--events"], ["--watch", "--speed", "1e9"]])
def test_where_no_end_could_be_read_the_exit_code_says_so(
    frames: list[bytes], options: list[str], run: Run, save: Save
) -> None:
    ran = run("fold", save(frames), *options)
    assert ran.code == 1
    assert ran.err.count("\n") == 1
