"""The Home tab at its fullest: Slack takes it, whatever somebody has to do with."""

from __future__ import annotations

from datetime import timedelta

from bot.blocks.break_glass_lists import BreakGlassListKind, EventRow, event_row
from bot.blocks.home import MOST_ROWS, HomeSection, home_tab
from bot.blocks.lists import Row, list_row
from bot.blocks.timeline import timeline
from bot.playground.slack.block_kit import check_view
from core.clock import new_id
from core.request import RequestStatus
from tests.bot.test_break_glass_blocks import DUE, a_timeline, live, shut
from tests.bot.test_request_blocks import pending
from tests.engines.clock import A_MOMENT


def test_slack_takes_the_fullest_tab_with_the_longest_outcome_on_top() -> None:
    requests = [
        list_row(Row(pending().replace(id=new_id()), may_decide=True, may_cancel=True), A_MOMENT)
        for _ in range(MOST_ROWS)
    ]
    assert pending().status is RequestStatus.PENDING
    events = [
        event_row(EventRow(make().replace(id=new_id()), DUE, may_close=True, may_review=True), A_MOMENT)
        for make in (live, shut)
        for _ in range(MOST_ROWS)
    ]
    sections = [
        *(HomeSection(each.heading, events[:MOST_ROWS], "", "/breakglass") for each in BreakGlassListKind),
        *(HomeSection(f"Section {number}", requests, "", "/access mine") for number in range(3)),
    ]
    outcome = timeline(a_timeline(500))
    now = A_MOMENT + timedelta(minutes=1)
    check_view(home_tab(sections, now, may_break=True, outcome=outcome), "home")
