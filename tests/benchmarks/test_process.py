"""Variants in processes of their own: they take turns, import what they need, and tell when they fail."""

import gc
import io
import pickle
import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks.process import ProcessEnded, measure_apart, serve
from streamfold.bench import Variant


def note(path: Path, word: str) -> None:
    """What a process can tell: a word at the end of a file."""
    with path.open("a") as file:
        file.write(word)


def note_modules(path: Path) -> None:
    path.write_text(" ".join(sys.modules))


def fail_later(path: Path) -> None:
    """Runs well while it is warmed up, and never again."""
    assert not path.exists()
    path.touch()


def test_each_variant_has_as_many_samples_as_there_are_rounds() -> None:
    timings = measure_apart([Variant("one", partial(sum, range(10))), Variant("two", int)], rounds=3, sample_seconds=0)
    assert {name: len(samples) for name, samples in timings.samples.items()} == {"one": 3, "two": 3}
    assert all(seconds >= 0 for samples in timings.samples.values() for seconds in samples)


def test_variants_take_turns_as_in_one_process(tmp_path: Path) -> None:
    file = tmp_path / "order"
    variants = [Variant(name, partial(note, file, name)) for name in "ab"]
    measure_apart(variants, rounds=2, sample_seconds=1e-9)
    assert file.read_text()[4:] == "ab" + "ba"  # before, each runs once to warm up, and once to be measured


def test_a_process_imports_what_its_variant_needs_and_no_peer(tmp_path: Path) -> None:
    measure_apart([Variant("any", partial(note_modules, tmp_path / "names"))], rounds=1, sample_seconds=0)
    names = (tmp_path / "names").read_text().split()
    assert "benchmarks.process" in names
    assert not {"openai", "httpx_sse", "benchmarks.stream.peers"} & set(names)


@pytest.mark.parametrize("run", [partial(int, "no number"), partial(sys.exit, 1)], ids=["raises", "exits"])
def test_a_variant_that_fails_at_once_is_named(run: partial[object]) -> None:
    with pytest.raises(ProcessEnded, match="broken"):
        measure_apart([Variant("broken", run)], rounds=1)


def test_a_variant_that_fails_later_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessEnded, match="broken"):
        measure_apart([Variant("broken", partial(fail_later, tmp_path / "ran"))], rounds=1)


def test_a_process_answers_each_number_of_runs_with_seconds() -> None:
    answers = io.BytesIO()
    try:
        serve(io.BytesIO(pickle.dumps(int) + b"1\n20\n"), answers)
    finally:  # a process of its own would end here, with its collector off
        gc.unfreeze()
        gc.enable()
    assert [float(line) >= 0 for line in answers.getvalue().splitlines()] == [True, True]
