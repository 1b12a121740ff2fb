"""Finds the person who has an e-mail address, for schedules that know people by it.

Invariant: only an active full member whose address Slack has confirmed is found, and only by the whole address. Slack
isn't asked more often than its limit allows, nor while it refuses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from slack_sdk import WebClient

from bot.slack.installation import Installation
from bot.slack.membership import Member, Outsider
from bot.slack.questions import SlackQuestions, not_known
from core.actor import UserId
from core.clock import Clock
from core.errors import NotAllowed, NotKnown
from core.policy.principals import fold_email
from core.targets.call_pace import CallPace

CALLS_PER_SECOND: Final = 0.5
BURST: Final = 10
"""users.lookupByEmail is tier 3: 50 calls a minute are sure to pass. This is 40 in the first minute, then 30."""
FIRST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(minutes=5)
"""How long nothing is asked after a failure, twice as long each time: a missing scope isn't logged all the time."""
_MAX_DOUBLINGS: Final = 8
_TOO_MANY: Final = "too many e-mail addresses are being looked up"
_PAUSED: Final = "Slack couldn't look up e-mail addresses a moment ago"


class EmailLookup:
    """Asks Slack for people by e-mail. Safe for threads; keeps no answer.

    `find_installation` is asked once, for the workspace. `count` gets the outcome of each look-up: `answered`,
    `unavailable`.
    """

    def __init__(
        self,
        client: WebClient,
        find_installation: Callable[[], Installation],
        clock: Clock,
        *,
        count: Callable[[str], None] = lambda _: None,
        pace: CallPace | None = None,
    ) -> None:
        self._client = client
        self._find_installation = find_installation
        self._clock = clock
        self._count = count
        self._pace = pace or CallPace(CALLS_PER_SECOND, BURST, max_wait_seconds=0.0)
        self._lock = threading.Lock()
        self._failures = 0
        self._failed_at: datetime | None = None

    def find(self, email: str) -> UserId | None:
        """The active full member with this address; None if there is none. Raises NotKnown."""
        address = fold_email(email)
        if address is None:
            return None
        if self._is_paused():
            raise not_known(_PAUSED)
        if self._pace.wait() is not None:
            raise not_known(_TOO_MANY)
        try:
            found = self._ask(address)
        except NotKnown:
            self._note(is_failure=True)
            self._count("unavailable")
            raise
        self._note(is_failure=False)
        self._count("answered")
        return found

    def _ask(self, address: str) -> UserId | None:
        try:
            found = self._questions.ask_email(address)
            if isinstance(found, Member) and found.actor.email is None:
                # Slack documents no answer to this method with the flag that the address is confirmed.
                found = self._questions.ask_person(found.actor.id)
        except NotKnown:
            raise
        except NotAllowed:
            return None
        if isinstance(found, Outsider) or fold_email(found.actor.email) != address:
            return None
        return found.actor.id

    @cached_property
    def _questions(self) -> SlackQuestions:
        try:
            here = self._find_installation()
        except Exception as error:
            raise not_known(_PAUSED) from error
        return SlackQuestions(self._client, here.team_id, here.enterprise_id, self._clock)

    def _is_paused(self) -> bool:
        with self._lock:
            failed_at, failures = self._failed_at, self._failures
        if failed_at is None:
            return False
        pause: timedelta = min(FIRST_PAUSE * 2 ** min(failures - 1, _MAX_DOUBLINGS), LONGEST_PAUSE)
        # After the clock was set back, the pause must not last for hours.
        return failed_at <= self._clock.now() < failed_at + pause

    def _note(self, *, is_failure: bool) -> None:
        with self._lock:
            self._failures = self._failures + 1 if is_failure else 0
            self._failed_at = self._clock.now() if is_failure else None
