"""A finding: one line about one thing that was checked.

Invariant: what is wrong comes with what mends it, and a finding never holds a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How it stands."""

    FINE = "fine"
    NOTE = "worth knowing"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was found, in words for an operator, and what to do about it."""

    level: Level
    what: str
    fix: str = ""

    def __str__(self) -> str:
        # One line, whatever a library put into it.
        return " ".join(f"{self.what.rstrip('.')}. {self.fix}".split()) if self.fix else " ".join(self.what.split())


def fine(what: str) -> CheckResult:
    """It is as it should be."""
    return CheckResult(Level.FINE, what)


def note(what: str, fix: str = "") -> CheckResult:
    """It works, and somebody may want to know."""
    return CheckResult(Level.NOTE, what, fix)


def wrong(what: str, fix: str) -> CheckResult:
    """It does not work, or will not."""
    return CheckResult(Level.WRONG, what, fix)
