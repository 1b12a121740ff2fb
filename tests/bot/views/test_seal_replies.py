"""What a person reads when the record behind a button was changed past Countersign."""

from __future__ import annotations

from bot.views.break_glass.replies import without_store
from bot.views.replies import explain
from core.errors import BrokenSeal
from tests.harness.clock import A_MOMENT

BROKEN = BrokenSeal("REQUEST#0123456789abcdef", "its seal doesn't match its content")


def test_broken_seal_says_what_happened_and_what_to_do() -> None:
    text = explain(BROKEN, A_MOMENT).text
    assert text == (
        "This record was changed in the store without Countersign, so nobody can decide on it. Nothing was changed. "
        "Tell your security team. If access is still needed, make a new request."
    )


def test_broken_seal_of_a_ledger_names_the_repair() -> None:
    text = explain(BrokenSeal("LEDGER#CODES#U0APPROVER", "it has no seal"), A_MOMENT).text
    assert "once an operator has run `countersign ledgers rebuild`" in text
    assert "new request" not in text


def test_broken_seal_in_an_emergency_names_another_way() -> None:
    message = without_store(BROKEN, ["Call the security desk: 555-0100"])
    assert message.text.startswith("*No access was given*: what Countersign stores for this was changed without it")
    assert "Call the security desk" in str(message.blocks)
