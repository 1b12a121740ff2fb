"""Rights in the words of their target: where, what, and for whom, as short as Slack needs it.

Invariant: what a policy or a target named is shown as code, on one line, and cut where it is long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.views.block_kit import code, shorten
from core.access.right import Right
from core.access.summary import RightSummary

MAX_NAME: Final = 120
"""So that all rights of a profile, eight at most, fit into one text."""
MAX_PART: Final = 100
"""Of each of the three parts, in a list of eight rights."""
_ARN_START: Final = "arn:"


def right_name(right: Right) -> str:
    """A right without its person, for a card: `aws · 111122223333 · ps-0123456789abcdef`."""
    return code(shorten(f"{right.target} · {right.resource} · {_last_part(right.level)}", MAX_NAME))


def right_names(rights: Sequence[RightSummary]) -> str:
    """Several of them."""
    return ", ".join(right_name(each.right) for each in rights)


def full_right(right: Right) -> str:
    """A right with its person, whole as far as Slack takes it: what to look for in the target."""
    parts = (right.resource, right.level, right.principal)
    return f"{code(right.target)}: {' · '.join(code(shorten(part, MAX_PART)) for part in parts)}"


def count_rights(number: int, total: int) -> str:
    """Such as "1 of 2 rights"."""
    return f"{number} of {total} rights"


def target_names(rights: Sequence[RightSummary]) -> str:
    """The targets of these rights, each once."""
    return " and ".join(dict.fromkeys(code(each.right.target) for each in rights))


def _last_part(level: str) -> str:
    # An ARN says where it is from before it says what it is.
    return level.rpartition("/")[2] if level.startswith(_ARN_START) else level
