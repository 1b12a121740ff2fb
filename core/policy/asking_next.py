"""Whom to ask instead: for a person on call who can't decide, because the request is their own.

Invariant: it gives nobody a right. It names only people who may decide under the rule, now or at a later step of its
escalation, and never the person who asks. No e-mail address is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from core.actor import Actor
from core.duration import format_duration
from core.duty import on_call_name
from core.policy.decision import Condition
from core.policy.principals import People, PrincipalKind, PrincipalSelector

ASK_NEXT: Final = "ask next"
"""The name of the unmet condition that says whom to ask."""
MAX_NAMED: Final = 5
_ORDER: Final = (PrincipalKind.ON_CALL, PrincipalKind.USER_GROUP, PrincipalKind.USER)


@dataclass(frozen=True, slots=True)
class LaterStep:
    """A step of the escalation that has not come: after what wait, and who may decide then."""

    after: timedelta
    to: tuple[PrincipalSelector, ...]


def find_next(
    people: People, actor: Actor, rule: str, deciders: Sequence[PrincipalSelector], later: Sequence[LaterStep]
) -> Condition | None:
    """Whom a person on call has to ask about their own request; None when no schedule lets them decide.

    `deciders` may decide now. A schedule that can't say whether the person is on call counts like one that says so.
    """
    leaves = people.leaves(tuple(deciders))
    if not any(each.kind is PrincipalKind.ON_CALL and _may_be_on_call(actor, each) for each in leaves):
        return None
    now = _name(people, actor, leaves)
    step = next((each for each in later if _name(people, actor, people.leaves(each.to))), None)
    said = [f"ask {now}, who may decide under rule {rule} too"] if now else []
    if step is not None:
        then = _name(people, actor, people.leaves(step.to))
        said.append(f"{then} may decide once it has waited {format_duration(step.after)}")
    if not said:
        said.append(
            f"if nobody else is on call, nobody can decide under rule {rule}: ask a policy owner to add an approver"
        )
    return Condition(name=ASK_NEXT, is_met=False, text="; ".join(said))


def _may_be_on_call(actor: Actor, leaf: PrincipalSelector) -> bool:
    duty = actor.on_call(on_call_name(leaf.value))
    return duty is None or duty.holds(for_approving=True) is not False


def _name(people: People, actor: Actor, leaves: Iterable[PrincipalSelector]) -> str:
    """Those of them who aren't this person, as many as fit into a sentence; "" for nobody."""
    own = people.ids_of(actor.id)
    others = [
        each
        for each in leaves
        if each.kind in _ORDER
        and each.value not in own
        and not (each.kind is PrincipalKind.ON_CALL and _may_be_on_call(actor, each))
    ]
    ordered = sorted(others, key=lambda each: (_ORDER.index(each.kind), each.value))
    named = [
        f"who is on call in {each.value}" if each.kind is PrincipalKind.ON_CALL else each.value for each in ordered
    ]
    if len(named) > MAX_NAMED:
        named = [*named[: MAX_NAMED - 1], "another approver"]
    return " or ".join(filter(None, [", ".join(named[:-1]), *named[-1:]]))
