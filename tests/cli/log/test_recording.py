"""`--log`: what create, follow and fold read is in the log, and is there when the process or the gateway is not."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from streamfold.log import Record, SqliteLog, StreamKey
from tests.cli.conftest import Gateways, Run
from tests.cli.made import completed, delta, numbered, opening

Use = Callable[[str], None]
STREAM = ("create", "--model", "toy", "--background", "--stream", "--input", "30 words")
FRAMES = numbered(*opening(), delta("one "), delta("two"), completed("one two"))


@pytest.fixture
def log(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path / 'log.db'}"


def records(log: str, response_id: str, tenant: str = "") -> list[Record]:
    async def read() -> list[Record]:
        async with SqliteLog(log.removeprefix("sqlite:")) as opened:
            return await opened.read(StreamKey(tenant, response_id), limit=10_000)

    return anyio.run(read)


def data_of(frames: list[bytes]) -> list[bytes]:
    return [frame.split(b"data: ", 1)[1].rstrip() for frame in frames]


def test_what_create_streams_is_recorded(gateways: Gateways, use: Use, run: Run, log: str) -> None:
    use(gateways())
    ran = run(*STREAM, "--json", "--log", log)
    assert ran.code == 0
    told = ran.out.splitlines()[:-1]
    assert [each.data for each in records(log, ran.outcome["response_id"])] == told


def test_follow_shows_what_the_log_has_though_the_gateway_knows_nothing_of_it(
    gateways: Gateways, use: Use, run: Run, log: str
) -> None:
    use(gateways())
    first = run(*STREAM, "--json", "--log", log)
    use(gateways())  # another one, which never heard of it
    again = run("follow", first.outcome["response_id"], "--json", "--log", log)
    assert again.out.splitlines()[:-1] == first.out.splitlines()[:-1]
    assert (again.code, again.outcome["status"]) == (0, "completed")
    rest = run("follow", first.outcome["response_id"], "--json", "--log", log, "--starting-after", "5")
    assert rest.out.splitlines()[:-1] == first.out.splitlines()[6:-1]


def test_follow_goes_on_from_the_log(gateways: Gateways, use: Use, run: Run, log: str) -> None:
    use(gateways())
    whole = run(*STREAM, "--json", "--dialect", "openai")
    events, response_id = whole.out.splitlines()[:-1], whole.outcome["response_id"]

    async def begin() -> None:
        async with SqliteLog(log.removeprefix("sqlite:")) as opened:
            lease = await opened.acquire(StreamKey("", response_id), owner="gone", seconds=0)
            await opened.append(lease, [Record(number, "", data) for number, data in enumerate(events[:4])])

    anyio.run(begin)
    ran = run("follow", response_id, "--json", "--log", log, "--dialect", "openai")
    assert ran.out.splitlines()[:-1] == events
    assert [each.data for each in records(log, response_id)] == events


def test_an_id_that_neither_the_log_nor_the_gateway_knows_is_told_at_once(
    gateways: Gateways, use: Use, run: Run, log: str
) -> None:
    use(gateways())
    ran = run("follow", "resp_none", "--log", log)
    assert ran.code == 1
    assert "404" in ran.err


def test_the_environment_says_where_to_record(
    gateways: Gateways, use: Use, run: Run, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(gateways())
    monkeypatch.setenv("STREAMFOLD_LOG", log)
    ran = run(*STREAM, "--json", "--tenant", "acme")
    assert len(records(log, ran.outcome["response_id"], "acme")) == len(ran.lines) - 1


def test_what_is_not_streamed_is_not_recorded_and_that_is_said(
    gateways: Gateways, use: Use, run: Run, log: str
) -> None:
    use(gateways())
    ran = run("create", "--model", "toy", "--input", "x", "--log", log)
    assert (ran.code, ran.out) == (2, b"")
    assert "--log needs --stream" in ran.err


def test_a_response_that_another_process_records_is_told(gateways: Gateways, use: Use, run: Run, log: str) -> None:
    use(gateways())
    response_id = run(*STREAM, "--json").outcome["response_id"]

    async def hold() -> None:
        async with SqliteLog(log.removeprefix("sqlite:")) as opened:
            lease = await opened.acquire(StreamKey("", response_id), owner="another", seconds=0.05)
            await opened.append(lease, [Record(0, "", b'{"type":"keepalive","sequence_number":0}')])

    anyio.run(hold)
    ran = run("follow", response_id, "--json", "--log", log)  # its lease ended: it is taken over
    assert ran.code == 0


# fold


def test_fold_records_the_bytes_that_it_reads(run: Run, save: Callable[..., Path], log: str) -> None:
    ran = run("fold", save(FRAMES), "--json", "--log", log)
    assert (ran.code, ran.document["output_text"]) == (0, "one two")
    assert [each.data for each in records(log, "resp_1")] == data_of(FRAMES)
    assert "recorded as resp_1" in ran.err


def test_fold_records_the_rest_behind_the_number_where_it_stops(run: Run, log: str) -> None:
    ran = run("fold", "-", "--at", "3", "--json", "--log", log, stdin=b"".join(FRAMES))
    assert ran.document["cursor"] == 3
    assert [each.data for each in records(log, "resp_1")] == data_of(FRAMES)


def test_fold_records_what_there_is_of_a_stream_that_breaks_off(run: Run, save: Callable[..., Path], log: str) -> None:
    ran = run("fold", save(b"".join(FRAMES[:4]) + FRAMES[4][:20]), "--json", "--log", log)
    assert ran.code == 1
    assert "recorded as resp_1" in ran.err.splitlines()[0]
    assert "truncated" in ran.err.splitlines()[1]
    assert [each.data for each in records(log, "resp_1")] == data_of(FRAMES[:4])


@pytest.mark.parametrize(
    ("address", "told", "code"),
    [
        pytest.param("sqlite", "--log: must be sqlite:PATH", 2, id="no address"),
        pytest.param("sqlite:{folder}", "it is a directory", 1, id="a directory"),
        pytest.param("sqlite:{folder}/none/log.db", "it cannot be opened", 1, id="no folder"),
        pytest.param("valkey://127.0.0.1:1/0", "127.0.0.1:1", 1, id="no server"),
    ],
)
def test_a_log_that_cannot_be_had_is_one_line_and_the_fold_is_shown(
    address: str, told: str, code: int, run: Run, save: Callable[..., Path], tmp_path: Path
) -> None:
    ran = run("fold", save(FRAMES), "--json", "--log", address.format(folder=tmp_path))
    assert (ran.code, ran.document["output_text"]) == (code, "one two")
    assert told in ran.err
    assert ran.err.count("\n") == 1


def test_another_stream_of_the_same_id_is_refused(run: Run, save: Callable[..., Path], log: str) -> None:
    run("fold", save(FRAMES), "--log", log)
    other = numbered(*opening(), delta("other "), delta("two"), completed("other two"))
    ran = run("fold", save(other, "other.sse"), "--json", "--log", log)
    assert ran.code == 1
    assert "the log holds a different record 3" in ran.err
    assert [each.data for each in records(log, "resp_1")] == data_of(FRAMES)


def test_what_is_folded_but_not_recorded_says_both(run: Run, tmp_path: Path) -> None:
    error = b'data: {"error": {"code": 400, "message": "too long"}}\n\n'
    ran = run("fold", "-", "--log", f"sqlite:{tmp_path}/a.db", stdin=error)
    unrecorded, truncated = ran.err.splitlines()
    assert ran.code == 1
    assert unrecorded.startswith("streamfold: stdin: not recorded: ")
    assert truncated.endswith("the server reported: 400: too long")
