"""Beside the reply: a card that many people found outdated is refreshed once, and nobody waits for it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Final

from bot.interactions.after_interaction import AfterInteraction
from bot.interactions.interaction import Interaction
from bot.interactions.lanes import BOUNDS, Lanes
from bot.observability.metrics import Lane
from core.stores.messages import MessageRef

CARD: Final = MessageRef(channel="C0ACCESS", ts="1.000002")
COPY: Final = MessageRef(channel="C0ELSEWHERE", ts="1.000003")


def click(person: str, message: MessageRef | None = CARD) -> Interaction:
    return Interaction(person, None, time.monotonic(), message=message)


def test_card_that_forty_people_clicked_is_refreshed_once() -> None:
    one_thread = replace(BOUNDS[Lane.CARD], workers=1)
    lanes, released, refreshed = Lanes(bounds={**BOUNDS, Lane.CARD: one_thread}), threading.Event(), list[object]()

    def refresh(record: str, clicked: MessageRef | None) -> None:
        released.wait()
        refreshed.append((record, clicked))

    started = threading.Event()

    def hold() -> None:
        started.set()
        released.wait()

    after = AfterInteraction(lambda: None, refresh, _no_home, lanes)
    lanes.submit(Lane.CARD, "somebody", hold)
    started.wait()
    for number in range(40):
        after.found_stale("REQUEST#a", click(f"U{number:03}"))
    after.found_stale("REQUEST#a", click("U0JON", COPY))
    after.found_stale("REQUEST#b", click("U0JON", None))
    assert refreshed == [], "nobody waited"
    released.set()
    lanes.close()

    assert refreshed == [("REQUEST#a", CARD), ("REQUEST#a", COPY), ("REQUEST#b", None)]


def test_commit_is_delivered_at_once() -> None:
    nudged: list[int] = []
    AfterInteraction(lambda: nudged.append(1), lambda *_: None, _no_home, Lanes()).committed()

    assert nudged == [1]


def _no_home(interaction: Interaction, message: object) -> None:
    raise AssertionError((interaction, message))
