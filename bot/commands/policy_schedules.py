"""What the sources of on-call schedules say about a policy file, for `countersign policy check`.

Invariant: a schedule that its source doesn't have is a mistake. That a source couldn't be asked from here is none: it
is a note, so that a check without the secrets, or while a source is down, says the same about the file itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bot.commands.policy_secrets import find_missing_secret
from core.errors import CountersignError
from core.policy.loader import MoreFound
from core.policy.mistake import Mistake
from core.policy.on_call_config import DEMO_SCHEDULE, OnCallConfig
from core.policy.rules import PolicyDocument
from core.schedules.base import ScheduleRefused, ScheduleSource
from core.schedules.ical_process import check_libraries
from core.schedules.opening import open_source
from core.targets.words import one_line

OpenSchedule = Callable[[str, OnCallConfig], ScheduleSource]
MAX_SAID: Final = 200
"""How much is shown of what a source says."""


class AskedSchedules:
    """Asks each schedule of a file whether it exists. `names` has what the sources call those that do."""

    def __init__(self, opener: OpenSchedule = open_source) -> None:
        self._open = opener
        self.names: dict[str, str] = {}

    def __call__(self, document: PolicyDocument) -> MoreFound:
        """Ask them one after the other; each takes a bounded time."""
        mistakes: list[Mistake] = []
        notes: list[Mistake] = []
        for name, config in document.on_call.items():
            if config.kind == DEMO_SCHEDULE:
                continue
            at = ("on_call", name, config.kind)
            if missing := _find_missing(config):
                problem, fix = missing
                notes.append(Mistake(at, f"it can't be asked from here: {problem}", fix))
                continue
            try:
                self.names[name] = self._ask(name, config)
            except ScheduleRefused as refused:
                mistakes.append(Mistake(at, _short(refused.problem).rstrip("."), _short(refused.fix)))
            except CountersignError as error:
                problem = f"it wasn't checked: {_short(str(error)).rstrip('.')}"
                notes.append(Mistake(at, problem, "Try again, or use --offline."))
        return MoreFound(tuple(mistakes), tuple(notes))

    def _ask(self, name: str, config: OnCallConfig) -> str:
        source = self._open(name, config)
        try:
            return _short(source.check())
        finally:
            source.close()


def _find_missing(config: OnCallConfig) -> tuple[str, str] | None:
    """What isn't here, a secret or a library, and what to do; None when nothing is missing."""
    if (missing := find_missing_secret(config.source)) is not None:
        return missing, "Set it here too, or use --offline."
    try:
        if config.ical is not None:
            check_libraries()
    except ScheduleRefused as refused:
        return "the libraries that read calendars aren't installed", refused.fix
    return None


def _short(text: str) -> str:
    return one_line(text, MAX_SAID)
