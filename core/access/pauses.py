"""What is left alone, and until when: targets that say nothing, and rights that conflict with one in progress.

Invariant: a target that is down costs two calls for each pause. The second one is a probe: during a pause, one right
that didn't fail is tried, unlike those that failed where possible. Its good answer ends the pause, so rights that
always fail hold up no other right of their target.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from core.access.holding import Urgency
from core.access.right import Right
from core.access.timing import FIRST_PAUSE
from core.targets.base import Answer, InProgress, Later, Unknown

MAX_TARGET_PAUSE: Final = timedelta(seconds=30)
CONFLICT_PAUSE: Final = timedelta(seconds=5)
MAX_FAILED: Final = 200
"""How many rights of a target are remembered as failing, the latest ones."""
URGENCIES: Final = tuple(Urgency)
_Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Visit:
    """A right that is to be visited, and why. `is_probe`: although its target is paused.

    `grant` is the id of one that is known to be overdue, should the right itself not list it any more.
    """

    right: Right
    urgency: Urgency
    grant: str | None = None
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class _AnswerPause:
    until: datetime
    length: timedelta
    may_probe: bool = True


class AnswerPauses:
    """Which targets, or broken rights, are left alone, and until when. Each answer that says nothing doubles it."""

    def __init__(self) -> None:
        self._pauses: dict[str, _AnswerPause] = {}

    def is_paused(self, name: str, now: datetime) -> bool:
        """True while it is left alone."""
        pause = self._pauses.get(name)
        return pause is not None and now < pause.until

    def may_probe(self, name: str) -> bool:
        """True while this pause had no probe; never in a rest that the target asked for."""
        pause = self._pauses.get(name)
        return pause is not None and pause.may_probe

    def allow_probe(self, name: str, *, is_allowed: bool) -> None:
        """A probe begins, or called nobody."""
        if (pause := self._pauses.get(name)) is not None:
            self._pauses[name] = replace(pause, may_probe=is_allowed)

    def forget(self, name: str) -> None:
        """It is fine."""
        self._pauses.pop(name, None)

    def keep_only(self, names: Container[str]) -> None:
        """All others are fine."""
        self._pauses = {name: pause for name, pause in self._pauses.items() if name in names}

    def note(self, name: str, answer: Answer, now: datetime, *, is_probe: bool = False) -> None:
        """Learn from an answer."""
        if isinstance(answer, Later) and answer.is_for_all:
            until = now + min(max(answer.after, FIRST_PAUSE), MAX_TARGET_PAUSE)
            self._pauses[name] = _AnswerPause(until, FIRST_PAUSE, may_probe=False)
        elif _is_lost(answer):
            # The probe of a pause begins no longer one: a busy lane must not become a paused one.
            if not (is_probe and self.is_paused(name, now)):
                known = self._pauses.get(name)
                length = min(2 * known.length, MAX_TARGET_PAUSE) if known is not None else FIRST_PAUSE
                self._pauses[name] = _AnswerPause(now + length, length, may_probe=not is_probe)
        else:
            self.forget(name)


class TargetPauses:
    """Chooses what may be visited of a target.

    Some targets, such as Identity Center, change one right of a resource and level at a time. After a conflict, only
    the one that is known to be in progress is called; the others needn't each find that out.
    """

    def __init__(self) -> None:
        self._targets = AnswerPauses()
        self._failed: dict[str, dict[Right, None]] = {}
        self._probed: dict[str, Urgency] = {}
        self._conflicts: dict[_Place, tuple[datetime, Right]] = {}
        self._in_progress: dict[_Place, Right] = {}

    def is_held_back(self, right: Right, now: datetime) -> bool:
        """True while another right of the same place is in progress."""
        place = _place_of(right)
        until, met_by = self._conflicts.get(place, (now, right))
        # The one that met it has a pause of its own, which somebody's early end may shorten.
        return now < until and right not in (met_by, self._in_progress.get(place))

    def choose(self, target: str, waiting: Iterable[Visit], now: datetime) -> Visit | None:
        """The first of these, all of one target, that may be visited now."""
        allowed = (each for each in waiting if not self.is_held_back(each.right, now))
        if not self._targets.is_paused(target, now):
            return next(allowed, None)
        if not self._targets.may_probe(target):
            return None
        probe = self._choose_probe(target, allowed)
        return None if probe is None else replace(probe, is_probe=True)

    def begin(self, visit: Visit) -> None:
        """This is visited from now on."""
        if visit.is_probe:
            self._targets.allow_probe(visit.right.target, is_allowed=False)

    def note(self, visit: Visit, answer: Answer | None, now: datetime) -> None:
        """Learn from an answer; None: the target was not called."""
        right = visit.right
        if answer is None:
            if visit.is_probe:
                self._targets.allow_probe(right.target, is_allowed=True)
            return
        self._targets.note(right.target, answer, now, is_probe=visit.is_probe)
        self._remember(visit, answer)
        place = _place_of(right)
        if isinstance(answer, InProgress):
            self._in_progress[place] = right
        elif isinstance(answer, Later):
            if not answer.is_for_all:
                self._conflicts[place] = now + CONFLICT_PAUSE, right
        else:
            if self._in_progress.get(place) == right:
                del self._in_progress[place]
            self._conflicts.pop(place, None)

    def _choose_probe(self, target: str, waiting: Iterable[Visit]) -> Visit | None:
        failed: Mapping[Right, None] = self._failed.get(target, {})
        principals, resources = {each.principal for each in failed}, {each.resource for each in failed}
        last = self._probed.get(target)

        def likelihood(visit: Visit) -> tuple[int, bool, int]:
            # What fails is often a person or a resource; and hundreds of failing revokes hold up no grant.
            right = visit.right
            likeness = (right.principal in principals) + (right.resource in resources)
            return likeness, visit.urgency is last, URGENCIES.index(visit.urgency)

        candidates = [each for each in waiting if each.right not in failed]
        # After a pause it's the turn of what waits longest. A probe begins at the other end: hundreds of rights that
        # were not tried yet, and will fail, hold up none that comes after them.
        return min(reversed(candidates), key=likelihood, default=None)

    def _remember(self, visit: Visit, answer: Answer) -> None:
        failed = self._failed.setdefault(visit.right.target, {})
        failed.pop(visit.right, None)
        if not _is_lost(answer):
            return
        failed[visit.right] = None
        if len(failed) > MAX_FAILED:
            del failed[next(iter(failed))]
        if visit.is_probe:
            self._probed[visit.right.target] = visit.urgency


def _is_lost(answer: Answer) -> bool:
    return isinstance(answer, Unknown) and not answer.is_forgotten


def _place_of(right: Right) -> _Place:
    """What conflicts are about: the same level of the same resource."""
    return right.target, right.resource, right.level
