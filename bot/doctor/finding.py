"""A check result: one line about one thing that was checked.

Invariant: a problem comes with its fix, and a result never contains a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How serious a result is."""

    FINE = "fine"
    NOTE = "worth knowing"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was found, in words for an operator, and how to fix it."""

    level: Level
    what: str
    fix: str = ""

    def as_json(self) -> dict[str, str]:
        """The same for a program."""
        return {
            "level": self.level.name.lower(),
            "what": " ".join(self.what.split()),
            "fix": " ".join(self.fix.split()),
        }

    def __str__(self) -> str:
        # One line, even if a library's message has several.
        return " ".join(f"{self.what.rstrip('.')}. {self.fix}".split()) if self.fix else " ".join(self.what.split())


def fine(what: str) -> CheckResult:
    """A check that passed."""
    return CheckResult(Level.FINE, what)


def note(what: str, fix: str = "") -> CheckResult:
    """Something that works and is worth knowing."""
    return CheckResult(Level.NOTE, what, fix)


def wrong(what: str, fix: str) -> CheckResult:
    """Something that does not work, or will not."""
    return CheckResult(Level.WRONG, what, fix)
