"""The people who can decide, and the people an alarm is for, as mentions.

Invariant: of those who can decide, at most five are mentioned; of those whom a step or an alarm is for, all. No e-mail
address is shown, and people who can no longer decide are not mentioned. A schedule is shown as who is on call in it
now; while nobody knows who that is, by its name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from bot.views.block_kit import code, mention
from core.actor import UserId
from core.policy.principals import PrincipalKind, PrincipalSelector

OnCallNow = Mapping[str, tuple[UserId, ...] | None]
"""Who is on call now, by the name of the schedule; None, and nothing, for a schedule that nobody could ask."""
MAX_MENTIONED: Final = 5
"""Each mention is a notification."""
MAX_IN_STEP: Final = 40
"""A step is for all whom it names, as many as fit into a message."""
NOBODY_ASKED: Final[OnCallNow] = {}
_MENTIONED: Final = (PrincipalKind.USER_GROUP, PrincipalKind.USER, PrincipalKind.ON_CALL)


def mention_deciders(
    deciders: Iterable[PrincipalSelector],
    *,
    leave_out: Collection[str],
    on_call: OnCallNow = NOBODY_ASKED,
    most: int = MAX_MENTIONED,
) -> str:
    """The deciders in mrkdwn, user groups first; "" when nobody can be named. `leave_out` are user ids."""
    others = {each for each in name_on_call(deciders, on_call) if each.value not in leave_out}
    named = sorted(
        (each for each in others if each.kind in _MENTIONED), key=lambda each: (_MENTIONED.index(each.kind), each.value)
    )[:most]
    if not named:
        return ""
    mentions = ", ".join(_mention(each) for each in named)
    more = len(others) - len(named)
    return f"{mentions} and {more} more" if more else mentions


def mention_all(notified: Iterable[PrincipalSelector], on_call: OnCallNow = NOBODY_ASKED) -> str:
    """Everyone whom the policy wants to be notified, in mrkdwn; the policy takes no more than fit."""
    named = dict.fromkeys(name_on_call(notified, on_call))
    return ", ".join(_mention(each) for each in named if each.kind in _MENTIONED)


def name_on_call(selectors: Iterable[PrincipalSelector], on_call: OnCallNow) -> Iterator[PrincipalSelector]:
    """The same, with each schedule replaced by who is on call in it; one of which nobody knows that stays."""
    for each in selectors:
        people = on_call.get(each.value) if each.kind is PrincipalKind.ON_CALL else None
        if not people:
            yield each
        else:
            yield from (PrincipalSelector(kind=PrincipalKind.USER, value=person) for person in people)


def name_silently(selectors: Iterable[PrincipalSelector]) -> str:
    """Who they are in the policy's words, without notifying them: `on-call:primary`, `group:leads` and 2 people."""
    named = list(dict.fromkeys(selectors))
    words = [code(str(each)) for each in named if each.kind in {PrincipalKind.GROUP, PrincipalKind.ON_CALL}]
    counts = (
        (sum(each.kind is PrincipalKind.USER_GROUP for each in named), "user group", "user groups"),
        (sum(each.kind in {PrincipalKind.USER, PrincipalKind.EMAIL} for each in named), "person", "people"),
    )
    words += [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _mention(selector: PrincipalSelector) -> str:
    if selector.kind is PrincipalKind.ON_CALL:
        return code(str(selector))
    return f"<!subteam^{selector.value}>" if selector.kind is PrincipalKind.USER_GROUP else mention(selector.value)
