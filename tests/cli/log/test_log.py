"""`streamfold log ...`: each command, in words and as JSON, and each way in which it cannot be done."""

import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from streamfold.cli.log.place import LogFlags, log_address
from streamfold.cli.settings import user_folder
from streamfold.log import Note, SqliteLog, StreamKey
from tests.cli.conftest import Ran, Run
from tests.cli.made import said
from tests.conftest import Recording
from tests.fold.recorded import CUT_BY_HAND

FRAMES = said("Hel", "lo ", "world")
BODY = b"".join(FRAMES)

Save = Callable[..., Path]


class Log:
    """A log in a file, and the commands on it."""

    def __init__(self, path: Path, run: Run) -> None:
        self.path = path
        self._run = run

    def __call__(self, *arguments: str | Path, **options: Any) -> Ran:
        return self._run("log", *arguments, "--log", f"sqlite:{self.path}", **options)

    def note(self, response_id: str, *notes: Note) -> None:
        """Leave notes in a stream."""

        async def leave() -> None:
            async with SqliteLog(self.path) as log:
                lease = await log.acquire(StreamKey("", response_id), owner="the recorder", seconds=3600)
                for note in notes:
                    await log.note(lease, note)
                await log.request_cancel(lease.key)
                await log.retain(lease.key, until=2_000_000_000.0)

        anyio.run(leave)


@pytest.fixture
def log(tmp_path: Path, run: Run) -> Log:
    return Log(tmp_path / "some.db", run)


@pytest.fixture
def filled(log: Log, save: Save) -> Log:
    """A log that has the stream `resp_1`."""
    assert log("import", save(FRAMES)).code == 0
    return log


def test_an_import_prints_the_id_and_twice_is_nothing_new(log: Log, save: Save) -> None:
    for _ in range(2):
        ran = log("import", save(FRAMES))
        assert (ran.code, ran.out, ran.err) == (0, b"resp_1\n", "")
    assert log("ls", "--json").document["streams"][0]["next_number"] == 7


def test_an_import_reports_what_differs_and_was_left_out(log: Log, save: Save) -> None:
    other = [FRAMES[3].replace(b"Hel", b"Hal")]
    words = "events that say something else than the event with the same number, or belong to another response"
    path = save([*FRAMES[:4], *other, *FRAMES[4:]])
    ran = log("import", path, "--json")
    assert (ran.code, ran.err) == (0, f"streamfold: {path}: left out 1 {words}: 3\n")
    assert (ran.document["dropped"], ran.document["dropped_numbers"]) == (1, [3])
    assert log("import", save([*FRAMES[:4], *other * 12, *FRAMES[4:]])).err.endswith(f"{words}: {'3, ' * 10}...\n")


def test_an_import_from_stdin(log: Log) -> None:
    ran = log("import", "-", "--id", "mine", "--json", stdin=BODY)
    assert (ran.code, ran.err) == (0, "")
    assert (ran.document["response_id"], ran.document["status"], ran.document["next_number"]) == (
        "mine",
        "completed",
        7,
    )


def test_a_stream_without_its_end_is_open_and_can_be_gone_on_with(log: Log, save: Save) -> None:
    ran = log("import", save(FRAMES[:4], "part.sse"))
    assert (ran.code, ran.out) == (0, b"resp_1\n")
    assert ran.err == "streamfold: resp_1 is still open: it has no terminal event, and ends after event 3\n"
    assert log("import", save(FRAMES)).err == ""
    assert log("ls", "--json").document["streams"][0]["status"] == "completed"


def test_an_export_is_the_stream_as_it_came(filled: Log, tmp_path: Path) -> None:
    path = tmp_path / "out.sse"
    ran = filled("export", "resp_1", path)
    assert (ran.code, ran.out, ran.err) == (0, b"", f"streamfold: wrote resp_1 to {path}, {len(BODY):,} bytes\n")
    assert path.read_bytes() == BODY
    assert filled("export", "resp_1", "-").out == BODY
    assert filled("export", "resp_1", "-", "--at", "2").out == b"".join(FRAMES[:3])


def test_a_file_that_is_there_is_not_written_over_unless_that_is_meant(filled: Log, tmp_path: Path) -> None:
    path = tmp_path / "out.sse"
    path.write_bytes(b"mine")
    ran = filled("export", "resp_1", path)
    assert (ran.code, ran.err) == (1, f"streamfold: {path} already exists; choose another name or pass --force\n")
    assert path.read_bytes() == b"mine"
    assert filled("export", "resp_1", path, "--force").code == 0
    assert path.read_bytes() == BODY


def test_an_export_that_fails_leaves_nothing(filled: Log, tmp_path: Path) -> None:
    assert filled("export", "nobody", tmp_path / "out.sse").code == 1
    assert list(tmp_path.glob("*out*")) == list(tmp_path.glob(".*")) == []


def test_an_export_into_a_pipe(filled: Log, tmp_path: Path) -> None:
    assert filled("export", "resp_1", os.devnull).code == 0


def test_a_replay_is_the_document_of_fold(filled: Log, run: Run, save: Save) -> None:
    path = save(FRAMES)
    assert filled("replay", "resp_1", "--json").document == run("fold", path, "--json").document
    assert filled("replay", "resp_1").out == run("fold", path).out
    for at in range(len(FRAMES)):
        ran = filled("replay", "resp_1", "--at", str(at), "--json")
        assert ran.document == run("fold", path, "--at", str(at), "--json").document


def test_every_recording_is_replayed_as_it_is_folded(log: Log, run: Run, recordings: list[Recording]) -> None:
    for recording in recordings[::9] + [each for each in recordings if each.name in CUT_BY_HAND]:
        policy = ["--policy", "renumber" if recording.name in CUT_BY_HAND else "strict"]
        name = recording.name.replace("/", "-")
        assert log("import", recording.path, "--id", name, *policy).code == 0
        assert log("replay", name, "--json").out == run("fold", recording.path, "--json", *policy).out
    assert log("verify").code == 0


def test_a_difference(filled: Log) -> None:
    ran = filled("diff", "resp_1", "3", "6")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode().splitlines() == [
        '/status: "in_progress" → "completed"',
        '/output/0/status: "in_progress" → "completed"',
        '/output/0/content/0/text += "lo world"',
    ]
    assert filled("diff", "resp_1", "0", "1").out.decode().startswith('/output/0 = {"id": "msg_1", ')
    assert filled("diff", "resp_1", "1", "0").out == b"/output/0 removed\n"


def test_a_difference_as_json(filled: Log) -> None:
    ran = filled("diff", "resp_1", "3", "4", "--json")
    change = {"pointer": "/output/0/content/0/text", "added": "lo "}
    assert ran.document == {"from": 3, "to": 4, "changes": [change]}


def test_no_difference_is_said(filled: Log) -> None:
    ran = filled("diff", "resp_1", "3", "3")
    assert (ran.code, ran.out, ran.err) == (0, b"", "streamfold: no difference between 3 and 3\n")


def test_a_difference_on_a_terminal_fits_it(filled: Log) -> None:
    for line in filled("diff", "resp_1", "0", "1", terminal=True).out.decode().splitlines():
        assert len(line) <= 80


def test_a_list(filled: Log) -> None:
    filled("fork", "resp_1", "another", "--at", "2")
    first, second = filled("ls").out.decode().splitlines()
    assert first.split("\t")[:4] == ["another", "open", "3", "0..2"]
    assert second.split("\t")[:4] == ["resp_1", "completed", "7", "0..6"]
    assert [each["response_id"] for each in filled("ls", "--json").document["streams"]] == ["another", "resp_1"]


def test_a_list_on_a_terminal_is_a_table(filled: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "dumb")
    head, row = filled("ls", terminal=True).out.decode().splitlines()
    assert head.split() == ["response", "status", "records", "numbers", "created", "kept", "until"]
    assert row.split()[:4] == ["resp_1", "completed", "7", "0..6"]


def test_a_list_of_many_pages(log: Log) -> None:
    async def fill() -> None:
        async with SqliteLog(log.path) as made:
            for number in range(101):
                await made.acquire(StreamKey("", f"resp_{number:03}"), owner="test", seconds=1)

    anyio.run(fill)
    lines = log("ls").out.decode().splitlines()
    assert len(lines) == 101
    assert lines[0].split("\t")[:4] == ["resp_000", "open", "0", "-"]


def test_a_list_of_nothing_says_so(run: Run) -> None:
    ran = run("log", "ls")
    assert (ran.code, ran.out) == (0, b"")
    assert re.fullmatch(r"streamfold: the log is empty: sqlite:\S+log\.db; pass --log for another one\n", ran.err)
    assert run("log", "ls", "--json").document == {"streams": []}


def test_streams_of_another_tenant_are_not_seen(filled: Log, save: Save) -> None:
    assert filled("ls", "--tenant", "two").err == (
        "streamfold: no streams of this tenant; the log has streams of: no tenant\n"
    )
    filled("import", save(FRAMES), "--tenant", "two")
    assert filled("ls", "--tenant", "two", "--json").document["streams"][0]["tenant"] == "two"
    assert filled("show", "resp_1", "--tenant", "three").code == 1


def test_a_stream_with_its_notes_and_events(filled: Log) -> None:
    filled.note("resp_1", Note("repair", "resume: ReadError", 3, 0.0), Note("outcome", "completed", 6, 0.0))
    lines = filled("show", "resp_1").out.decode().splitlines()
    assert lines[0] == "resp_1: completed, 7 records (0 to 6)"
    assert lines[1].endswith(", kept until 2033-05-18 03:33:20Z")
    assert lines[2] == "checkpoints: none"
    assert lines[3].startswith("being written by the recorder, lease until ")
    assert lines[4] == "a cancel was requested"
    assert lines[5].split() == ["0", "response.created", "status:", "in_progress"]
    assert lines[8:11] == [
        '   3  response.output_text.delta    output[0].content[0].text += "Hel"',
        "      repair: resume: ReadError",
        '   4  response.output_text.delta    output[0].content[0].text += "lo "',
    ]
    assert lines[-1] == "      outcome: completed"


def test_a_stream_as_json(filled: Log) -> None:
    filled.note("resp_1", Note("repair", "resume", 3, 1.5))
    document = filled("show", "resp_1", "--json").document
    assert document["stream"]["response_id"] == "resp_1"
    assert document["notes"] == [{"kind": "repair", "text": "resume", "after": 3, "at": 1.5}]
    assert [event["sequence_number"] for event in document["events"]] == list(range(7))
    assert document["events"][3] == {
        "sequence_number": 3,
        "type": "response.output_text.delta",
        "bytes": len(FRAMES[3].split(b"data: ")[1].strip()),
        "change": 'output[0].content[0].text += "Hel"',
    }


def test_a_fork(filled: Log) -> None:
    ran = filled("fork", "resp_1", "resp_2", "--at", "3")
    assert (ran.code, ran.out, ran.err) == (0, b"resp_2\n", "")
    assert filled("replay", "resp_2", "--json").document == filled("replay", "resp_1", "--at", "3", "--json").document
    assert filled("fork", "resp_1", "resp_3", "--at", "6", "--json").document["status"] == "completed"


def test_a_stream_that_is_dropped(filled: Log) -> None:
    ran = filled("drop", "resp_1")
    assert (ran.code, ran.out) == (0, b"resp_1 dropped\n")
    assert filled("drop", "resp_1").code == 1
    filled("import", "-", stdin=BODY)
    assert filled("drop", "resp_1", "--json").document == {"dropped": 1}


def test_streams_whose_time_has_come(filled: Log) -> None:
    assert filled("expire").out == b"0 streams dropped\n"

    async def end() -> None:
        async with SqliteLog(filled.path) as made:
            await made.retain(StreamKey("", "resp_1"), until=1.0)

    anyio.run(end)
    assert filled("expire", "--json").document == {"dropped": 1}
    assert filled("ls").out == b""


def damage(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE event SET data = CAST(replace(data, 'Hel', 'Hal') AS BLOB) WHERE instr(data, 'Hel')")
    connection.close()


def test_a_log_that_is_whole(filled: Log) -> None:
    filled("import", "-", "--tenant", "two", stdin=BODY)
    ran = filled("verify")
    assert (ran.code, ran.out, ran.err) == (0, b"2 intact, 0 damaged\n", "")
    assert filled("verify", "--json").document == {"whole": 2, "damaged": []}


def test_of_a_log_that_was_cut_short_it_is_said_what_is_whole(filled: Log, tmp_path: Path) -> None:
    for number in range(40):
        filled("import", "-", "--id", f"resp_{number + 2}", stdin=BODY)
    with filled.path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.truncate(size - 4_096)
    ran = filled("verify")
    *bad, of_the_file, summary = ran.out.decode().splitlines()
    whole = 41 - len(bad)
    assert (ran.code, ran.err, summary) == (1, "", f"{whole} intact, {len(bad) + 1} damaged")
    assert of_the_file.startswith(
        f"the log: the file is cut short: it has {size - 4_096:,} bytes, fewer than its header says"
    )
    assert 0 < whole < 41
    damaged = {line.partition(":")[0] for line in bad}
    for name in ("resp_1", "resp_2", *damaged):
        assert filled("export", name, str(tmp_path / f"{name}.sse")).code == (name in damaged)
    assert (tmp_path / "resp_2.sse").stat().st_size > 0


def test_a_log_that_is_damaged(filled: Log) -> None:
    filled("import", "-", "--id", "resp_2", "--tenant", "two", stdin=b"".join(said("other")))
    damage(filled.path)
    ran = filled("verify")
    *bad, summary = ran.out.decode().splitlines()
    assert (ran.code, ran.err) == (1, "")
    assert (bad, summary) == (["resp_1: record 3 is damaged; record 6 is damaged"], "1 intact, 1 damaged")
    document = filled("verify", "--json").document
    assert document["damaged"][0]["response_id"] == "resp_1"
    assert filled("replay", "resp_1").code == 1
    assert filled("replay", "resp_1", "--at", "2").code == 0


def test_an_empty_log_is_whole(run: Run) -> None:
    assert run("log", "verify").out == b"no streams\n"


def test_how_a_log_stands(filled: Log) -> None:
    ran = filled("doctor")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.decode().splitlines()
    assert lines[0].startswith("streamfold ")
    assert "survives a crash of the process and a power failure" in lines[1]
    assert f"file: {filled.path}" in lines
    document = filled("doctor", "--json").document
    assert {"streamfold", "python", "engine", "durability", "settings", "unsafe"} == document.keys()


def test_what_is_unsafe_is_said(run: Run) -> None:
    ran = run("log", "doctor", "--log", "memory:")
    assert ran.code == 0
    assert "unsafe: every record ends with the process" in ran.out.decode()


# What cannot be done


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "nobody"], 1, "the log has no stream nobody; streamfold log ls lists its streams"),
        (["replay", "nobody"], 1, "the log has no stream nobody"),
        (["drop", "nobody"], 1, "the log has no stream nobody"),
        (["export", "nobody", "-"], 1, "the log has no stream nobody"),
        (["replay", "resp_1", "--at", "7"], 1, "no state at 7: the events end at 6"),
        (["diff", "resp_1", "0", "9"], 1, "no state at 9: the events end at 6"),
        (["fork", "resp_1", "x", "--at", "9"], 1, "no state at 9: the events end at 6"),
        (
            ["fork", "resp_1", "resp_1", "--at", "3"],
            1,
            "resp_1 exists already; pass another id, or drop that stream first",
        ),
        (["replay", "resp_1", "--at", "-1"], 2, 'Invalid value "-1" for --at'),
        (["replay", "resp_1", "--at", "1.5"], 2, 'Invalid value for --at: "1.5" is not a whole number'),
        (["diff", "resp_1", "1"], 2, ""),
        (["fork", "resp_1", "resp_2"], 2, ""),
        (["import", "no-such-file"], 1, "no-such-file: no such file"),
        (["export", "resp_1", "no-such-folder/x.sse"], 1, "no-such-folder/x.sse: cannot be written: No such file"),
        (["what"], 2, ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line(arguments: list[str], code: int, words: str, filled: Log) -> None:
    ran = filled(*arguments)
    assert (ran.code, ran.out) == (code, b"")
    assert ran.err.startswith(f"streamfold: {words}")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty: there is nothing to fold"),
        (b"<html><title>502 Bad Gateway</title>", "an HTML page (502 Bad Gateway), not an event stream"),
        (b"".join(FRAMES[3:5]), "it contains no response id; pass --id"),
        (
            b"".join(FRAMES[:3]) + FRAMES[4],
            "a gap: expected event 3, got 4; the events before it are in the log. Skip the gap",
        ),
        (BODY[:-20], "truncated: it ends inside an event, after event 5; the events before that are in the log"),
        (b"".join(said("X")), "the log has a different event 3 for this response. Choose another --id"),
        (FRAMES[0] + b"data: " + b"x" * 2000, "one frame is larger than 1,000 bytes; if that is right"),
    ],
    ids=["nothing", "a page", "no id", "a gap", "torn", "another", "too large"],
)
def test_what_cannot_be_imported_is_one_line(data: bytes, words: str, filled: Log, save: Save) -> None:
    path = save(data, "bad.sse")
    ran = filled("import", path, "--max-frame-bytes", "1000")
    assert (ran.code, ran.out) == (1, b"")
    assert ran.err.startswith(f"streamfold: {path}: {words}")
    assert len(ran.err.splitlines()) == 1
    assert filled("replay", "resp_1", "--json").document["output_text"] == "Hello world"


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("nothing", 2, "--log: must be sqlite:PATH"),
        ("sqlite:{folder}", 1, "{folder}: it is a directory; name a file in it"),
        ("sqlite:{folder}/none.db", 1, "{folder}/none.db: "),
        ("sqlite:{folder}/text", 1, "{folder}/text: it is not a SQLite database"),
    ],
)
def test_a_log_that_is_none_is_one_line(address: str, code: int, words: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database\n" * 200)
    ran = run("log", "ls", "--log", address.format(folder=tmp_path))
    assert (ran.code, ran.out) == (code, b"")
    assert ran.err.startswith(f"streamfold: {words.format(folder=tmp_path)}")
    assert len(ran.err.splitlines()) == 1


def test_a_log_that_can_only_be_read_is_read(filled: Log) -> None:
    filled.path.chmod(0o400)
    for command in (
        ["ls"],
        ["show", "resp_1"],
        ["replay", "resp_1"],
        ["verify"],
        ["doctor"],
        ["export", "resp_1", "-"],
    ):
        assert filled(*command).code == 0, command


# Which log


def test_the_log_of_the_user_is_made_for_its_owner_alone(run: Run, save: Save, tmp_path: Path) -> None:
    assert run("log", "import", save(FRAMES)).code == 0
    folder = tmp_path / "data" / "streamfold"
    assert (folder / "log.db").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert run("log", "ls").out.startswith(b"resp_1\t")


@pytest.mark.parametrize(
    ("command", "code"),
    [(["ls"], 0), (["verify"], 0), (["show", "resp_1"], 1), (["doctor"], 1)],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_that_reads_does_not_create_the_log(command: list[str], code: int, run: Run, tmp_path: Path) -> None:
    assert run("log", *command).code == code
    assert not (tmp_path / "data").exists()


def test_a_folder_that_cannot_be_made_is_one_line(run: Run, save: Save, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    ran = run("log", "import", save(FRAMES))
    assert (ran.code, ran.err) == (
        1,
        f"streamfold: {tmp_path}/data/streamfold: cannot be created: Not a directory; name another log with --log\n",
    )


def test_the_environment_names_a_log_and_the_flag_comes_first(
    filled: Log, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMFOLD_LOG", f"sqlite:{filled.path}")
    assert run("log", "ls").out.startswith(b"resp_1\t")
    assert run("log", "ls", "--log", "memory:").out == b""


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {"XDG_DATA_HOME": "/x"}, Path("/x/streamfold")),
        ("linux", {"XDG_DATA_HOME": "x"}, Path.home() / ".local/share/streamfold"),
        ("darwin", {}, Path.home() / "Library/Application Support/streamfold"),
        ("win32", {"LOCALAPPDATA": "/l"}, Path("/l/streamfold")),
        ("win32", {}, Path.home() / "AppData/Local/streamfold"),
    ],
)
def test_the_users_data_folder(platform: str, environ: dict[str, str], folder: Path) -> None:
    assert user_folder("data", environ, platform=platform) == folder


def test_an_empty_variable_counts_as_none() -> None:
    assert log_address(LogFlags(), environ={"STREAMFOLD_LOG": "", "XDG_DATA_HOME": "/x"}).startswith("sqlite:")
    assert log_address(LogFlags(log="memory:"), environ={"STREAMFOLD_LOG": "x"}) == "memory:"
