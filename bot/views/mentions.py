"""Who may decide, and who is called, as mentions.

Invariant: of those who may decide, a handful at most is mentioned; of those whom an alarm is for, each one. No e-mail
address is shown, and who cannot decide any more is not called.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from bot.views.block_kit import mention
from core.policy.principals import PrincipalKind, PrincipalSelector

MAX_MENTIONED: Final = 5
"""More would be a roll-call: each mention is a notification."""
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


def mention_all(called: Iterable[PrincipalSelector]) -> str:
    """Everybody whom the policy wants to be called, in mrkdwn; the policy takes no more than fit."""
    return ", ".join(_mention(each) for each in called if each.kind in _MENTIONED)


def _mention(selector: PrincipalSelector) -> str:
    return f"<!subteam^{selector.value}>" if selector.kind is PrincipalKind.USER_GROUP else mention(selector.value)
