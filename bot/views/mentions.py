"""The people who can decide, and the people an alarm is for, as mentions.

Invariant: of those who can decide, at most five are mentioned; of those an alarm is for, all. No e-mail address is
shown, and people who can no longer decide are not mentioned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from bot.views.block_kit import mention
from core.policy.principals import PrincipalKind, PrincipalSelector

MAX_MENTIONED: Final = 5
"""Each mention is a notification."""
_MENTIONED: Final = (PrincipalKind.USER_GROUP, PrincipalKind.USER)


def mention_deciders(deciders: Iterable[PrincipalSelector], *, leave_out: Collection[str]) -> str:
    """The deciders in mrkdwn, user groups first; "" when nobody can be named. `leave_out` are user ids."""
    others = {each for each in deciders if each.value not in leave_out}
    named = sorted(
        (each for each in others if each.kind in _MENTIONED), key=lambda each: (_MENTIONED.index(each.kind), each.value)
    )[:MAX_MENTIONED]
    if not named:
        return ""
    mentions = ", ".join(_mention(each) for each in named)
    more = len(others) - len(named)
    return f"{mentions} and {more} more" if more else mentions


def mention_all(notified: Iterable[PrincipalSelector]) -> str:
    """Everyone whom the policy wants to be notified, in mrkdwn; the policy takes no more than fit."""
    return ", ".join(_mention(each) for each in notified if each.kind in _MENTIONED)


def _mention(selector: PrincipalSelector) -> str:
    return f"<!subteam^{selector.value}>" if selector.kind is PrincipalKind.USER_GROUP else mention(selector.value)
