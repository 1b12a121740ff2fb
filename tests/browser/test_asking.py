"""A question about a request, asked from its card and answered, on the screens of both."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.screens import ASK, LEFT, RIGHT, Screens

QUESTION, WORDS = "Which ticket is this for?", "INC-12, the release of tonight"


def test_question_is_asked_and_answered_on_the_page(screens: Screens) -> None:
    screens.write(LEFT, ASK)
    screens.card(RIGHT).get_by_role("button", name="More actions").click()
    screens.page.get_by_role("menuitem", name="Ask a question…").click()
    form = screens.page.get_by_role("dialog", name="Ask a question")
    expect(form).to_contain_text("Deploy the fix")
    form.get_by_role("textbox").fill(QUESTION)
    form.get_by_role("button", name="Ask", exact=True).click()

    screens.pane(LEFT).get_by_role("button", name="Countersign").first.click()
    screens.pane(LEFT).get_by_role("button", name="Messages").click()
    asked = screens.messages(LEFT, QUESTION).last
    asked.get_by_role("button", name="Answer…").click()
    form = screens.page.get_by_role("dialog", name="Answer a question")
    form.get_by_role("textbox").fill(WORDS)
    form.get_by_role("button", name="Answer", exact=True).click()
    expect(screens.card(RIGHT)).to_contain_text(WORDS)
