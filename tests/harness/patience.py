"""More time for tests with a real bot and a local Slack: a busy machine, or a slow disk, is not a broken one.

Invariant: only limits in real time become longer. Their order stays: Slack waits longest, then a decision for the
store, then a click for what Slack or a schedule is asked. Tests that are about such a limit set it themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.interactions import decision_queue, interaction
from bot.slack import directory
from core.schedules import watched
from localslack import limits

if TYPE_CHECKING:
    import pytest

SLACK_SECONDS: Final = 10.0
DECISION_SECONDS: Final = 9.0
QUESTION_SECONDS: Final = 4.0


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengthen the limits for a bot and a local Slack that start in this process from now on."""
    monkeypatch.setattr(limits, "ACKNOWLEDGE_SECONDS", SLACK_SECONDS)
    monkeypatch.setattr(interaction, "TRIGGER_SECONDS", SLACK_SECONDS)
    monkeypatch.setattr(decision_queue, "TIMEOUT_SECONDS", DECISION_SECONDS)
    monkeypatch.setattr(directory, "ANSWER_TIMEOUT_SECONDS", QUESTION_SECONDS)
    monkeypatch.setattr(watched, "PATIENCE_SECONDS", QUESTION_SECONDS)
