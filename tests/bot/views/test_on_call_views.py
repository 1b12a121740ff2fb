"""People on call on cards and in replies: in words, and with the way on for who is alone."""

from __future__ import annotations

from typing import Final

import pytest
from pydantic import JsonValue

from bot.interactions.interaction import Interaction
from bot.interactions.outcome import refused
from bot.views.block_kit import people
from bot.views.timeline import timeline
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, seal
from core.duty import on_call_name
from core.errors import NotAllowed
from core.policy.asking_next import ASK_NEXT
from core.policy.duty_words import describe_kept_duties, kept_schedules
from core.services.timeline import Timeline
from tests.builders import a_draft, a_request, an_event
from tests.end_to_end.harness import walk_text
from tests.harness.clock import A_MOMENT

KEPT: Final[dict[str, JsonValue]] = {
    "on_call": [
        {
            "name": "on-call:primary",
            "source": "pagerduty",
            "schedule": "PABC123",
            "shift_ends_at": "2026-01-15T18:00:00.000000Z",
        },
        {"name": "on-call:night", "source": "ical", "schedule": "calendar.example.com"},
    ]
}


def test_schedule_is_named_among_approvers() -> None:
    assert people(on_call_name("primary")) == "on call in `primary`"
    assert people("on-call:") == "on-call:"


def test_kept_duties_are_said_with_source_and_shift() -> None:
    assert kept_schedules(KEPT) == ("primary", "night")
    assert describe_kept_duties(KEPT) == (
        "primary (pagerduty PABC123), shift until 2026-01-15T18:00:00.000000Z",
        "night (ical calendar.example.com)",
    )


@pytest.mark.parametrize("details", [{}, {"on_call": "primary"}, {"on_call": [7, {"name": 7}]}])
def test_details_that_are_no_duties_say_nothing(details: dict[str, JsonValue]) -> None:
    assert describe_kept_duties(details) == ()


def test_requester_alone_on_call_reads_whom_to_ask() -> None:
    request = a_request()
    next_ = "ask S0LEADS1 or U0BEN1, who may decide under rule prod too"
    own = "U0SAM1 is the requester, and nobody decides on their own request"
    error = NotAllowed("approve", (own, next_), "prod", ("two people", ASK_NEXT))
    pressed = Interaction("U0SAM1", None, 0.0, record=request.chain)
    message = refused(pressed, error, (), A_MOMENT, lambda _: None).message
    assert message.text == (
        "Nobody decides on their own request, also while nobody else is on call. Nothing was changed. Ask "
        "<!subteam^S0LEADS1> or <@U0BEN1>, who may decide under rule prod too. If you don't need it any more, "
        "cancel it."
    )
    assert "Cancel request" in " ".join(walk_text(list(message.blocks)))


def test_timeline_says_who_acted_on_call() -> None:
    event = an_event()
    details = {**KEPT, "is_escalated": False}
    draft = a_draft(AuditAction.BREAK_GLASS_INVOKED, actor=event.invoker, details=details)
    entry = seal(draft, AuditKeyring(), chain=event.chain, seq=1, previous="", at=A_MOMENT)
    message = timeline(Timeline(event, (entry,), (), {}))
    assert "*broke the glass* · on call in `primary`, `night`" in " ".join(walk_text(list(message.blocks)))
