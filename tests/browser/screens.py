"""What a test sees and does on the page, in the words of the page.

Invariant: everything is found by its role and name, as somebody finds it who cannot see the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from core.request import Request, RequestId

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from playground.playground import Playground

ASK = "/access prod 1h Deploy the fix for INC-12"
LEFT, RIGHT = 0, 1
OF_PROD_DB = "U0MIRA:C0DATABASE,U0JON:C0DATABASE"
"""Mira and Jon, where the cards of prod-db are: two approvers, and no access that is opened."""
MAX_LATE = 3
"""On a busy machine, even a Slack in the same process may answer too late. A person then tries again, as they read."""


@dataclass(frozen=True, slots=True)
class Screens:
    """A page of the playground."""

    page: Page
    playground: Playground

    def open(self, people: str = "") -> None:
        """Open the page, for these people."""
        self.page.goto(self.playground.url + (f"?people={people}" if people else ""))
        expect(self.pane(LEFT)).to_be_visible()

    def pane(self, index: int) -> Locator:
        """One person's Slack."""
        return self.page.get_by_role("region", name=re.compile("^Slack as ")).nth(index)

    def composer(self, index: int) -> Locator:
        """Where this person writes."""
        return self.pane(index).get_by_role("textbox", name=re.compile("^(Message|Reply)"))

    def write(self, index: int, text: str) -> None:
        """Write a line, or a command, and send it."""
        self.composer(index).fill(text)
        self.composer(index).press("Enter")

    def messages(self, index: int, text: str) -> Locator:
        """The messages on this screen that say this."""
        return self.pane(index).get_by_role("article").filter(has_text=text)

    def card(self, index: int, text: str = "Deploy the fix") -> Locator:
        """The newest message on this screen that says this and is for everybody."""
        return self.messages(index, text).filter(has_not_text="Only visible to you").last

    def press(self, index: int, button: str, text: str = "Deploy the fix") -> None:
        """Press a button of that card."""
        self.card(index, text).get_by_role("button", name=button, exact=True).click()

    def open_form(self, index: int, button: str, text: str, name: str) -> Locator:
        """Press a button of that card until its form is open: on a busy machine it may be too late for Slack's 3 s."""
        form = self.dialog(name)
        late = self.messages(index, "The form didn't open")
        for times_late in range(MAX_LATE):
            self.press(index, button, text)
            expect(form.or_(late.nth(times_late)).first).to_be_visible()
            if form.is_visible():
                break
        return form

    def ask(self, line: str = ASK) -> Request:
        """Let Mira ask, and wait until both screens show the card. The request as it is stored."""
        before = {request.id for request in self.playground.stores.requests.iterate()}
        card = self.pane(LEFT).get_by_role("button", name="Approve", exact=True).last
        late = self.messages(LEFT, "try again in a moment")
        for times_late in range(MAX_LATE):
            self.write(LEFT, line)
            expect(card.or_(late.nth(times_late)).first).to_be_visible()
            if card.is_visible():
                break
        for index in (LEFT, RIGHT):
            expect(self.pane(index).get_by_role("button", name="Approve", exact=True).last).to_be_visible()
        (made,) = [each for each in self.playground.stores.requests.iterate() if each.id not in before]
        return made

    def stored(self, request: Request) -> Request:
        """The request as it is now."""
        return self.playground.stores.requests.get(RequestId(request.id))

    @property
    def aws(self) -> Locator:
        """The panel "AWS (pretend)"."""
        return self.page.get_by_role("region", name="AWS (pretend)")

    def account(self, name: str = "Production") -> Locator:
        """Who holds what in this account of it."""
        return self.aws.get_by_role("region", name=f"{name} account")

    def move_clock(self, step: str) -> None:
        """Move the clock by one of the steps that the page offers, such as "1 hour"."""
        self.page.get_by_role("button", name="Move it forward").click()
        self.dialog("Move the clock forward").get_by_role("button", name=f"+ {step}").click()
        self.page.keyboard.press("Escape")
        expect(self.dialog("Move the clock forward")).to_be_hidden()

    def dialog(self, name: str) -> Locator:
        """A form or a panel."""
        return self.page.get_by_role("dialog", name=name)

    def be(self, index: int, name: str) -> None:
        """Become somebody else in this pane."""
        self.pane(index).get_by_role("button", name=re.compile("^You are ")).click()
        self.page.get_by_role("menuitemradio", name=re.compile(name)).click()
        expect(self.pane(index)).to_have_accessible_name(re.compile(name))
