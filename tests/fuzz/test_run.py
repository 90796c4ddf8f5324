"""The fuzzer runs, repeats itself, and finds a fault that is put in."""

import random

import pytest

import streamfold.reader
from tests.fuzz import run


def test_some_inputs_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.run(minutes=1, inputs=500, seed=7) == 0
    assert "500 inputs" in capsys.readouterr().out


def test_a_seed_gives_the_same_inputs_again() -> None:
    first, second = (random.Random(3) for _ in range(2))
    streams = [run.corpus(chance) for chance in (first, second)]
    inputs = [[run.mutated(chance, streams[0]) for _ in range(50)] for chance in (first, second)]
    assert streams[0] == streams[1]
    assert inputs[0] == inputs[1]


def test_a_fault_of_the_reader_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(streamfold.reader, "NOT_NEXT", 2)
    with pytest.raises(AssertionError, match="cutting the bytes elsewhere"):
        run.run(minutes=1, inputs=20_000, seed=1)
    assert "failed: seed 1, input" in capsys.readouterr().out
