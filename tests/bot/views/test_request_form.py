"""The form to request access obeys Slack's limits at the longest inputs, and reads back what it offered."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.views.block_kit import (
    MAX_SECTION_TEXT,
    Block,
    escape,
    mention,
    moment,
    mrkdwn,
    plain,
    relative_time,
    shorten,
    user_text,
)
from bot.views.inputs import MAX_OPTIONS
from bot.views.request.form import (
    FIELDS,
    BegunRequest,
    Offer,
    RequestDraft,
    read_begun_form,
    read_request_form,
    request_form,
)
from core.actor import CLOCK, ProfileName, by_policy
from core.errors import InvalidInput
from localslack.block_kit import check_view
from tests.harness.clock import A_MOMENT

HOUR = timedelta(hours=1)


def an_offer(profile: str = "prod", description: str = "Production", hours: int = 4) -> Offer:
    return Offer(ProfileName(profile), description, hours * HOUR, 2, ("group:sre",))


def element_of(form: Block, block_id: str) -> Block:
    return next(block["element"] for block in form["blocks"] if block.get("block_id") == block_id)


def lengths_of(form: Block) -> list[str]:
    return [option["value"] for option in element_of(form, "duration")["options"]]


def answers(profile: str | None, duration: str | None, justification: str | None) -> dict[str, object]:
    return {
        "profile": {"answer": {"selected_option": {"value": profile} if profile else None}},
        "duration": {"answer": {"selected_option": {"value": duration} if duration else None}},
        "justification": {"answer": {"value": justification}},
    }


@pytest.mark.parametrize("count", [1, 2, MAX_OPTIONS, 3 * MAX_OPTIONS])
def test_slack_takes_the_form_at_the_longest_inputs(count: int) -> None:
    offers = [an_offer(f"{number:03}{'x' * 77}", "y" * 200) for number in range(count)]

    check_view(request_form(offers), "modal")


def test_durations_beyond_what_any_offer_allows_are_not_offered() -> None:
    menu = request_form([an_offer(hours=2)])["blocks"][1]["element"]

    assert [option["value"] for option in menu["options"]] == ["15m", "30m", "1h", "2h"]
    assert menu["initial_option"]["value"] == "1h"


def test_longest_time_of_the_rule_is_offered() -> None:
    assert lengths_of(request_form([an_offer(hours=3)])) == ["15m", "30m", "1h", "2h", "3h"]


def test_durations_hold_for_every_chosen_profile() -> None:
    offers = [an_offer("prod", hours=4), an_offer("staging", hours=8), an_offer("db", hours=1)]

    assert lengths_of(request_form(offers))[-1] == "8h"
    assert lengths_of(request_form(offers, BegunRequest(("prod", "staging"))))[-1] == "4h"
    assert lengths_of(request_form(offers, BegunRequest(("prod", "db"), 4 * HOUR)))[-1] == "1h"


def test_menu_that_is_drawn_again_has_another_action() -> None:
    """Slack keeps what was chosen while block id and action id stay, although it's no longer offered."""
    offers = [an_offer("prod", hours=4), an_offer("db", hours=1)]
    first, again = (request_form(offers, BegunRequest(("db",), is_redrawn=redrawn)) for redrawn in (False, True))

    assert element_of(first, "duration")["action_id"] != element_of(again, "duration")["action_id"]
    assert element_of(first, "profile")["action_id"] == element_of(again, "profile")["action_id"]
    assert element_of(first, "justification")["action_id"] == element_of(again, "justification")["action_id"]


def test_beyond_a_hundred_profiles_slack_searches() -> None:
    offers = [an_offer(f"team-{number}") for number in range(MAX_OPTIONS + 1)]

    assert element_of(request_form(offers[1:]), "profile")["type"] == "multi_static_select"
    searched = element_of(request_form(offers, BegunRequest(("team-100",))), "profile")
    assert (searched["type"], searched["min_query_length"]) == ("multi_external_select", 0)
    assert [each["value"] for each in searched["initial_options"]] == ["team-100"]


def test_slack_takes_the_form_with_everything_typed() -> None:
    names = tuple(f"{number:03}{'x' * 77}" for number in range(5))
    typed = BegunRequest(names, 9 * HOUR, "y" * 3000, "U0" + 9 * "A", tuple(100 * "z" for _ in range(10)))

    form = request_form([an_offer(name, 200 * "d") for name in names[1:]], typed)

    check_view(form, "modal")
    assert f"You can't request `{names[0]}`" in str(form["blocks"][0])
    assert element_of(form, "justification")["initial_value"] == "y" * 3000
    assert read_begun_form(form | {"state": {"values": {}}}).unread == typed.unread


def test_single_profile_is_chosen_already() -> None:
    assert request_form([an_offer()])["blocks"][0]["element"]["initial_option"]["value"] == "prod"


def test_filled_form_is_read_back() -> None:
    assert read_request_form(answers("prod", "1h30m", "Deploy")) == RequestDraft(("prod",), 1.5 * HOUR, "Deploy")


@pytest.mark.parametrize(
    ("values", "field"),
    [(answers(None, "1h", "x"), "profile"), (answers("prod", None, "x"), "duration"), ({}, "profile")],
)
def test_missing_value_is_reported_by_its_field(values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as mistake:
        read_request_form(values)

    assert mistake.value.field == field
    assert field in FIELDS


def test_typed_text_is_plain_and_as_long_as_slack_takes_at_most() -> None:
    block = user_text("<!channel> *bold* " + "z" * 5000)

    assert block["text"]["type"] == "plain_text"
    assert len(block["text"]["text"]) == MAX_SECTION_TEXT


def test_name_cannot_carry_a_mention_into_our_own_text() -> None:
    assert escape("<!channel> & co") == "&lt;!channel&gt; &amp; co"
    assert mrkdwn("x" * 4000)["text"]["text"].endswith("…")


@pytest.mark.parametrize(
    ("decider", "text"),
    [("U0AB12CD3", "<@U0AB12CD3>"), (by_policy("prod"), "the policy (rule `prod`)"), (CLOCK, "the clock")],
)
def test_decider_is_named(decider: str, text: str) -> None:
    assert mention(decider) == text


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=119), "1 hour ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(seconds=-5), "just now"),
    ],
)
def test_ages_are_given_in_the_largest_unit(step: timedelta, text: str) -> None:
    assert relative_time(A_MOMENT, A_MOMENT + step) == text


def test_moment_is_shown_in_the_readers_zone_with_a_utc_fallback() -> None:
    assert moment(A_MOMENT) == "<!date^1768449225^{date_short_pretty} at {time}|2026-01-15 03:53 UTC>"


def test_short_text_is_left_alone() -> None:
    assert shorten("abc", 3) == "abc"
    assert plain("abc") == {"type": "plain_text", "text": "abc", "emoji": False}
