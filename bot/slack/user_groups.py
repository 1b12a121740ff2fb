"""The user groups: who is in them, from one usergroups.list for all, from events, and from what others learned.

Invariant: an answer counts for ten minutes, and not if it is from before a change that is known. An older answer never
replaces a newer one. However often groups change, Slack is asked at a pace, and a change of one group leaves the
answers about the others as they are.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from bot.slack.coalescing_cache import FRESH_FOR, SHOWN_FOR
from bot.slack.pace import Pace
from bot.slack.questions import not_known
from core.actor import UserGroupId
from core.clock import Clock
from core.directory import MAX_ANSWER_AGE, is_outdated
from core.errors import CountersignError, StoreError
from core.user_group import UserGroupMembers

BURST: Final = 2
SECONDS_BETWEEN_LOOKS: Final = 4.0
"""usergroups.list is tier 2: 20 calls a minute are sure to pass. This is 15, and leaves some for `doctor`."""
BUSY: Final = "Countersign is overloaded; please try again in a moment"

_LOG = logging.getLogger("countersign.directory")


class SharedAnswers(Protocol):
    """What other instances, and earlier runs of this one, learned. See core.stores.directory."""

    def get_groups(self, groups: Iterable[UserGroupId]) -> Mapping[UserGroupId, UserGroupMembers]:
        """The last answers about these user groups."""
        ...


class AskGroups(Protocol):
    """See SlackQuestions.ask_groups."""

    def __call__(
        self, wanted: Collection[UserGroupId], changes: Mapping[UserGroupId, datetime]
    ) -> Mapping[UserGroupId, UserGroupMembers]:
        """The members of these user groups."""
        ...


@dataclass(slots=True)
class _Look:
    """One look at all groups: for whom, and which changes were known when it began."""

    wanted: set[UserGroupId] = field(default_factory=set)
    changes: dict[UserGroupId, datetime] = field(default_factory=dict)
    done: Future[None] = field(default_factory=Future)


class UserGroups:
    """The answers about user groups. Safe for threads; asks on a thread of its own.

    `named` returns the groups of the current policy, and `learn` gets every answer from Slack.
    """

    def __init__(
        self,
        ask: AskGroups,
        clock: Clock,
        named: Callable[[], frozenset[UserGroupId]],
        *,
        shared: SharedAnswers | None = None,
        learn: Callable[[Collection[UserGroupMembers]], None] = lambda _: None,
        pace: Pace | None = None,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._named = named
        self._shared = shared
        self._learn = learn
        self._pace = pace or Pace(BURST, SECONDS_BETWEEN_LOOKS)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="slack-user-groups")
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._answers: dict[UserGroupId, UserGroupMembers] = {}
        self._changes: dict[UserGroupId, datetime] = {}
        self._running: _Look | None = None
        self._next: _Look | None = None

    def find(
        self, groups: Collection[UserGroupId], changed_at: Callable[[str], datetime | None] = lambda _: None
    ) -> tuple[dict[UserGroupId, UserGroupMembers], Future[None] | None]:
        """The answers that count now, and, if some are missing, the look at Slack after which to call this again.

        `changed_at` gives the last noted change of a group. Never waits.
        """
        now = self._clock.now()
        with self._lock:
            for group in groups:
                self._note(group, changed_at(group))
            known = {group: self._answers[group] for group in groups if self._counts(group, now)}
            missing = [group for group in groups if group not in known]
            # An answer from before the clock was set back does not count, so no age here is negative.
            stale = [group for group, answer in known.items() if now - answer.asked_at >= FRESH_FOR]
            look = self._request(missing or stale) if missing or stale else None
        return known, look.done if look is not None and missing else None

    def get_stale(self) -> dict[UserGroupId, UserGroupMembers]:
        """The answers about the policy's groups, up to a day old, for a form; those that are missing are left out."""
        named, now = self._named(), self._clock.now()
        self.find(named)
        with self._lock:
            return {
                group: answer
                for group in named
                if (answer := self._answers.get(group)) is not None and now - answer.asked_at < SHOWN_FOR
            }

    def hear(self, group: UserGroupId, at: datetime, answer: UserGroupMembers | None) -> bool:
        """An event says that a group changed, and perhaps who is in it now. True when the policy names the group.

        An event that is late replaces nothing, and one that contradicts an answer of the same second is asked about.
        """
        if group not in self._named():
            return False
        with self._lock:
            known = self._answers.get(group)
            self._note(group, at)
            if answer is not None and (known is None or answer.slack_version > known.slack_version):
                self._answers[group] = answer
            elif answer is not None and known is not None and answer.users == known.users:
                self._answers[group] = answer.model_copy(update={"slack_version": known.slack_version})
            if not self._counts(group, self._clock.now()):
                self._request([group])
        return True

    def accept(self, answers: Iterable[UserGroupMembers]) -> None:
        """Take answers that are newer than those known here: what another instance heard before this one did."""
        now = self._clock.now()
        with self._lock:
            for answer in answers:
                known = self._answers.get(answer.group)
                # One that is too old gives way to any, even if the clock was set back since.
                is_kept = known is not None and timedelta() <= now - known.asked_at < MAX_ANSWER_AGE
                if known is None or not is_kept or answer.is_newer_than(known):
                    self._answers[answer.group] = answer

    def reflects(self, group: UserGroupId, version: int, added: frozenset[str], removed: frozenset[str]) -> bool:
        """True when the answer that counts is from after a change at `version`, Slack's own time for it."""
        with self._lock:
            if not self._counts(group, self._clock.now()):
                return False
            answer = self._answers[group]
        users = set(answer.users)
        return answer.slack_version >= version and added <= users and not removed & users

    def refresh(self) -> None:
        """Look at every group whose answer is missing or stale, in the background."""
        self.find(self._named())

    def close(self) -> None:
        """Ask no more. Waits for a call in flight, which its time limit bounds."""
        self._closing.set()
        self._worker.shutdown(cancel_futures=True)
        with self._lock:
            for look in filter(None, (self._running, self._next)):
                _fail(look, not_known(BUSY))

    def _note(self, group: UserGroupId, changed_at: datetime | None) -> None:
        known = self._changes.get(group)
        if changed_at is not None and (known is None or changed_at > known):
            self._changes[group] = changed_at

    def _counts(self, group: UserGroupId, now: datetime) -> bool:
        answer = self._answers.get(group)
        if answer is None or not timedelta() <= now - answer.asked_at < MAX_ANSWER_AGE:
            return False
        return not is_outdated(self._changes.get(group), answer.asked_at, answer.known_change)

    def _request(self, groups: Collection[UserGroupId]) -> _Look:
        """The look that answers for these groups: the running one, if it knew of their changes, or the next one."""
        running = self._running
        if running is not None and all(
            group in running.wanted and running.changes.get(group) == self._changes.get(group) for group in groups
        ):
            return running
        if self._next is None:
            self._next = look = _Look()
            if running is None:
                try:
                    self._worker.submit(self._work)
                except RuntimeError:
                    # It was closed, or the system can't create another thread.
                    self._next = None
                    _fail(look, not_known(BUSY))
                    return look
        self._next.wanted |= set(groups)
        return self._next

    def _work(self) -> None:
        while True:
            with self._lock:
                look = self._running = self._next
                self._next = None
                if look is None:
                    return
                look.wanted |= self._named()
                look.changes = dict(self._changes)
            try:
                self._look(look)
            except CountersignError as error:
                _fail(look, error)
            except Exception as error:  # noqa: BLE001 - those who wait are told, and the next look goes on
                # In a background refresh, nobody else would see this bug.
                _LOG.exception("a look at the user groups failed")
                _fail(look, error)
            else:
                _finish(look)

    def _look(self, look: _Look) -> None:
        if self._shared is not None and (open_ := self._open(look)):
            try:
                self.accept(self._shared.get_groups(open_).values())
            except StoreError as error:
                _LOG.warning("the stored members of user groups could not be read: %s", error)
        if not self._open(look):
            return
        if self._closing.wait(self._pace.take_turn()):
            raise not_known(BUSY)
        with self._lock:
            # What was heard while it waited for its turn is from before this call, too.
            look.changes = dict(self._changes)
        answers = self._ask(look.wanted, look.changes)
        self.accept(answers.values())
        self._learn(tuple(answers.values()))

    def _open(self, look: _Look) -> list[UserGroupId]:
        """The groups of a look that still have no fresh answer."""
        now = self._clock.now()
        with self._lock:
            return [
                group
                for group in look.wanted
                if not self._counts(group, now) or now - self._answers[group].asked_at >= FRESH_FOR
            ]


def _finish(look: _Look) -> None:
    if not look.done.done():
        look.done.set_result(None)


def _fail(look: _Look, error: Exception) -> None:
    if not look.done.done():
        look.done.set_exception(error)
