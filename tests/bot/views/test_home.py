"""The Home tab at its fullest: Slack accepts it, however much somebody can act on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.views.break_glass.list import BreakGlassListKind, EventRow, event_row
from bot.views.devices.list import device_row
from bot.views.home import MAX_ROWS, HomeSection, home_tab
from bot.views.request.list import RequestRow, list_row
from bot.views.timeline import timeline
from core.clock import new_id
from core.request import RequestStatus
from localslack.block_kit import check_view
from tests.bot.views.samples import a_device, a_session, an_activity
from tests.bot.views.test_break_glass_card import DUE, a_timeline, live, shut
from tests.bot.views.test_request_card import pending
from tests.harness.clock import A_MOMENT


def test_fullest_tab_with_the_longest_outcome_is_valid() -> None:
    requests = [
        list_row(
            RequestRow(pending().replace(id=new_id()), may_decide=True, may_cancel=True, sessions=[a_session()]),
            A_MOMENT,
        )
        for _ in range(MAX_ROWS)
    ]
    assert pending().status is RequestStatus.PENDING
    events = [
        event_row(EventRow(make().replace(id=new_id()), DUE, may_close=True, may_review=True), A_MOMENT)
        for make in (live, shut)
        for _ in range(MAX_ROWS)
    ]
    sections = [
        *(HomeSection(each.heading, events[:MAX_ROWS], "", "/breakglass") for each in BreakGlassListKind),
        *(HomeSection(f"Section {number}", requests, "", "/access mine") for number in range(3)),
    ]
    sections.append(
        HomeSection("Devices", [device_row(a_device(number), A_MOMENT) for number in range(MAX_ROWS)], "", "/x")
    )
    activity = tuple(an_activity(number) for number in range(8))
    outcome = timeline(replace(a_timeline(500), activity=activity))
    now = A_MOMENT + timedelta(minutes=1)
    check_view(home_tab(sections, now, may_break=True, outcome=outcome), "home")
