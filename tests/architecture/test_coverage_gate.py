"""The coverage gate sees what it is there to see: a missed line, a missed branch, a failing or absent test."""

from pathlib import Path

import pytest

from tests.architecture.coverage_by_own_file import judge_pair, own_test, own_tests

MODULE = "def pace(fast):\n    steps = 1\n    if fast:\n        steps = 2\n    return steps\n"
LOAD = (
    "from pathlib import Path\nfrom runpy import run_path\npace = run_path(Path(__file__).with_name('pace.py'))['pace']"
)
CASES = [
    pytest.param("def test_it(): assert [pace(True), pace(False)] == [2, 1]", "", id="all of it"),
    pytest.param("def test_it(): assert pace(False) == 1", "lines 4; branches 3->4", id="a missed line"),
    pytest.param("def test_it(): assert pace(True) == 2", "branches 3->5", id="a missed branch"),
    pytest.param("def test_it(): assert pace(True) == 3", "its own tests fail", id="a failing test"),
]


# Each starts a Python that measures coverage, twice.
@pytest.mark.thorough
@pytest.mark.parametrize(("test", "fault"), CASES)
def test_the_gate(test: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "pace.py").write_text(MODULE)
    (tmp_path / "test_pace.py").write_text(f"{LOAD}\n\n{test}\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert judge_pair(tmp_path / "pace.py", tmp_path / "test_pace.py", tmp_path).fault == fault


@pytest.mark.thorough
def test_a_test_file_may_be_divided(tmp_path: Path) -> None:
    (tmp_path / "pace.py").write_text(MODULE)
    (tmp_path / "test_pace.py").write_text(f"{LOAD}\n\ndef test_it(): assert pace(True) == 2\n")
    (tmp_path / "test_pace_slow.py").write_text(f"{LOAD}\n\ndef test_it(): assert pace(False) == 1\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert judge_pair(tmp_path / "pace.py", tmp_path / "test_pace.py", tmp_path).fault == ""


@pytest.mark.thorough
def test_a_module_that_is_never_imported_is_caught(tmp_path: Path) -> None:
    (tmp_path / "pace.py").write_text(MODULE)
    (tmp_path / "test_pace.py").write_text("def test_it(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    verdict = judge_pair(tmp_path / "pace.py", tmp_path / "test_pace.py", tmp_path)
    assert verdict.fault == "never imported by its own tests"


def test_a_module_without_a_test_file_is_caught(tmp_path: Path) -> None:
    assert judge_pair(tmp_path / "pace.py", tmp_path / "test_pace.py", tmp_path).fault == "no test file test_pace.py"


def test_tests_mirror_the_source() -> None:
    assert own_test(Path("fold/text.py")) == Path("fold/test_text.py")
    assert own_test(Path("reader.py")) == Path("test_reader.py")


def test_own_tests_may_be_divided(tmp_path: Path) -> None:
    for name in ("test_pace.py", "test_pace_slow.py", "test_pacemaker.py"):
        (tmp_path / name).write_text("")
    assert [path.name for path in own_tests(tmp_path / "test_pace.py")] == ["test_pace.py", "test_pace_slow.py"]
