"""The one way out: text, JSON, lines and commands, on a terminal and in a pipe."""

import io
import json
import logging
import os
import subprocess
import sys
import unicodedata
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from streamfold.cli.output.console import Drawing
from streamfold.cli.terminal import (
    Output,
    guard,
    in_a_row,
    one_line,
    quoted,
    say,
    say_command,
    visible,
    visible_json,
)
from tests.cli.conftest import Terminal
from tests.cli.hostile import EVIL, EVIL_WORD, leaked, steers

TEXTS = st.text(st.characters()) | st.text(st.sampled_from(EVIL + "ab \n\t\r\ud800"))


@given(TEXTS)
@example(EVIL)
@example("".join(map(chr, range(0x3000))))
def test_law_nothing_visible_steers_a_terminal(text: str) -> None:
    assert not [each for each in visible(text) if steers(each) or each == "\r"]
    assert not [each for each in in_a_row(text) + one_line(text) if steers(each) or each in "\n\t\r"]


@given(TEXTS)
def test_law_what_steers_nothing_stays_as_it_is(text: str) -> None:
    plain = "".join(each for each in text if not steers(each) and each != "\r")
    assert visible(plain) == plain


@pytest.mark.parametrize(
    "text",
    ["می‌خواهم", "👩‍👩‍👧", "שלום\u200f!", "ไทย\u200bไทย", "a\u00a0b", "\ufeffa", "\u00ad", "🏴\U000e0067\U000e007f"],
)
def test_what_scripts_need_stays_although_it_is_invisible(text: str) -> None:
    assert visible(text) == text


def test_each_control_of_c0_has_its_picture() -> None:
    pictures = [visible(chr(code)) for code in (*range(0x20), 0x7F)]
    names = [unicodedata.name(each) for each in pictures if each not in "\n\t"]
    assert len(names) == 31
    assert all(name.startswith("SYMBOL FOR ") for name in names)


@given(st.text())
@example(EVIL)
@example("\u2028\x7f\x80\u202e🌍")
def test_law_visible_json_says_the_same(text: str) -> None:
    for data in (json.dumps({text: text}, ensure_ascii=False), json.dumps([text])):
        for in_ascii in (False, True):
            shown = visible_json(data.encode(), in_ascii=in_ascii)
            assert json.loads(shown) == json.loads(data)
            assert not [each for each in shown if steers(each)]
            assert shown.isascii() or not in_ascii


def test_white_space_between_tokens_of_json_stays_white_space() -> None:
    assert json.loads(visible_json(b'{"a":\r\n\t1}')) == {"a": 1}


@given(
    st.text(st.characters(exclude_characters="\0", codec="utf-8")) | st.sampled_from([EVIL_WORD, "-a", "it's", "\\"])
)
@example("\udcff\x1b'\\x41")
def test_law_a_shell_reads_a_quoted_word_as_it_was(word: str) -> None:
    shown = quoted(word)
    assert not [each for each in shown if steers(each) or each in "\n\t\r"]
    if sys.platform != "win32":
        done = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, check=True)
        assert done.stdout == os.fsencode(word)


def stdout(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, encoding: str = "utf-8") -> io.BytesIO:
    written = io.BytesIO()
    kind = Terminal if is_terminal else io.TextIOWrapper
    monkeypatch.setattr(sys, "stdout", kind(written, encoding=encoding))
    return written


def test_a_pipe_gets_text_and_bytes_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    written = stdout(monkeypatch, is_terminal=False)
    Output().write(EVIL)
    Output().write_bytes(b"\xff\x1b")
    assert written.getvalue() == EVIL.encode() + b"\xff\x1b"


def test_a_terminal_gets_bytes_as_visible_text_even_if_a_character_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    written = stdout(monkeypatch, is_terminal=True)
    output = Output()
    for byte in "é\x1b\u202e".encode():
        output.write_bytes(bytes([byte]))
    assert written.getvalue().decode() == "é␛\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_json_is_escaped_wherever_it_goes(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    written = stdout(monkeypatch, is_terminal=is_terminal)
    Output().write_json({"a": EVIL, "b": Raw(json.dumps(EVIL, ensure_ascii=False).encode())})
    shown = written.getvalue().decode()
    assert json.loads(shown) == {"a": EVIL, "b": EVIL}
    assert not [each for each in shown if steers(each)]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_line_stays_one_line_wherever_it_goes(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    written = stdout(monkeypatch, is_terminal=is_terminal)
    Output().write_line(EVIL)
    shown = written.getvalue().decode()
    assert shown.splitlines() == [in_a_row(EVIL)]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_that_lacks_a_character_gets_another_and_json_its_escape(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = stdout(monkeypatch, is_terminal=True, encoding=encoding)
    guard()
    Output().write("日本 ␛\n")
    Output().write_json(["日本 🌍 ñ"])
    Drawing().print("● 日本")
    text, document, _ = written.getvalue().decode("latin-1").splitlines()
    assert text == "?? ?"
    assert json.loads(document) == ["日本 🌍 ñ"]


class StderrTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def stderr(monkeypatch: pytest.MonkeyPatch) -> StderrTerminal:
    stderr = StderrTerminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    guard()
    guard()  # a second time changes nothing
    return stderr


def test_what_libraries_print_on_a_terminal_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = stderr(monkeypatch)
    assert logging.lastResort is not None
    logging.lastResort.emit(logging.makeLogRecord({"msg": EVIL}))
    sys.stderr.writelines([EVIL, "b"])
    sys.excepthook(ValueError, ValueError(EVIL), None)
    assert shown.getvalue().count("PWNED") == 3
    assert not [each for each in shown.getvalue() if steers(each)]


def test_what_is_drawn_on_stderr_keeps_its_own_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shown = stderr(monkeypatch)
    Drawing(stderr=True).print("[bold]a[/]", EVIL, highlight=False)
    assert shown.getvalue().startswith("\x1b[1ma\x1b[0m ␛]0;PWNED")
    assert leaked(shown.getvalue().replace("\n", "\r\n").encode()) == []


@pytest.mark.parametrize("stream", [None, "full"])
def test_a_message_that_cannot_be_written_is_no_error(stream: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    written = stdout(monkeypatch, is_terminal=False)
    monkeypatch.setattr(sys, "stderr", Full() if stream else cast("io.StringIO", None))
    say("x")
    say_command("follow", id="x")
    assert written.getvalue() == b""


def test_an_id_that_looks_like_an_option_stands_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    say_command("follow", id="-rf", options=("--json",))
    say_command("follow", id="resp 1", options=("--json",))
    assert capsys.readouterr().err == "  streamfold follow --json -- -rf\n  streamfold follow 'resp 1' --json\n"
