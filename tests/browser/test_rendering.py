"""What the bot sends is what people see: text as text, every kind of element working, and no input as markup."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from localslack.block_kit import complete
from localslack.block_schema import BLOCKS, ELEMENTS
from localslack.records import SlackMessage
from tests.browser.screens import LEFT, OF_PROD_DB, RIGHT, Screens
from tests.localslack.people import button, form, option, words

pytestmark = pytest.mark.browser
Json = dict[str, Any]
HOSTILE = "<img src=x onerror=alert(1)> <!channel> <@U0JON> *not bold* _nor this_ :tada: <javascript:alert(1)|press>"


def _post(screens: Screens, blocks: list[Json], text: str = "from the bot") -> None:
    slack = screens.playground.slack
    filled = complete(blocks, lambda: slack.workspace.new_id("b"))
    slack.workspace.post_message(
        SlackMessage(
            ts=slack.workspace.new_ts(),
            channel="C0ACCESS",
            user=slack.backend.app.bot_user,
            text=text,
            blocks=tuple(filled),
        )
    )


def _rewrite(screens: Screens, text: str) -> None:
    """Change the newest message in the channel, as `chat.update` does."""
    workspace = screens.playground.slack.workspace
    newest = workspace.messages("C0ACCESS")[-1]
    workspace.update_message(newest.model_copy(update={"text": text}))


def _section(text: str, kind: str = "mrkdwn") -> Json:
    return {"type": "section", "text": {"type": kind, "text": text}}


def _last_action(screens: Screens) -> Json:
    """The payload of the last interaction, as the app got it."""
    told: Json = screens.page.evaluate("fetch('/page/acts/last').then((answer) => answer.json())")
    payload: Json = told["interactions"][-1]["payload"]
    return payload


def test_plain_text_is_shown_as_it_is(screens: Screens) -> None:
    _post(screens, [{"type": "section", "text": {"type": "plain_text", "text": HOSTILE, "emoji": False}}])
    body = screens.pane(LEFT).get_by_role("article").last
    expect(body).to_contain_text(HOSTILE)
    assert body.evaluate("each => each.querySelectorAll('img, a, strong, em, .mention').length") == 0


def test_mrkdwn_is_formatted_and_never_becomes_markup_or_script(screens: Screens) -> None:
    marked = "*bold _both_* `*code*` ~gone~ <@U0JON> <!subteam^S0SRE> <#C0ACCESS> &lt;b&gt;"
    marked += " <https://a.example/?a=1&amp;b=2|a link>"
    _post(screens, [_section(f"{marked}\n&gt; quoted\n{HOSTILE}")])
    body = screens.pane(RIGHT).get_by_role("article").last
    expect(body.get_by_role("link")).to_have_attribute("href", "https://a.example/?a=1&b=2")
    expect(body.get_by_role("link")).to_have_attribute("rel", "noopener noreferrer")
    expect(body.locator("strong").first).to_have_text("bold both")
    expect(body.locator("strong em").first).to_have_text("both")
    expect(body.locator("code").first).to_have_text("*code*")
    expect(body.locator("s")).to_have_text("gone")
    expect(body.locator("blockquote")).to_have_text("quoted")
    expect(body.locator(".mention.is-me").first).to_have_text("@Jon Bauer")
    expect(body).to_contain_text("@sre")
    expect(body).to_contain_text("#access-prod")
    expect(body).to_contain_text("<b>")
    expect(body.get_by_role("img", name="🎉")).to_be_visible()
    assert body.evaluate("each => each.querySelectorAll('img:not(.emoji), script, b').length") == 0


def test_moments_are_shown_in_the_readers_zone_and_how_far_away(screens: Screens) -> None:
    now = screens.playground.clock.now()
    seconds = int(now.timestamp()) + 7500
    _post(
        screens,
        [_section(f"<!date^{seconds}^{{date_num}} {{time}}|fallback> <!date^{seconds}^{{nonsense}}|the fallback>")],
    )
    body = screens.pane(LEFT).get_by_role("article").last
    moment = body.locator("time.moment")
    expected = screens.page.evaluate(
        "at => new Intl.DateTimeFormat('en-GB', {timeStyle: 'short', timeZone: 'Europe/Berlin'}).format(at)",
        seconds * 1000,
    )
    # Around midnight, the page writes 0:26 where this writes 00:26.
    expect(moment).to_have_text(re.compile(rf"\d{{4}}-\d\d-\d\d {re.sub('^0', '0?', expected)}"))
    expect(moment).to_have_attribute("title", re.compile("^in 2\\sh [45]\\smin$"))
    expect(body).to_contain_text("the fallback")
    screens.page.get_by_role("button", name="Move it forward").click()
    screens.dialog("Move the clock forward").get_by_role("button", name="+ 1 hour").click()
    expect(moment).to_have_attribute("title", re.compile("^in 1\\sh [45]\\smin$"))


def test_a_rewritten_card_is_announced_with_its_time(screens: Screens) -> None:
    seconds = int(screens.playground.clock.now().timestamp())
    pattern = "{date_short_pretty} at {time}"
    _post(screens, [_section("first version")])
    expect(screens.messages(LEFT, "first version")).to_be_visible()
    _rewrite(screens, f":warning: <@U0JON> has *prod* until <!date^{seconds}^{pattern}|the fallback>.")
    announced = screens.pane(LEFT).get_by_role("status")
    expect(announced).to_have_text(
        re.compile(r"^Countersign: ⚠️ Jon Bauer has prod until (today|tomorrow) at \d{1,2}:\d\d\.$")
    )
    # A date that nobody can read is announced as its fallback.
    _rewrite(screens, f"until <!date^never^{pattern}|the fallback> or <!date^{seconds}|another one>")
    expect(announced).to_have_text("Countersign: until the fallback or another one")


def test_button_with_a_confirmation_counts_only_after_a_yes(screens: Screens) -> None:
    confirm = {
        "title": words("Close it?"),
        "text": words("Access ends at once."),
        "confirm": words("Close"),
        "deny": words("Keep"),
    }
    dangerous = button("Close…", "test:close") | {"style": "danger", "confirm": confirm | {"style": "danger"}}
    _post(screens, [_section("An event"), {"type": "actions", "elements": [dangerous]}])
    screens.press(LEFT, "Close…", "An event")
    question = screens.page.get_by_role("alertdialog", name="Close it?")
    expect(question.get_by_role("button", name="Close")).to_be_focused()
    question.get_by_role("button", name="Keep").click()
    expect(question).to_be_hidden()
    assert screens.page.evaluate("fetch('/page/acts/last').then((answer) => answer.json())") == {}

    screens.press(LEFT, "Close…", "An event")
    expect(question.get_by_role("button", name="Close")).to_be_focused()
    screens.page.keyboard.press("Enter")
    expect(screens.messages(LEFT, "Only visible to you")).to_have_count(1)
    assert [action["action_id"] for action in _last_action(screens)["actions"]] == ["test:close"]


def test_every_kind_of_block_and_element_is_shown(screens: Screens) -> None:
    shown = {"actions", "context", "divider", "header", "image", "input", "markdown", "rich_text", "section"}
    assert set(BLOCKS.kinds) == shown
    _post(
        screens,
        [
            {"type": "header", "text": words("A headline")},
            {"type": "divider"},
            {"type": "section", "fields": [words("one field"), words("another field")]},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "small *print*"}]},
            {"type": "markdown", "text": "some markdown"},
        ],
    )
    body = screens.pane(LEFT).get_by_role("article").last
    expect(body.get_by_role("heading", name="A headline")).to_be_visible()
    expect(body.get_by_role("separator")).to_be_visible()
    for text in ("one field", "another field", "small print", "some markdown"):
        expect(body).to_contain_text(text)


FILLED: dict[str, object] = {
    "plain_text_input": "typed", "email_text_input": "a@example.com", "url_text_input": "https://a.example",
    "number_input": "7", "datepicker": "2026-03-01", "timepicker": "09:30",
}  # fmt: skip
CHOSEN = {"static_select", "radio_buttons", "checkboxes", "multi_static_select"}
LISTED = {
    "users_select": "Jon Bauer", "channels_select": "#incidents", "conversations_select": "#general",
    "multi_users_select": "Sam Osei", "multi_channels_select": "#incidents", "multi_conversations_select": "#general",
}  # fmt: skip


def _input(kind: str) -> Json:
    element: Json = {"type": kind, "action_id": kind}
    if kind in CHOSEN:
        element["options"] = [option("first"), option("second")]
    if kind == "number_input":
        element["is_decimal_allowed"] = False
    return {"type": "input", "block_id": kind, "optional": True, "label": words(f"The {kind}"), "element": element}


def test_every_kind_of_input_sends_what_was_entered(screens: Screens) -> None:
    kinds = [kind for kind in ELEMENTS if kind not in {"button", "overflow", "image"}]
    content = form() | {"callback_id": "test:all", "blocks": [_input(kind) for kind in kinds]}
    screens.playground.slack.backend.views.open("U0MIRA", content)
    shown = screens.dialog("Ask for access")
    for kind, text in FILLED.items():
        shown.get_by_label(f"The {kind}").fill(str(text))
    shown.get_by_label("The datetimepicker").fill("2026-03-01T10:00")
    for kind, text in LISTED.items() | {(kind, "Second") for kind in CHOSEN}:
        if kind in {"radio_buttons", "checkboxes"} or (kind in LISTED and kind.startswith("multi_")):
            shown.get_by_label(f"The {kind}").get_by_text(text).click()
        else:
            shown.get_by_role("combobox", name=f"The {kind}", exact=False).first.click()
            shown.get_by_role("option", name=text).click()
    shown.get_by_role("button", name="Ask", exact=True).click()

    expect(screens.dialog("Ask for access")).to_be_hidden()
    values = _last_action(screens)["view"]["state"]["values"]
    empty = [kind for kind in kinds if all(not value for key, value in values[kind][kind].items() if key != "type")]
    # Nobody answers what they search for.
    assert empty == ["external_select", "multi_external_select"]


def test_stacked_modal_leaves_what_was_typed_in_the_one_below(screens: Screens) -> None:
    views = screens.playground.slack.backend.views
    views.open("U0MIRA", form("below"))
    below = screens.dialog("Ask for access")
    below.get_by_role("textbox", name="Why").fill("still to be finished")
    views.push("U0MIRA", form("above") | {"title": words("A second form")})
    above = screens.dialog("A second form")
    expect(above).to_be_visible()
    expect(below).to_be_hidden()
    above.get_by_role("button", name="Back").click()
    expect(below.get_by_role("textbox", name="Why")).to_have_value("still to be finished")


def test_updated_view_keeps_what_was_typed_into_fields_that_stay(screens: Screens) -> None:
    views = screens.playground.slack.backend.views
    view = views.open("U0MIRA", form("first"))
    shown = screens.dialog("Ask for access")
    shown.get_by_role("textbox", name="Why").fill("half a sentence")
    views.update(view, form("second") | {"title": words("Ask again")})
    expect(screens.dialog("Ask again").get_by_role("textbox", name="Why")).to_have_value("half a sentence")


def test_ephemeral_message_is_seen_by_its_recipient_alone(screens: Screens) -> None:
    screens.ask()
    told = screens.messages(LEFT, "Only visible to you")
    expect(told).to_have_count(1)
    expect(screens.messages(RIGHT, "Only visible to you")).to_have_count(0)
    told.get_by_role("button", name="Dismiss").click()
    expect(told).to_have_count(0)


def test_thread_is_opened_read_and_answered(screens: Screens) -> None:
    screens.open(OF_PROD_DB)
    request = screens.ask("/access prod-db 2h Deploy the fix for INC-12")
    screens.press(RIGHT, "Approve")
    screens.card(LEFT).get_by_role("button", name=re.compile("1 reply")).click()
    expect(screens.pane(LEFT).get_by_role("log", name="Thread")).to_contain_text("approved: 1 of 2")
    screens.write(LEFT, "thanks & <b>cheers</b>")
    expect(screens.messages(LEFT, "thanks & <b>cheers</b>")).to_be_visible()
    screens.write(LEFT, "/access mine")
    expect(screens.pane(LEFT).get_by_role("alert")).to_contain_text("accept commands in threads")
    screens.pane(LEFT).get_by_role("button", name="Back to #access-prod-db").click()
    expect(screens.card(LEFT)).to_contain_text("2 replies")
    assert screens.stored(request).approvals[0].approver == "U0JON"
