"""A mistake in a policy file, before its line is known.

Invariant: a mistake says what is wrong, and how to fix it.
"""

from __future__ import annotations

from typing import NamedTuple

from core.policy.yaml_source import Path


class Mistake(NamedTuple):
    """A mistake and where it is; a caller that knows the file looks up the line."""

    path: Path
    problem: str
    fix: str
