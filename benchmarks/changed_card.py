"""How long it takes from Approve until the card has changed on another person's screen, in the playground's page.

Invariant: both moments are seen in the browser, on one clock: the press, and the first frame in which the other screen
says so. The load comes from other people, on other requests, and what failed of it is counted.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.sync_api import sync_playwright

from benchmarks.results import Goal, ResultTable, Section, Size
from playground.folder import Folder
from playground.playground import open_playground
from tests.browser.screens import LEFT, RIGHT, Screens
from tests.harness.chromium import find_chromium
from tests.harness.policy_files import write_settled

if TYPE_CHECKING:
    from playground.playground import Playground

MAX_MEDIAN_MS: Final = 100
MAX_P99_MS: Final = 250
CLICKS_PER_SECOND: Final = 10
_POLICY: Final = """\
version: 1
profiles: {prod: {channel: C0ACCESS}, load: {channel: C0STAGING}}
approval:
  - {name: measured, profiles: [prod], approvers: [U0JON], max_pending: 20, max_duration: 2h}
  - {name: load, profiles: [load], approvers: [U0AIKO], max_pending: 20, max_duration: 2h}
"""
_PRESS: Final = """([button, screen, done]) => new Promise((resolve) => {
  const began = performance.now();
  const observer = new MutationObserver(() => {
    if (!screen.textContent.includes(done)) return;
    observer.disconnect();
    requestAnimationFrame(() => resolve(performance.now() - began));
  });
  observer.observe(screen, { subtree: true, childList: true, characterData: true });
  button.click();
})"""


@dataclass
class _Load:
    """Other people who request and approve, `CLICKS_PER_SECOND` in all, until the block ends."""

    playground: Playground
    stopped: threading.Event = field(default_factory=threading.Event)
    clicks: int = 0
    failed: int = 0

    def run(self) -> None:
        """One request and one approval after the other, each when it is due."""
        slack, number = self.playground.slack, 0
        while not self.stopped.wait(1 / CLICKS_PER_SECOND):
            number += 1
            waiting = [each for each in slack.messages("C0STAGING") if "requests load" in each.text]
            if waiting and number % 2:
                answer = slack.press("U0AIKO", waiting[-1], "request:approve")
            else:
                answer = slack.run_command("U0SAM", "C0STAGING", "/access", f"load 1h Load number {number} of many")
            self.clicks += 1
            self.failed += answer.failure is not None


def measure(size: Size) -> Section:
    """At rest, then with the load."""
    rounds = size.pick(100, 8)
    with _page() as screens:
        at_rest = [_round(screens, number) for number in range(-3, rounds)][3:]
        load = _Load(screens.playground)
        thread = threading.Thread(target=load.run)
        thread.start()
        try:
            under_load = [_round(screens, number) for number in range(rounds, 2 * rounds)]
        finally:
            load.stopped.set()
            thread.join()
    found = {"at rest": at_rest, f"beside {load.clicks} other clicks, {load.failed} failed": under_load}
    rows = tuple(
        (name, str(len(times)), *(f"{each:.0f} ms" for each in _figures(times))) for name, times in found.items()
    )
    goals = [
        Goal(f"{name}: {text} under {most} ms", f"{value:.0f} ms", value < most)
        for name, times in found.items()
        for text, value, most in zip(("p50", "p99"), _figures(times), (MAX_MEDIAN_MS, MAX_P99_MS), strict=False)
    ]
    note = (
        "The page, the local Slack, the bot, its store and Chromium share this machine. The load is "
        f"{CLICKS_PER_SECOND} clicks a second by other people."
    )
    table = ResultTable(("case", "rounds", "p50", "p99", "longest"), rows)
    return Section("changed-card", "From Approve to the changed card", (table,), tuple(goals), note)


@contextmanager
def _page() -> Iterator[Screens]:
    with tempfile.TemporaryDirectory() as path, Folder(Path(path) / "playground") as folder:
        write_settled(folder.policy, _POLICY)
        with open_playground(folder, port=0) as running, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
            screens = Screens(
                browser.new_page(viewport={"width": 1440, "height": 850}, reduced_motion="reduce"), running
            )
            screens.open()
            screens.page.get_by_role("button", name="Close the tour").click()
            yield screens
            browser.close()


def _round(screens: Screens, number: int) -> float:
    """Milliseconds until the other screen shows the outcome of one approval."""
    text = f"Round {number + 100} of the measurement"
    screens.write(LEFT, f"/access prod 1h {text}")
    button = screens.card(RIGHT, text).get_by_role("button", name="Approve", exact=True)
    button.wait_for()
    card = screens.card(LEFT, text)
    card.wait_for()
    handles = [button.element_handle(), card.element_handle(), "Approved"]
    return float(screens.page.evaluate(_PRESS, handles))


def _figures(times: list[float]) -> tuple[float, float, float]:
    ordered = sorted(times)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], ordered[-1]
