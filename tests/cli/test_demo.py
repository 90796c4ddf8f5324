"""`streamfold demo`: faults, repairs, cancels and a batch, and each claim checked against the gateway."""

import re
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from attrs import evolve

from streamfold.cli import demo as module
from streamfold.cli.demo import FAULTS, Claim, Disturbed, compare, fold_claims
from streamfold.client import Gateway
from streamfold.schema import OPENAI
from streamfold.session import Outcome
from tests.cli.conftest import Gateways, Run
from tests.cli.made import said

REPAIRS = (
    "resume after event ",
    "the stream was refused with 503",
    "an event is missing after ",
    "ReadTimeout",
    "expected an event stream, got an HTML page",
    "the stream ended before its terminal event",
)


def test_in_a_pipe_it_prints_the_text_each_fault_each_repair_and_each_proof(run: Run) -> None:
    ran = run("demo")
    out = ran.out.decode()
    assert (ran.code, ran.err) == (0, "")
    assert "\x1b" not in out
    assert all(f"  connection {number}: {fault}\n" in out for number, fault in enumerate(FAULTS, 1))
    assert all(repair in out for repair in REPAIRS)
    assert "event 31: output[0] closed: reasoning\n" in out
    assert "no events lost, none applied twice: 438 events, byte for byte the same as without faults" in out
    assert "  cancelled, confirmed by a GET; the cancel took effect\n" in out
    assert "✓ the batch: cancelled, and the gateway says cancelled" in out
    assert out.count("✓") == 12
    assert "✗" not in out


def test_on_a_terminal_the_faults_and_the_repairs_stand_below_the_text(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    ran = run("demo", "--speed", "400", terminal=True)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", ran.out.decode())
    assert ran.code == 0
    assert "Each fault and each repair, as they happen" in shown
    assert "\n✗ connection 1: drop:after_events=40,how=rst\n" in shown
    assert re.search(r"\n↻ resume after event \d+: ", shown)


def test_a_claim_that_does_not_hold_is_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(*_: object, **__: object) -> list[Claim]:
        return [Claim("nothing was lost", False)]

    monkeypatch.setattr(module, "tell", tell)
    ran = run("demo")
    assert (ran.code, ran.out.decode().splitlines()[-1]) == (1, "  ✗ nothing was lost")


def test_ctrl_c_ends_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(*_: object, **__: object) -> list[Claim]:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "tell", tell)
    ran = run("demo")
    assert (ran.code, ran.err) == (130, "streamfold: stopped\n")


def without_one(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, payloads=disturbed.payloads[:9] + disturbed.payloads[10:])


def with_one_twice(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, payloads=[*disturbed.payloads[:9], *disturbed.payloads[8:]])


def with_one_altered(disturbed: Disturbed) -> Disturbed:
    changed = disturbed.payloads[9].replace(b'"delta":"', b'"delta":"!')
    return evolve(disturbed, payloads=[*disturbed.payloads[:9], changed, *disturbed.payloads[10:]])


def with_another_end(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, outcome=evolve(disturbed.outcome, proof=None))


def compacted(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, outcome=evolve(disturbed.outcome, is_compacted=True))


BROKEN = [
    pytest.param(lambda disturbed: disturbed, [True, True, True], id="as it was"),
    pytest.param(without_one, [False, True, True], id="one lost"),
    pytest.param(with_one_twice, [False, True, True], id="one twice"),
    pytest.param(with_one_altered, [False, True, True], id="one altered"),
    pytest.param(compacted, [True, False, True], id="compacted"),
    pytest.param(with_another_end, [True, True, False], id="not confirmed"),
]


@pytest.mark.parametrize(("broken", "holds"), BROKEN)
def test_the_claims_are_checked(
    broken: Callable[[Disturbed], Disturbed], holds: list[bool], gateways: Gateways
) -> None:
    url = gateways()

    async def check() -> list[Claim]:
        async with Gateway(url, api_key="k", dialect=OPENAI) as gateway:
            return await compare(broken(await follow(gateway)), gateway)

    claims = anyio.run(check)
    assert [claim.holds for claim in claims[1:4]] == holds
    assert not claims[0].holds  # nothing was repaired here
    assert all(claim.holds for claim in claims[4:])


async def follow(gateway: Gateway) -> Disturbed:
    payloads: list[bytes] = []
    plain: dict[str, Any] = {"include_obfuscation": False}
    async with gateway.stream(model="toy", input="30 words", background=True, stream_options=plain) as response:
        while applied := await response.next_applied():
            payloads += [each.data for each in applied]
        outcome: Outcome = await response.outcome()
        return Disturbed(response.id or "", outcome, payloads)


PAYLOADS = [frame.split(b"data: ", 1)[1].rstrip() for frame in said(*["some "] * 20)]


def test_what_is_promised_of_states_is_checked_on_states() -> None:
    assert all(claim.holds for claim in fold_claims(PAYLOADS))


@pytest.mark.parametrize("words", ["1", "2"])
def test_an_answer_of_any_length_will_do(words: str, gateways: Gateways) -> None:
    url = gateways()

    async def payloads() -> list[bytes]:
        async with Gateway(url, api_key="k", dialect=OPENAI) as gateway:
            async with gateway.stream(model="toy", input=f"{words} words, and think first") as response:
                return [each.data async for each in response_steps(response)]

    assert all(claim.holds for claim in fold_claims(anyio.run(payloads)))


async def response_steps(response: Any) -> Any:
    while applied := await response.next_applied():
        for each in applied:
            yield each


def test_the_claim_about_gaps_fails_on_a_stream_with_a_hole() -> None:
    middle = len(PAYLOADS) // 2
    repeated = [*PAYLOADS[: middle + 1], *PAYLOADS[middle:-1]]  # the event that should be ahead is not
    assert [claim.holds for claim in fold_claims(repeated)][-1] is False
