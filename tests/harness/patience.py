"""More time for tests with a real bot and a local Slack: a busy machine, or a slow disk, is not a broken one.

Invariant: only limits in real time become longer, and their order stays. A click waits for a question to Slack or to a
schedule, a decision waits longer for the store, and Slack longer for the acknowledgement. A call to Slack may take
longer still, so an acknowledgement that waits for one is late. Tests that are about such a limit set it themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.interactions import decision_queue, interaction, reply_sender
from bot.slack import directory, questions
from core.schedules import watched
from localslack import limits

if TYPE_CHECKING:
    import pytest

QUESTION_SECONDS: Final = 4.0
DECISION_SECONDS: Final = 9.0
SLACK_SECONDS: Final = 10.0
CALL_SECONDS: Final = 15


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengthen the limits for a bot and a local Slack that start in this process from now on."""
    monkeypatch.setattr(limits, "ACKNOWLEDGE_SECONDS", SLACK_SECONDS)
    monkeypatch.setattr(interaction, "TRIGGER_SECONDS", SLACK_SECONDS)
    monkeypatch.setattr(questions, "CALL_TIMEOUT_SECONDS", CALL_SECONDS)
    monkeypatch.setattr(reply_sender, "FORM_TIMEOUT_SECONDS", CALL_SECONDS)
    monkeypatch.setattr(reply_sender, "TIMEOUT_SECONDS", CALL_SECONDS)
    monkeypatch.setattr(decision_queue, "TIMEOUT_SECONDS", DECISION_SECONDS)
    monkeypatch.setattr(directory, "ANSWER_TIMEOUT_SECONDS", QUESTION_SECONDS)
    monkeypatch.setattr(watched, "PATIENCE_SECONDS", QUESTION_SECONDS)
