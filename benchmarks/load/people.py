"""What people do: ask, approve, deny, click twice, open the Home tab, list, break the glass and close again.

Invariant: people click only what is on their screen. What an acknowledgement called recorded is kept, to be looked
for in the store; an acknowledgement counts as that only if no other reading of it is possible.
"""

from __future__ import annotations

import queue
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final

from benchmarks.load.office import APPROVERS, CHANNELS, ON_CALL, PROFILES, REQUESTERS, SECURITY, VAULT
from bot.interactions.decision_queue import TIMEOUT_SECONDS
from bot.views.request.card import APPROVE, DENY
from core.clock import new_id
from core.request import RequestStatus
from localslack.answer import Answer
from localslack.records import SlackMessage, View
from localslack.server import LocalSlack

MIX: Final = (
    *("ask", "home", "approve", "ask", "list", "approve", "ask", "home", "deny", "ask"),
    *("approve", "emergency", "ask", "home", "approve", "again", "ask", "approve", "home"),
)
"""Nineteen turns. `deny` is two clicks, a press and a form; so is `emergency`, which is closed again. As many requests
are decided as asked."""
CLICKS_OF_THE_MIX: Final = len(MIX) + MIX.count("deny") + MIX.count("emergency")
_CARD_TIMEOUT_SECONDS: Final = 30.0
_FORM_TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class LoadClick:
    """One click: what it was, the seconds from when it was due to its acknowledgement, and what went wrong."""

    kind: str
    seconds: float
    failure: str | None


@dataclass
class Acknowledged:
    """What acknowledgements called recorded. Safe for threads."""

    asked: set[str] = field(default_factory=set)
    decided: dict[str, RequestStatus] = field(default_factory=dict)
    emergencies: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    unclear: Counter[str] = field(default_factory=Counter)
    """Acknowledged without an outcome: "not recorded yet", or too late to tell."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, key: str, *, is_recorded: bool, status: RequestStatus | None = None) -> None:
        """One acknowledgement."""
        with self.lock:
            if not is_recorded:
                self.unclear[kind] += 1
            elif status is not None:
                self.decided[key] = status
            else:
                {"ask": self.asked, "emergency": self.emergencies, "close": self.closed}[kind].add(key)


class Office:
    """Everybody at work. `clicks` has what was clicked so far."""

    def __init__(self, slack: LocalSlack) -> None:
        self.slack = slack
        self.clicks: list[LoadClick] = []
        self.acknowledged = Acknowledged()
        self._cards: queue.Queue[SlackMessage] = queue.Queue()
        self._seen: set[str] = set()
        self._approved: queue.Queue[SlackMessage] = queue.Queue()
        self._turns = threading.Lock()
        self._people = {name: cycle(each) for name, each in (("ask", REQUESTERS), ("approve", APPROVERS))}
        self._profiles = cycle(PROFILES)
        self._chance = random.Random(7)  # noqa: S311 - who opens the Home tab, not a secret
        self._on_call = threading.Lock()
        self.unsubscribe = slack.subscribe(self._look)

    def turns(self) -> Iterator[Callable[[float], None]]:
        """Who does what next, for ever. Each is called with the moment when it is due."""
        return cycle([getattr(self, kind) for kind in MIX])

    def ask(self, due: float) -> None:
        """Request access by typing a command."""
        person, profile, why = self._next("ask"), next(self._profiles), f"Deploy the fix for INC-{new_id()}"
        answer = self._timed("ask", due, lambda: self.slack.run_command(
            person, CHANNELS[profile], "/access", f"{profile} 1h {why}"))  # fmt: skip
        self.acknowledged.note("ask", why, is_recorded="You requested" in answer.text)

    def approve(self, due: float) -> None:
        """Press Approve on the oldest card."""
        card = self._cards.get(timeout=_CARD_TIMEOUT_SECONDS)
        approver = self._next("approve")
        self._approved.put(card)
        answer = self._timed("approve", due, lambda: self.slack.press(approver, card, APPROVE))
        self.acknowledged.note(
            "approve", _request_of(card), is_recorded=_is_recorded(answer), status=RequestStatus.APPROVED
        )

    def again(self, due: float) -> None:
        """Press Approve on a card that somebody else has approved, or is about to: the screen is a moment behind."""
        card = self._approved.get(timeout=_CARD_TIMEOUT_SECONDS)
        approver = self._next("approve")
        self._timed("again", due, lambda: self.slack.press(approver, card, APPROVE))

    def deny(self, due: float) -> None:
        """Press Deny, and send the form as soon as it is there."""
        card = self._cards.get(timeout=_CARD_TIMEOUT_SECONDS)
        approver = self._next("approve")
        self._timed("deny", due, lambda: self.slack.press(approver, card, DENY))
        form = self.slack.wait_until(lambda: self._form_of(approver, _request_of(card)), _FORM_TIMEOUT_SECONDS)
        if form is None:
            raise TimeoutError("the form did not open")
        typed = {"reason": {"answer": "Not during the freeze"}}
        answer = self._timed("deny form", time.monotonic(), lambda: self.slack.submit(approver, form, typed))
        is_recorded = _is_recorded(answer) and '"clear"' in answer.body
        self.acknowledged.note("deny", _request_of(card), is_recorded=is_recorded, status=RequestStatus.DENIED)

    def home(self, due: float) -> None:
        """Open the Home tab."""
        person = self._chance.choice((*REQUESTERS, *APPROVERS))
        self._timed("home", due, lambda: self.slack.open_home(person))

    def list(self, due: float) -> None:
        """List the own requests."""
        self._timed("list", due, lambda: self.slack.run_command(REQUESTERS[0], SECURITY, "/access", "mine"))

    def emergency(self, due: float) -> None:
        """Break the glass, and close again at once."""
        if not self._on_call.acquire(timeout=_FORM_TIMEOUT_SECONDS):
            raise TimeoutError("the person on call is still busy")
        try:
            why = f"The checkout is down, INC-{new_id()}"
            answer = self._timed("emergency", due, lambda: self.slack.run_command(
                ON_CALL[0], SECURITY, "/breakglass", f"{VAULT} incident 1h {why}"))  # fmt: skip
            event = re.search("declared:([0-9a-f]{16})", answer.body)
            self.acknowledged.note("emergency", why, is_recorded=event is not None)
            if event is not None:
                answer = self._timed("close", time.monotonic(), lambda: self.slack.run_command(
                    ON_CALL[0], SECURITY, "/breakglass", f"close {event[1]} it is over"))  # fmt: skip
                self.acknowledged.note("close", why, is_recorded="Closed." in answer.body)
        finally:
            self._on_call.release()

    def wait_for_cards(self, count: int) -> None:
        """Until so many cards wait for a decision."""
        self.slack.wait_until(lambda: self._cards.qsize() >= count)

    def _timed(self, kind: str, due: float, click: Callable[[], Answer]) -> Answer:
        answer = click()
        self.clicks.append(LoadClick(kind, time.monotonic() - due, answer.failure))
        return answer

    def _form_of(self, person: str, request: str) -> View | None:
        form = self.slack.modal(person)
        return form if form is not None and form.content.get("private_metadata") == request else None

    def _next(self, kind: str) -> str:
        with self._turns:
            return next(self._people[kind])

    def _look(self, event: dict[str, Any]) -> None:
        if event["type"] == "message":
            message = SlackMessage.model_validate(event["message"])
            request = _request_of(message)
            if request and request not in self._seen:
                self._seen.add(request)
                self._cards.put(message)


def _request_of(message: SlackMessage) -> str:
    elements = (each for block in message.all_blocks for each in block.get("elements", ()))
    values = (str(each.get("value", "")) for each in elements if each.get("action_id") == APPROVE)
    return next(values, "")


def _is_recorded(answer: Answer) -> bool:
    # An empty acknowledgement after the bounded wait may also mean "not recorded yet".
    return answer.failure is None and answer.seconds < TIMEOUT_SECONDS
