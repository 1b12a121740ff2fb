"""kill -9 at every call to Slack for an event that escalates and closes: all is delivered, nothing lost silently."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from bot.views.break_glass.card import REVIEW, TIMELINE
from core.break_glass import EventId, ReasonCode
from core.services import BreakGlassService
from localslack.faults import Stall
from localslack.records import Channel, SlackMessage
from tests.bot.notifications.harness import CHANNEL, ELSEWHERE, Office, buttons
from tests.bot.notifications.test_killed_while_delivering import _deliver_the_rest, _delivering
from tests.core.services.harness import ANN, BOB

POST, REWRITE, OPEN, ASK = "chat.postMessage", "chat.update", "conversations.open", "conversations.info"
STEPS: Final = (
    (POST, CHANNEL), (POST, "C0SECURITY"), (ASK, ELSEWHERE), (POST, ELSEWHERE),
    (REWRITE, CHANNEL), (POST, "thread"), (OPEN, "invoker"), (POST, "invoker"),
    (POST, "notice in C0ACCESS1"), (POST, "notice in C0SECURITY"), (REWRITE, ELSEWHERE),
)  # fmt: skip
"""Every call, in order, and what it tells."""


@pytest.mark.parametrize("after_effect", [False, True], ids=["before Slack did it", "after Slack did it"])
@pytest.mark.parametrize("step", range(len(STEPS)), ids=lambda step: f"{step + 1} {' '.join(STEPS[step])}")
def test_kill_during_a_slack_call_posts_nothing_twice(
    office: Office, tmp_path: Path, step: int, *, after_effect: bool
) -> None:
    office.slack.workspace.add(Channel(id="C0SECURITY", name="security", members=(office.slack.backend.app.bot_user,)))
    office.policy.edit({"escalation_threshold: 2": "escalation_threshold: 1"})
    service = BreakGlassService(office.stores, office.policy, office.clock)
    event = service.invoke(
        ANN, "prod", ReasonCode.INCIDENT, "The checkout is down, INC-12", timedelta(hours=1), declared_in=ELSEWHERE
    )
    service.close(EventId(event.id), BOB, "it is up again")
    office.clock.advance(timedelta(seconds=1))
    method, part = STEPS[step]
    earlier = sum(1 for each, _ in STEPS[:step] if each == method)
    stall, passed = Stall(after_effect=after_effect), list[object]()

    def is_it(arguments: object) -> bool:
        passed.append(arguments)
        return len(passed) > earlier

    office.slack.faults.next(stall, method, where=is_it)
    with _delivering(office, tmp_path / "countersign.db") as process:
        assert stall.reached.wait(timeout=120)
        process.kill()
        process.join()
    _deliver_the_rest(office)

    assert (office.waiting(), office.parked()) == ([], [])
    twice = part if after_effect and method == POST else None
    for channel in (CHANNEL, ELSEWHERE):
        *orphans, card = (each for each in office.cards(channel) if not _is_notice(each))
        assert len(orphans) == (twice == channel)
        assert buttons(card) == [REVIEW, TIMELINE]
    for channel in (CHANNEL, "C0SECURITY"):
        notices = [each for each in office.cards(channel) if _is_notice(each)]
        assert len(notices) == (2 if twice == f"notice in {channel}" else 1)
    escalations = [each for each in office.cards("C0SECURITY") if not _is_notice(each)]
    assert len(escalations) == (2 if twice == "C0SECURITY" else 1)
    card = [each for each in office.cards() if not _is_notice(each)][-1]
    assert len(office.replies(card)) == (2 if twice == "thread" else 1)
    assert len(office.directs(ANN.id)) == (2 if twice == "invoker" else 1)


def _is_notice(message: SlackMessage) -> bool:
    return "closed the break-glass event of" in message.text
