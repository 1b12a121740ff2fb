"""The Home tab in Slack: filters and pages, the outcome at the row that was clicked, and choosing direct messages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.views.home_state import SectionKey
from bot.views.request.card import APPROVE, CANCEL
from core.preferences import DmKind
from core.request import RequestStatus
from tests.end_to_end.harness import ACCESS, AIKO, GUEST, JON, MIRA, Harness, walk_text

if TYPE_CHECKING:
    from localslack.records import View


def press(harness: Harness, user: str, view: View, action_id: str, value: str | None = None) -> View:
    """Press a button in a Home tab; the tab as it is drawn afterwards."""
    harness.slack.press(user, view, action_id, value=value)
    drawn = harness.slack.wait_until(lambda: _newer(harness, user, view))
    assert drawn is not None
    return drawn


def _newer(harness: Harness, user: str, before: View) -> View | None:
    view = harness.slack.home(user)
    return view if view is not None and view.hash != before.hash else None


def text(view: View) -> str:
    return " ".join(walk_text(view.blocks))


def test_filter_stays_with_the_outcome_where_it_was_clicked(harness: Harness) -> None:
    first, second = harness.ask(MIRA), harness.ask(AIKO)
    view = press(harness, JON, harness.home(JON), "home:show:decide")
    assert "● To decide (2)" in text(view)
    view = press(harness, JON, view, APPROVE, first.id)

    assert harness.status(first) is RequestStatus.APPROVED
    assert "● To decide (1)" in text(view)
    heading = text(view).index(SectionKey.DECIDE.heading)
    assert heading < text(view).index(f"Approved. <@{MIRA}> has") < text(view).index(second.id)


def test_answer_to_a_click_is_drawn_over_what_came_between(harness: Harness) -> None:
    request, seen = harness.ask(MIRA), harness.home(MIRA)
    # Somebody else's instance drew it in the meantime.
    harness.home(MIRA)
    view = press(harness, MIRA, harness.home(MIRA), "home:show:mine")
    harness.slack.press(MIRA, seen, CANCEL, value=request.id)
    shown = harness.slack.wait_until(lambda: "cancelled" in text(_newer(harness, MIRA, view) or view))
    assert shown


def test_tab_that_was_opened_again_keeps_its_part(harness: Harness) -> None:
    press(harness, MIRA, harness.home(MIRA), "home:show:live")
    assert "● Live" in text(harness.home(MIRA))


def test_guest_reads_why_there_is_nothing(harness: Harness) -> None:
    view = harness.home(GUEST)
    assert text(view).startswith("There's nothing for you here: guests can't use Countersign")
    assert not [block for block in view.blocks if block["type"] == "actions"]


@pytest.mark.parametrize("way", ["home", "command"])
def test_person_chooses_their_direct_messages(harness: Harness, way: str) -> None:
    if way == "home":
        harness.slack.press(MIRA, harness.home(MIRA), "home:notify")
    else:
        harness.access(MIRA, "notify")
    form = harness.modal(MIRA)
    chosen = form.blocks[0]["element"]["initial_options"]
    kept = [each["value"] for each in chosen if each["value"] != DmKind.DECISIONS.value]
    harness.slack.submit(MIRA, form, {"kinds": {"answer": kept}})
    assert not harness.stores.preferences.get(harness.actor(MIRA).id).wants(DmKind.DECISIONS)

    request = harness.ask(MIRA)
    harness.slack.press(JON, harness.card(request), APPROVE)
    harness.slack.wait_until(lambda: any("Approved by" in each.text for each in harness.slack.messages(ACCESS)))
    later = harness.clock.now() + timedelta(hours=1)
    harness.slack.wait_until(lambda: not list(harness.stores.outbox.iterate_due(later)))
    assert harness.slack.dm(MIRA) == []
