"""The Home tab: what each part shows, where the outcome of a click stands, and that Slack accepts it at its fullest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from bot.views.block_kit import mrkdwn
from bot.views.break_glass.list import EventRow, event_row
from bot.views.devices.list import device_row
from bot.views.home import (
    MAX_COUNTED,
    MAX_ROWS,
    NOTHING_TO_REQUEST,
    ROWS_PER_PAGE,
    HomeOutcome,
    HomePage,
    HomeRow,
    HomeSection,
    home_notice,
    home_tab,
)
from bot.views.home_state import HomeFilter, HomeState, SectionKey, read_home_state, read_show_button
from bot.views.preferences import notify_form, notify_saved, read_notify_form
from bot.views.replies import reply
from bot.views.request.list import RequestRow, list_row
from bot.views.timeline import timeline
from core.clock import new_id
from core.duty import Duty, on_call_name
from core.errors import InvalidInput
from core.preferences import DmKind
from localslack.block_kit import check_view
from tests.bot.views.samples import a_device, a_session, an_activity
from tests.bot.views.test_break_glass_card import DUE, a_timeline, live
from tests.bot.views.test_request_card import pending
from tests.end_to_end.harness import walk_text
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from datetime import datetime

    from bot.views.block_kit import Message

MAX_BLOCKS_OF_A_MESSAGE: Final = 50
NOW: Final = A_MOMENT + timedelta(minutes=1)


def a_duty(schedule: str, ends_at: datetime | None = NOW) -> Duty:
    name = on_call_name(schedule)
    made = {"source": "pagerduty", "schedule": "P1", "answered_at": A_MOMENT, "ends_at": ends_at}
    return Duty.model_validate({"name": name, "is_on_call": True, "may_approve": True, **made})


def request_row(record_id: str = "") -> HomeRow:
    request = pending().replace(id=record_id or new_id())
    row = RequestRow(request, may_decide=True, may_cancel=True, sessions=[a_session()])
    return HomeRow(request.id, list_row(row, A_MOMENT))


def event_of(record_id: str = "") -> HomeRow:
    event = live().replace(id=record_id or new_id())
    return HomeRow(event.id, event_row(EventRow(event, DUE, may_close=True), A_MOMENT))


def longest_outcome() -> Message:
    """As many blocks as a message can have."""
    told = timeline(replace(a_timeline(500), activity=tuple(an_activity(number) for number in range(8))))
    more = [mrkdwn("One more.")] * (MAX_BLOCKS_OF_A_MESSAGE - len(told.blocks))
    return replace(told, blocks=(*told.blocks, *more))


def texts(view: dict[str, Any]) -> list[str]:
    return walk_text(view["blocks"])


def position(view: dict[str, Any], text: str) -> int:
    return next(number for number, block in enumerate(view["blocks"]) if text in str(block))


def test_fullest_overview_with_the_longest_outcome_is_valid() -> None:
    made = {
        key: [event_of() if "event" in key or key is SectionKey.REVIEW else request_row() for _ in range(MAX_ROWS)]
        for key in SectionKey
    }
    made[SectionKey.DEVICES] = [HomeRow(str(n), device_row(a_device(n), A_MOMENT)) for n in range(MAX_ROWS)]
    page = HomePage([HomeSection(key, rows, MAX_COUNTED) for key, rows in made.items()])
    on_call = [a_duty(f"schedule-{number:055}") for number in range(50)]
    for outcome in (None, HomeOutcome(longest_outcome(), "list:none:review")):
        view = home_tab(page, NOW, may_request=False, may_break=True, outcome=outcome, duties=on_call)
        check_view(view, "home")
        assert all(key.heading in str(view) for key in SectionKey)


def test_fullest_page_of_one_part_is_valid() -> None:
    state = HomeState(HomeFilter.MINE, 2)
    rows = [request_row() for _ in range(ROWS_PER_PAGE - 1)]
    sections = [HomeSection(SectionKey.OWN_EVENTS, [event_of()], 9), HomeSection(SectionKey.REQUESTS, rows, 100)]
    outcome = HomeOutcome(longest_outcome())
    view = home_tab(HomePage(sections, state, 14), NOW, may_request=False, may_break=True, outcome=outcome)
    check_view(view, "home")
    assert all(row.record_id in str(view) for section in sections for row in section.rows)
    assert "Page 2 of 14" in texts(view)


def test_filters_count_what_is_behind_them() -> None:
    counts = {HomeFilter.MINE: 3, HomeFilter.DECIDE: 0, HomeFilter.LIVE: 99, HomeFilter.REVIEW: MAX_COUNTED}
    view = home_tab(HomePage([], HomeState(HomeFilter.MINE), counts=counts), NOW)
    labels = ["All", "● Mine (3)", "To decide (0)", "Live (99)", "To review (99+)"]
    assert [each for each in texts(view) if each in labels] == labels


def test_outcome_stands_at_the_row_that_was_clicked() -> None:
    rows = [request_row() for _ in range(3)]
    page = HomePage([HomeSection(SectionKey.DECIDE, rows, 3)])
    shown = home_tab(page, NOW)
    (clicked,) = [each["block_id"] for each in shown["blocks"] if rows[1].record_id in each.get("block_id", "")]
    view = home_tab(page, NOW, outcome=HomeOutcome(reply("Already voted."), clicked))
    at = position(view, "Already voted.")
    assert position(view, rows[1].record_id) < at < position(view, rows[2].record_id)


def test_outcome_stands_where_the_row_was() -> None:
    clicked = f"list:{new_id()}:{SectionKey.DECIDE}"
    above, same = HomeSection(SectionKey.EVENTS, [event_of()], 1), HomeSection(SectionKey.DECIDE, [request_row()], 1)
    below = HomeSection(SectionKey.REQUESTS, [request_row()], 1)
    for sections in ([above, same, below], [above, below]):
        view = home_tab(HomePage(sections), NOW, outcome=HomeOutcome(reply("Approved."), clicked))
        at = position(view, "Approved.")
        assert position(view, above.rows[0].record_id) < at < position(view, below.rows[0].record_id)
    view = home_tab(HomePage([below]), NOW, outcome=HomeOutcome(reply("Approved."), clicked))
    assert position(view, "All") < position(view, "Approved.") < position(view, below.rows[0].record_id)


@pytest.mark.parametrize("block_id", ["", "nothing", "list:0123456789abcdef:Your requests"])
def test_outcome_of_an_unknown_place_stands_at_the_top(block_id: str) -> None:
    page = HomePage([HomeSection(SectionKey.REQUESTS, [request_row()], 1)])
    view = home_tab(page, NOW, outcome=HomeOutcome(reply("Cancelled."), block_id))
    assert position(view, "Cancelled.") == 0


def test_outcome_is_said_even_if_nothing_else_can_be_shown() -> None:
    view = home_notice(reply("The store can't be reached."), HomeOutcome(reply("Approved.")))
    check_view(view, "home")
    assert texts(view) == ["Approved.", "The store can't be reached."]


def test_who_is_on_call_reads_until_when() -> None:
    ended = a_duty("night").model_copy(update={"is_on_call": False})
    view = home_tab(HomePage([]), NOW, duties=[a_duty("primary"), ended, a_duty("backup", None)])
    (line,) = [each for each in texts(view) if "on call" in each]
    until = f"<!date^{int(NOW.timestamp())}^"
    assert line.startswith(f":bell: You're on call in `backup`, `primary` until {until}")
    assert "night" not in line
    assert "on call" not in str(home_tab(HomePage([]), NOW, duties=[ended]))


def test_nothing_is_said_in_a_few_words() -> None:
    empty = [HomeSection(key, [], 0) for key in SectionKey]
    view = home_tab(HomePage(empty), NOW)
    assert "Nothing is waiting for you. You haven't requested anything yet." in texts(view)
    assert NOTHING_TO_REQUEST not in texts(view)
    part = home_tab(HomePage(empty[1:2], HomeState(HomeFilter.DECIDE)), NOW, may_request=False)
    assert SectionKey.DECIDE.nothing in texts(part)
    assert NOTHING_TO_REQUEST in texts(part)


@pytest.mark.parametrize("state", [HomeState(), HomeState(HomeFilter.REVIEW, 7)])
def test_state_is_in_the_view_and_in_its_buttons(state: HomeState) -> None:
    assert read_home_state(state.write()) == state
    assert read_show_button(state.as_value()) == state
    assert read_home_state(home_tab(HomePage([], state, 9), NOW)["private_metadata"]) == state


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "[]",
        "{",
        "7",
        3_000 * "[",
        '{"show": "mine"}',
        '{"show": 1, "page": 1}',
        '{"show": "mine", "page": 100}',
    ],
)
def test_state_that_cannot_be_read_is_the_overview(written: str | None) -> None:
    assert read_home_state(written) == read_show_button(written) == HomeState()


@pytest.mark.parametrize("muted", [frozenset[DmKind](), frozenset({DmKind.REMINDERS}), frozenset(DmKind)])
def test_form_of_direct_messages_shows_and_reads_the_choice(muted: frozenset[DmKind]) -> None:
    form = notify_form(muted)
    check_view(form, "modal")
    chosen = form["blocks"][0]["element"].get("initial_options", [])
    state = {"values": {"kinds": {"answer": {"type": "checkboxes", "selected_options": chosen}}}}
    assert read_notify_form({**form, "state": state}) == (frozenset(DmKind), muted)
    check_view({**form, "blocks": list(notify_saved(muted).blocks)}, "modal")


def test_form_of_another_version_changes_only_what_it_shows() -> None:
    form = notify_form([])
    state: dict[str, Any] = {"values": {"kinds": {"answer": {"selected_options": []}}}}
    form["blocks"][0]["element"]["options"] = [{"value": DmKind.ACCESS.value}, {"value": "digests"}]
    assert read_notify_form({**form, "state": state}) == (frozenset({DmKind.ACCESS}),) * 2
    for nothing in ({"state": state}, form, {**form, "state": {"values": {}}}):
        with pytest.raises(InvalidInput, match="doesn't say what was chosen"):
            read_notify_form(nothing)
