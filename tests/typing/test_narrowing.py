"""Events, items and parts narrow by `type` and by class, for mypy and pyright in their strict modes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamfold import snapshot
from tests.typing.sample_app import parts_of, read

SAMPLE = Path(__file__).with_name("sample_app.py")
SOURCE = SAMPLE.parents[2] / "src"

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


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_mypy_finds_no_error_in_the_sample() -> None:
    checked = check([sys.executable, "-m", "mypy", "--strict", "--config-file=", str(SAMPLE)])
    assert checked.returncode == 0, checked.stdout


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_pyright_finds_no_error_in_the_sample() -> None:
    pyright = Path(sys.executable).with_name("pyright")
    if not pyright.exists():
        pytest.skip("pyright is not installed: see the extra `check`")
    checked = check([str(pyright), "--pythonpath", sys.executable, str(SAMPLE)])
    assert checked.returncode == 0, checked.stdout
    assert "# pyright: strict" in SAMPLE.read_text("utf-8")


def check(command: list[str]) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{Path(shutil.which('env') or '/usr/bin/env').parent}"
    environment = {"PATH": path, "MYPYPATH": str(SOURCE), "HOME": str(Path.home())}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=SAMPLE.parents[2], check=False)
