"""Events, items and parts narrow by `type` and by class, for mypy and pyright in their strict modes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from streamfold import snapshot
from streamfold.emulator import Options, emulate
from streamfold.session import CancelResult, OutcomeStatus
from tests.typing.sample_app import parts_of, read
from tests.typing.sample_client import ask, ask_blocking, stop

SAMPLES = [Path(__file__).with_name(name) for name in ("sample_app.py", "sample_client.py")]
SOURCE = SAMPLES[0].parents[2] / "src"

on_each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)

STREAM = b"".join(
    b"data: %b\n\n" % json.dumps({"sequence_number": number, **event}).encode()
    for number, event in enumerate(
        [
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"},
            {
                "type": "response.output_item.done",
                "output_index": 1,
                "item": {"type": "function_call", "name": "f", "arguments": "{}"},
            },
            {"type": "response.brand_new"},
            {"type": "error", "message": "too late"},
        ]
    )
)


def test_the_sample_reads_a_stream_by_type_and_by_class() -> None:
    by_type, by_class, state = read([STREAM])
    assert by_type == ["Hi", "f({})", "response.brand_new", ""]
    assert by_class == ["Hi", "response.output_item.done", "response.brand_new", "too late"]
    assert parts_of(snapshot(state)) == ["Hi", "function_call"]


def test_the_client_sample_asks_and_stops_in_both_ways() -> None:
    with emulate(Options(tokens_per_second=None)) as url:
        expected = ("1, 2, 3", "1, 2, 3", OutcomeStatus.COMPLETED)
        assert anyio.run(ask, f"{url}/v1", "count to 3") == expected
        assert ask_blocking(f"{url}/v1", "count to 3") == expected
        assert anyio.run(stop, f"{url}/v1", "resp_unknown") is CancelResult.UNCONFIRMED


@on_each_sample
@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_mypy_finds_no_error_in_the_sample(sample: Path) -> None:
    checked = check([sys.executable, "-m", "mypy", "--strict", "--config-file=", str(sample)])
    assert checked.returncode == 0, checked.stdout


@on_each_sample
@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_pyright_finds_no_error_in_the_sample(sample: Path) -> None:
    pyright = Path(sys.executable).with_name("pyright")
    if not pyright.exists():
        pytest.skip("pyright is not installed: see the extra `check`")
    checked = check([str(pyright), "--pythonpath", sys.executable, str(sample)])
    assert checked.returncode == 0, checked.stdout
    assert "# pyright: strict" in sample.read_text("utf-8")


def check(command: list[str]) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{Path(shutil.which('env') or '/usr/bin/env').parent}"
    environment = {"PATH": path, "MYPYPATH": str(SOURCE), "HOME": str(Path.home())}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=SOURCE.parent, check=False)
