"""The scenes of the pictures: what people do in the playground, and which part of the page each picture shows.

Invariant: people act through Slack only, as on the page. The scenes build on each other, in their order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from playwright.sync_api import Locator, Page, expect

from playground.people import ACCESS, AIKO, DATABASE, INCIDENTS, JON, MIRA, SAM
from playground.playground import Playground

_WHY: Final = "Deploy the fix for INC-12"
_EMERGENCY: Final = "INC-13: the database does not answer"
_SLOW: Final = "INC-42: the checkout is slow"
_NARROW: Final = (740, 700)
"""One person, and cards as wide as in a Slack window beside an editor."""
_WIDE: Final = (1440, 860)
_PATIENCE_MS: Final = 40_000


class _Camera(Protocol):
    @property
    def page(self) -> Page: ...

    def shoot(self, name: str, what: Locator | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Scenes:
    """Plays the scenes on a playground whose page the camera shows."""

    playground: Playground
    camera: _Camera

    def play(self) -> None:
        """Every scene."""
        expect.set_options(timeout=_PATIENCE_MS)
        self.page.get_by_role("button", name="Close the tour").click()
        self._decide()
        self._see_everything()
        self._break_the_glass()
        self._race()
        self._work_in_a_terminal()
        self._be_on_call()

    @property
    def page(self) -> Page:
        """The page that is photographed."""
        return self.camera.page

    def _decide(self) -> None:
        self._show(f"{MIRA}:{ACCESS}", _NARROW)
        self._write("/access")
        self._shoot_form("form-request")
        self._write(f"/access prod 1h {_WHY}")
        self._show(f"{JON}:{ACCESS}", _NARROW)
        expect(self._card(_WHY).get_by_role("button", name="Approve", exact=True)).to_be_visible()
        self.camera.shoot("card-pending", self._card(_WHY))
        self._press("Deny…", _WHY)
        self._shoot_form("form-deny")
        self._press("Approve", _WHY)
        expect(self._card(_WHY)).to_contain_text("Open until")
        self.camera.shoot("card-open", self._card(_WHY))
        self._show(f"{MIRA}:{ACCESS},{JON}:{ACCESS}", _WIDE)
        self.page.get_by_role("button", name="Under the hood").click()
        self.camera.shoot("overview")
        self.page.get_by_role("button", name="Under the hood").click()
        self.page.set_viewport_size({"width": _WIDE[0], "height": 570})
        self.camera.shoot("aws", self.page.get_by_role("region", name="AWS (pretend)"))
        self._show(f"{MIRA}:{ACCESS}", _NARROW)
        self._press("I'm done", _WHY)
        expect(self._card(_WHY)).to_contain_text("Closed")
        self.camera.shoot("card-closed", self._card(_WHY))

    def _see_everything(self) -> None:
        self._run(MIRA, DATABASE, "/access", "prod-db 2h INC-14: look at the slow query")
        for person, place, name in ((JON, "home", "home"), (MIRA, "messages", "direct-messages")):
            self._show(f"{person}:{place}", _NARROW)
            self.page.get_by_role("region", name="Home").or_(self.page.get_by_role("log")).first.wait_for()
            self.page.wait_for_timeout(800)
            self.camera.shoot(name, self.page.locator(".pane"))

    def _break_the_glass(self) -> None:
        self._run(SAM, INCIDENTS, "/breakglass", f"prod incident 1h {_EMERGENCY}")
        self._show(f"{SAM}:{ACCESS}", _NARROW)
        expect(self._card(_EMERGENCY)).to_contain_text("Break-glass")
        self.camera.shoot("break-glass", self._card(_EMERGENCY))

    def _race(self) -> None:
        self._run(MIRA, ACCESS, "/access", f"prod 1h {_WHY}, once more")
        self._show(f"{JON}:{ACCESS},{AIKO}:{ACCESS}", _WIDE)
        self.page.get_by_role("button", name="Race", exact=True).click()
        panel = self.page.get_by_role("dialog", name="Press Approve as both at once")
        panel.get_by_role("button", name="Press Approve as both at once").click()
        expect(panel).to_contain_text("already approved")
        panel.get_by_role("button", name="Run 100 races").click()
        expect(panel).to_contain_text("The trail verifies")
        expect(panel.get_by_role("button", name="Another 100 races")).to_be_visible()
        self.camera.shoot("race", panel)
        self.page.keyboard.press("Escape")

    def _work_in_a_terminal(self) -> None:
        self._show(f"{MIRA}:{ACCESS}", (1000, 860))
        self.page.get_by_role("button", name="Terminal", exact=True).click()
        terminal = self.page.get_by_role("region", name=re.compile("^Terminal of"))
        self._type(terminal, "countersign login", re.compile("/access pair [A-Z]{4}-[A-Z]{4}"))
        *_, line = re.findall("/access pair [A-Z]{4}-[A-Z]{4}", terminal.inner_text())
        self._write(line)
        self.page.get_by_role("radio", name="Yes, I started it").check()
        self.page.get_by_role("button", name="Confirm").click()
        expect(terminal).to_contain_text("Paired as")
        self.page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
        self._type(terminal, 'countersign request prod-admin 30m "INC-12: look at the buckets" --wait', "Waiting")
        self.playground.slack.wait_until(lambda: "look at the buckets" in str(self.playground.slack.messages(ACCESS)))
        card = next(each for each in self.playground.slack.messages(ACCESS) if "look at the buckets" in str(each))
        self.playground.slack.press(JON, card, "request:approve")
        expect(terminal.locator(".run").last).to_contain_text("is open until")
        self._type(terminal, "countersign exec prod-admin -- aws s3 ls", "customer-invoices")
        self.camera.shoot("terminal", terminal)

    def _be_on_call(self) -> None:
        self._run(MIRA, ACCESS, "/access", f"checkout 2h {_SLOW}")
        self._show(f"{SAM}:{ACCESS}", (1260, 700))
        self.page.get_by_role("button", name=re.compile("^On call")).click()
        self.page.get_by_role("button", name="Acknowledge").first.click()
        expect(self._card(_SLOW)).to_contain_text("Acknowledged by")
        self.camera.shoot("on-call")

    def _show(self, people: str, size: tuple[int, int]) -> None:
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.goto(f"{self.playground.url}?people={people}")
        self.page.locator(".pane").first.wait_for()

    def _write(self, text: str) -> None:
        box = self.page.locator("#pane-0-composer")
        box.fill(text)
        box.press("Enter")

    def _run(self, person: str, channel: str, command: str, text: str) -> None:
        before = len(self.playground.slack.messages(channel))
        self.playground.slack.run_command(person, channel, command, text)
        self.playground.slack.wait_until(
            lambda: channel == INCIDENTS or len(self.playground.slack.messages(channel)) > before
        )

    def _card(self, text: str) -> Locator:
        return self.page.get_by_role("article").filter(has_text=text).filter(has_not_text="Only visible to you").last

    def _press(self, button: str, text: str) -> None:
        self._card(text).get_by_role("button", name=button, exact=True).click()

    def _shoot_form(self, name: str) -> None:
        form = self.page.get_by_role("dialog")
        form.wait_for()
        self.camera.shoot(name, form)
        self.page.keyboard.press("Escape")
        form.wait_for(state="hidden")

    def _type(self, terminal: Locator, line: str, answer: str | re.Pattern[str]) -> None:
        expect(terminal.get_by_role("button", name="Stop")).to_be_hidden()
        terminal.get_by_role("textbox").fill(line)
        terminal.get_by_role("textbox").press("Enter")
        expect(terminal.locator(".run").last).to_contain_text(answer)
