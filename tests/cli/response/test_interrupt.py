"""Ctrl-C, and the command that goes on; the emulator as a process of its own."""

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from streamfold.session import Patience
from tests.cli.conftest import KEY, Gateways, Run
from tests.cli.made import said

COMMAND = [sys.executable, "-m", "streamfold"]
PIPE = subprocess.PIPE
CREATE = ("create", "--model", "toy", "--background", "--stream")

Use = Callable[[str], None]
Process = subprocess.Popen[bytes]


def start(*arguments: str) -> Process:
    # Without a buffer of ours: what `communicate` gives is then all that was not read before.
    return subprocess.Popen([*COMMAND, *arguments], bufsize=0, stdin=subprocess.DEVNULL, stdout=PIPE, stderr=PIPE)


def read_lines(process: Process, count: int) -> list[bytes]:
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(count)]


def interrupt(process: Process) -> tuple[list[bytes], list[str]]:
    """Press Ctrl-C. Returns: the lines that still came on stdout, and those on stderr."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in err
    return out.splitlines(), err.decode().splitlines()


def events(lines: list[bytes]) -> list[dict[str, object]]:
    return [each for each in map(json.loads, lines) if "outcome" not in each]


@pytest.mark.parametrize("http", ["httpx", pytest.param("direct", marks=pytest.mark.thorough)])
def test_the_command_that_is_told_goes_on_where_it_stopped(http: str, gateways: Gateways, use: Use) -> None:
    use(gateways(tokens_per_second=100))
    with start(*CREATE, "--input", "150 words", "--json", "--http", http) as process:
        first = read_lines(process, 20)
        rest, told = interrupt(process)
    assert json.loads(rest[-1])["outcome"]["status"] == "abandoned"
    command = shlex.split(told[1])
    cursor = json.loads(rest[-1])["outcome"]["cursor"]
    assert told[0].startswith(f"streamfold: stopped after event {cursor}; resume resp_")
    assert command[:2] + command[3:] == f"streamfold follow --starting-after {cursor} --json --http {http}".split()
    done = subprocess.run([*COMMAND, *command[1:]], capture_output=True, check=True, timeout=20)
    numbers = [each["sequence_number"] for each in events([*first, *rest, *done.stdout.splitlines()])]
    assert numbers == list(range(len(numbers)))
    assert json.loads(done.stdout.splitlines()[-1])["outcome"]["status"] == "completed"


def test_a_foreground_response_is_said_not_to_resume_as_a_stream(gateways: Gateways, use: Use) -> None:
    use(gateways(tokens_per_second=100))
    foreground = [each for each in CREATE if each != "--background"]
    with start(*foreground, "--input", "150 words", "--json") as process:
        read_lines(process, 20)
        _, told = interrupt(process)
    assert "runs in the foreground, so it cannot be resumed as a stream" in told[0]
    assert "pass --background" in told[0]
    assert "--starting-after" not in told[1]


def test_the_text_before_and_after_is_the_text(gateways: Gateways, use: Use) -> None:
    use(gateways(tokens_per_second=60))
    with start(*CREATE, "--input", "echo " + "0123456789 " * 15, "--dialect", "openai") as process:
        assert process.stdout is not None
        first = process.stdout.read(30)
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=20)
    command = shlex.split(err.decode().splitlines()[-1])
    done = subprocess.run([*COMMAND, *command[1:]], capture_output=True, check=True, timeout=20)
    assert (first + rest + done.stdout).decode() == ("0123456789 " * 15).strip() + "\n"


def lines(count: int) -> Callable[[bytes, str], bool]:
    """Whether stdout has so many lines."""
    return lambda out, _: out.count(b"\n") >= count


def test_flags_are_printed_again_but_never_the_key(gateways: Gateways, run: Run) -> None:
    url = gateways(tokens_per_second=50)
    flags = ("--base-url", url, "--api-key", KEY, "--on-behalf-of", "ada")
    ran = run(*CREATE, "--input", "a long story", "--json", *flags, ctrl_c_when=lines(5))
    assert ran.code == 130
    assert ran.err.endswith(f" --json --base-url {url} --on-behalf-of ada\n")
    assert KEY not in ran.err


def test_sigterm_prints_the_command_too(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways(tokens_per_second=50))
    ran = run(*CREATE, "--input", "a long story", "--json", ctrl_c_when=lines(5), number=signal.SIGTERM)
    assert ran.code == 143
    assert ran.err.splitlines()[-1].startswith("  streamfold follow resp_")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_response_is_left_running(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways(tokens_per_second=50))
    ran = run(*CREATE, "--input", "a long story", "--json", ctrl_c_when=lines(1))
    response_id = ran.lines[0]["response"]["id"]
    assert b"the cancel took effect" in run("cancel", response_id).out  # it was still running


def test_while_nothing_comes_ctrl_c_works_too(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways("stall:after_events=6,seconds=60", tokens_per_second=50))
    ran = run(*CREATE, "--input", "a long story", "--json", ctrl_c_when=lines(6))
    assert ran.err.startswith("streamfold: stopped after event 5; ")


def test_while_it_is_repaired_ctrl_c_works_too(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways("drop:after_events=6,on=create;refuse:on=resume,status=503,retry_after=60", tokens_per_second=50))
    ran = run(*CREATE, "--input", "a long story", ctrl_c_when=lambda _, err: "refused with 503" in err)
    assert ran.code == 130


def test_what_is_lost_can_be_resumed_with_the_command_that_is_printed(
    gateways: Gateways, use: Use, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Patience(total_seconds=0.5)
    monkeypatch.setattr("streamfold.client.api.gateway.Patience", lambda: short)
    use(gateways("stall:after_events=6,seconds=60", tokens_per_second=50))
    ran = run(*CREATE, "--input", "a long story", "--json")
    assert (ran.code, ran.outcome["status"]) == (1, "lost")
    response_id, cursor = ran.outcome["response_id"], ran.outcome["cursor"]
    assert ran.err.splitlines()[-2:] == [
        f"streamfold: stopped after event {cursor}; resume {response_id} with:",
        f"  streamfold follow {response_id} --starting-after {cursor} --json",
    ]


def test_a_cancel_that_is_stopped_says_that_nothing_is_known(gateways: Gateways, use: Use, run: Run) -> None:
    url = gateways("refuse:on=cancel,status=503,retry_after=60", tokens_per_second=20)
    use(url)
    created = run(*CREATE, "--input", "a long story", "--json", ctrl_c_when=lines(1))
    response_id = created.lines[0]["response"]["id"]
    ran = run("cancel", response_id, ctrl_c_when=lambda *_: was_visited(url, f"/{response_id}/cancel"))
    assert ran.err.splitlines() == [
        f"streamfold: stopped; {response_id} may or may not be cancelled. Cancel it again with:",
        f"  streamfold cancel {response_id}",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_batch_that_is_left_keeps_running(number: int, gateways: Gateways, use: Use, run: Run) -> None:
    url = gateways(batch_stage_seconds=60)
    use(url)
    body = b'{"input_file_id":"f","endpoint":"/v1/responses","completion_window":"24h","max_concurrency":1}'
    with urlopen(Request(f"{url}/api/v1/llm/batches", body, {"authorization": f"Bearer {KEY}"})) as answer:
        batch_id = json.load(answer)["id"]
    ran = run("batch", "follow", batch_id, ctrl_c_when=lambda out, _: b"validating" in out, number=number)
    assert ran.code == 128 + number
    assert ran.err.splitlines() == [
        f"streamfold: stopped; follow {batch_id} with:",
        f"  streamfold batch follow {batch_id}",
    ]


def was_visited(url: str, path: str) -> bool:
    """Whether the gateway was asked for this."""
    with urlopen(f"{url}/_emulator/journal") as answer:
        return any(visit["path"].endswith(path) for visit in json.load(answer)["visits"])


@pytest.fixture
def emulator() -> Iterator[Callable[..., tuple[Process, str]]]:
    """Starts the command. Returns: the process, and the URL that it printed."""
    started: list[Process] = []

    def emulator(*options: str) -> tuple[Process, str]:
        process = start("emulator", "--port", "0", *options)
        started.append(process)
        return process, read_lines(process, 1)[0].decode().strip()

    yield emulator
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_emulator_serves_until_it_is_ended(
    number: signal.Signals, emulator: Callable[..., tuple[Process, str]], use: Use
) -> None:
    process, url = emulator("--tokens-per-second", "0", "--seed", "7")
    use(url)
    done = subprocess.run(
        [*COMMAND, "create", "--model=m", "--input=echo hi"], capture_output=True, check=True, timeout=20
    )
    assert done.stdout == b"hi\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_the_emulator_takes_faults_a_plan_and_a_recording(
    emulator: Callable[..., tuple[Process, str]], use: Use, tmp_path: Path
) -> None:
    recording = tmp_path / "one.sse"
    recording.write_bytes(b"".join(said("Hel", "lo")))
    faults = ("--fault", "drop:after_events=4,times=1", "--fault", "gzip", "--plan", "seed=1,rate=0.1")
    _, url = emulator("--playback", str(recording), "--tokens-per-second", "0", *faults)
    use(url)
    done = subprocess.run(
        [*COMMAND, *CREATE, "--input=x", "--json", "--dialect=openai"], capture_output=True, check=True, timeout=20
    )
    outcome = json.loads(done.stdout.splitlines()[-1])["outcome"]
    assert outcome["output_text"] == "Hello"
    assert outcome["repairs"]


def test_an_address_that_is_taken_is_one_line(emulator: Callable[..., tuple[Process, str]]) -> None:
    _, url = emulator()
    port = url.rpartition(":")[2]
    done = subprocess.run([*COMMAND, "emulator", "--port", port], capture_output=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(f"streamfold: cannot listen on 127.0.0.1:{port}: ".encode())
