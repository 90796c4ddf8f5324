"""The demo's first act: every fault happens and is repaired, and each check fails if its claim is false."""

import io
from collections.abc import Callable

import anyio
import pytest
from attrs import evolve
from rich.console import Console

from streamfold.cli.demo.client import FAULTS, Disturbed, compare, follow, is_honest, show_cancels, show_stream
from streamfold.cli.demo.page import DemoPage
from streamfold.client import Gateway
from streamfold.fold import State
from streamfold.schema import OPENAI
from streamfold.session import CancelResult, Outcome, OutcomeStatus, Proof, Repair, RepairKind
from tests.cli.conftest import Gateways


@pytest.fixture
def page() -> DemoPage:
    return DemoPage(Console(file=io.StringIO(), width=80))


def shown(page: DemoPage) -> str:
    return page._console.file.getvalue()  # type: ignore[attr-defined]


def test_each_fault_happens_and_is_repaired(page: DemoPage, gateways: Gateways) -> None:
    url = gateways(tokens_per_second=400)
    anyio.run(show_stream, page, url)
    assert page.checks == [True]
    assert shown(page).count(" resumed after event ") == len(FAULTS)
    assert all(f"   {words}: " in shown(page) for words, _ in FAULTS)


def test_without_the_faults_the_claim_that_they_were_repaired_fails(
    page: DemoPage, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfold.cli.demo.client.FAULT_HEADER", "x-of-nobody")
    anyio.run(show_stream, page, gateways())
    assert page.checks == [False]


def without_one(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, payloads=disturbed.payloads[:9] + disturbed.payloads[10:])


def with_one_twice(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, payloads=[*disturbed.payloads[:9], *disturbed.payloads[8:]])


def with_one_altered(disturbed: Disturbed) -> Disturbed:
    changed = disturbed.payloads[9].replace(b'"delta":"', b'"delta":"!')
    return evolve(disturbed, payloads=[*disturbed.payloads[:9], changed, *disturbed.payloads[10:]])


def without_a_proof(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, outcome=evolve(disturbed.outcome, proof=None))


def compacted(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, outcome=evolve(disturbed.outcome, is_compacted=True))


def without_text(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, outcome=evolve(disturbed.outcome, state=State()))


def failed(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, outcome=evolve(disturbed.outcome, status=OutcomeStatus.FAILED))


@pytest.mark.parametrize(
    ("broken", "holds", "words"),
    [
        pytest.param(lambda disturbed: disturbed, True, "none lost, none twice, the text is whole", id="whole"),
        pytest.param(without_one, False, "1 lost, none twice", id="one lost"),
        pytest.param(with_one_twice, False, "none lost, 1 twice", id="one twice"),
        pytest.param(with_one_altered, False, "1 lost", id="one altered"),
        pytest.param(without_text, False, "the text is not whole", id="no text"),
        pytest.param(compacted, False, "the text is not whole", id="compacted"),
        pytest.param(without_a_proof, False, "", id="not confirmed"),
        pytest.param(failed, False, "failed: ", id="failed"),
    ],
)
def test_the_claim_about_the_stream_is_checked(
    broken: Callable[[Disturbed], Disturbed], holds: bool, words: str, page: DemoPage, gateways: Gateways
) -> None:
    async def check(url: str) -> None:
        async with Gateway(url, api_key="k", dialect=OPENAI) as gateway:
            disturbed = await follow(gateway, words=30)
            repairs = tuple(Repair(RepairKind.RESUME, "cut", 1, at=0.0) for _ in FAULTS)
            outcome = evolve(disturbed.outcome, repairs=repairs)
            await compare(page, broken(evolve(disturbed, outcome=outcome)), gateway)

    anyio.run(check, gateways())
    assert page.checks == [holds]
    assert words in shown(page)


def test_each_cancel_reports_what_the_gateway_has(page: DemoPage, gateways: Gateways) -> None:
    anyio.run(show_cancels, page, gateways(tokens_per_second=100))
    assert page.checks == [True, True, True]
    assert "✓ cancelled in the middle: the cancel took effect; gateway: cancelled\n" in shown(page)
    assert "✓ cancelled after the end: it had already ended; gateway: completed\n" in shown(page)


@pytest.mark.parametrize(
    ("result", "status", "truth", "proof", "honest"),
    [
        (CancelResult.CANCEL_WON, "cancelled", "cancelled", Proof.TERMINAL_EVENT, True),
        (CancelResult.COMPLETION_WON, "completed", "completed", Proof.RETRIEVED, True),
        (CancelResult.ALREADY_TERMINAL, "completed", "completed", Proof.RETRIEVED, True),
        (CancelResult.CANCEL_WON, "completed", "completed", Proof.RETRIEVED, False),
        (CancelResult.COMPLETION_WON, "cancelled", "cancelled", Proof.RETRIEVED, False),
        (CancelResult.CANCEL_WON, "cancelled", "completed", Proof.RETRIEVED, False),
        (CancelResult.CANCEL_WON, "cancelled", "cancelled", None, False),
        (CancelResult.UNCONFIRMED, "completed", "completed", Proof.RETRIEVED, False),
    ],
)
def test_a_cancel_is_honest_if_the_gateway_confirms_it(
    result: CancelResult, status: str, truth: str, proof: Proof | None, honest: bool
) -> None:
    outcome = Outcome(status=OutcomeStatus(status), state=State(), proof=proof)
    assert is_honest(result, outcome, truth) is honest
