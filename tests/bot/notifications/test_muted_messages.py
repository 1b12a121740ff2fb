"""Direct messages that a person muted: they stay away, everything else arrives, and a damaged choice mutes nothing."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from bot.notifications.plan import DirectMessage
from bot.notifications.posted import PostedMessages
from bot.notifications.steps import Steps, direct_step
from bot.views.block_kit import Message
from core.preferences import DmKind
from core.services.preferences import DmChoices
from tests.core.services.harness import ANN, BOB, RITA

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.bot.notifications.harness import Office


def test_muted_decision_is_in_the_thread_and_not_in_a_dm(office: Office) -> None:
    DmChoices(office.stores.preferences, office.clock).choose(RITA, [DmKind.DECISIONS])
    request = office.submit()
    office.approve(request, ANN)
    office.approve(request, BOB)
    office.deliver()
    assert office.directs() == []
    assert office.replies()[-1].startswith(f"Approved by <@{BOB.id}>.")
    assert office.waiting() == []


def test_another_kind_is_sent_all_the_same(office: Office) -> None:
    DmChoices(office.stores.preferences, office.clock).choose(RITA, set(DmKind) - {DmKind.DECISIONS})
    office.deny(office.submit(), ANN)
    office.deliver()
    assert len(office.directs()) == 1


def test_what_was_muted_is_as_good_as_sent(stores: Stores) -> None:
    steps = Steps(PostedMessages(stores.messages), "REQUEST#1", lambda _person, kind: kind is None)
    muted = DirectMessage("opened", RITA.id, Message("", ()), DmKind.ACCESS)
    alarm = DirectMessage("paired", RITA.id, Message("", ()))
    assert [direct_step(each) for each in steps.wanted([muted, alarm])] == [f"dm:paired:{RITA.id}"]


def test_no_security_notice_has_a_kind() -> None:
    for name in ("device_news.py", "unrecorded_plan.py"):
        tree = ast.parse((Path(__file__).parents[3] / "bot/notifications" / name).read_text())
        assert "DmKind" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
