"""Access: can each target of the policy be used, who is known there, and is anything overdue or changed by others?

Invariant: nothing is given, taken or posted. What can't be checked without doing so is said to be unchecked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import islice
from typing import Final

from bot.doctor.finding import CheckResult, fine, note, wrong
from core.access.summary import OVERDUE_AFTER
from core.actor import Actor, UserId
from core.audit.trail import AuditAction
from core.clock import Clock
from core.duration import format_duration
from core.policy import Policy
from core.policy.principals import People, PrincipalKind, PrincipalSelector
from core.stores.base import Stores
from core.targets.identity_center.checking import (
    CheckOutcome,
    TargetFinding,
    UsedRights,
    check_identity_center,
    read_own_account,
)
from core.targets.identity_center.target import IdentityCenter
from core.targets.opening import PolicyTargets
from core.targets.standing_in import UnopenedTarget

MAX_PEOPLE: Final = 100
RECENT: Final = timedelta(hours=24)
_MAX_COUNTED: Final = 1_000
_MAX_SHOWN: Final = 5
_FIX: Final = "docs/targets.md says how."
_NEWS: Final = {
    AuditAction.DRIFT_FOUND: "others changed it in the target",
    AuditAction.REVOKE_FAILING: "its revoke failed repeatedly",
}
FindEmail = Callable[[UserId], str | None]


def check_targets(policy: Policy, clock: Clock, find_email: FindEmail | None = None) -> Iterator[CheckResult]:
    """Each target of the policy. `find_email` asks Slack, if e-mail addresses are trusted."""
    with closing(PolicyTargets(policy, clock)) as targets:
        for name, config in policy.targets.items():
            target = targets[name]
            if isinstance(target, UnopenedTarget):
                yield wrong(f"target {name}: {target.problem}", _FIX)
            elif isinstance(target, IdentityCenter):
                used = _find_used(policy, name, find_email, read_own_account(target.instance.settings.region))
                for found in check_identity_center(target.instance, used):
                    yield _translate(name, found)
                yield from _check_coverage(policy, name, used)
            else:
                yield note(f"target {name}: a {config.type} target, complete in the policy; doctor doesn't call it")


def check_grants(stores: Stores, clock: Clock) -> Iterator[CheckResult]:
    """What is overdue, and what others changed within a day. Raises StoreError."""
    now, first_end = clock.now(), stores.access.find_first_end()
    live = stores.access.count_live(_MAX_COUNTED)
    shown = f"{live:,}{' or more' if live == _MAX_COUNTED else ''} live {'grant' if live == 1 else 'grants'}"
    if first_end is not None and now >= first_end + OVERDUE_AFTER:
        late = now - first_end
        yield wrong(
            f"access: {shown}, and the oldest due revoke is {format_duration(late - late % timedelta(seconds=1))} late",
            "Run `countersign access list --overdue`, and revoke by hand what can't wait.",
        )
    else:
        yield fine(f"access: {shown}, none overdue")
    yield from _find_news(stores, clock)


def _find_news(stores: Stores, clock: Clock) -> Iterator[CheckResult]:
    news: dict[tuple[str, str], int] = {}
    for entry in stores.audit.export(since=clock.now() - RECENT):
        if entry.event in _NEWS:
            key = (str(entry.details.get("right", entry.chain)), _NEWS[entry.event])
            news[key] = news.get(key, 0) + 1
    for (right, what), times in islice(news.items(), _MAX_SHOWN):
        yield note(f"access: {right}: {what}" + (f", {times} times" if times > 1 else "") + " in the last 24 hours")
    if len(news) > _MAX_SHOWN:
        yield note(f"access: {len(news) - _MAX_SHOWN} more rights changed by others, or hard to revoke")


def _find_used(policy: Policy, target: str, find_email: FindEmail | None, own_account: str | None) -> UsedRights:
    entries = [each for profile in policy.document.profiles.values() for each in profile.access or ()]
    used = [each for each in entries if each.target == target]
    people = sorted(each.value for each in _find_named(policy, target) if each.kind is PrincipalKind.USER)
    return UsedRights(
        permission_sets=tuple(dict.fromkeys(each.permission_set for each in used if each.permission_set is not None)),
        accounts=tuple(dict.fromkeys(each.account for each in used if each.account is not None)),
        people=tuple(
            policy.find_sought(
                Actor(id=UserId(each), email=_email_of(policy, UserId(each), target, find_email)), target
            )
            for each in people[:MAX_PEOPLE]
        ),
        own_account=own_account,
    )


def _email_of(policy: Policy, person: UserId, target: str, find_email: FindEmail | None) -> str | None:
    is_needed = policy.document.identity.trust_email and policy.mapped(person, target) is None
    return find_email(person) if is_needed and find_email is not None else None


def _find_named(policy: Policy, target: str) -> frozenset[PrincipalSelector]:
    """Whom the rules for the profiles of this target name: who may get access there."""
    document = policy.document
    profiles = [
        name for name, each in document.profiles.items() if any(one.target == target for one in each.access or ())
    ]
    named: list[PrincipalSelector] = []
    for rule in document.approval:
        if any(rule.covers(profile) for profile in profiles):
            automatic = rule.auto_approve.requesters if rule.auto_approve is not None else None
            named += [*(rule.requesters or ()), *(automatic or ())]
    for broken in document.break_glass:
        if any(broken.covers(profile) for profile in profiles):
            named += broken.users
    return People(groups=document.groups).leaves(tuple(named))


def _check_coverage(policy: Policy, target: str, used: UsedRights) -> Iterator[CheckResult]:
    """Says whose mapping was not checked, and why."""
    if used.own_account is None:
        yield note(
            f"target {target}: AWS didn't say whose credentials these are, so it wasn't checked that they may change "
            "the management account"
        )
    named = _find_named(policy, target)
    groups = sorted(each.value for each in named if each.kind is PrincipalKind.USER_GROUP)
    unchecked: Iterable[str] = [f"members of {', '.join(groups)}"] if groups else []
    emails = sum(each.kind is PrincipalKind.EMAIL for each in named)
    more = sum(each.kind is PrincipalKind.USER for each in named) - len(used.people)
    unchecked = [
        *unchecked,
        *([f"{emails} named by e-mail"] if emails else []),
        *([f"{more} more than {MAX_PEOPLE} named by id"] if more else []),
    ]
    if unchecked:
        yield note(f"target {target}: who they are there wasn't checked for {'; '.join(unchecked)}")


def _translate(target: str, found: TargetFinding) -> CheckResult:
    said = f"target {target}: {found.subject}: {found.text}"
    match found.outcome:
        case CheckOutcome.FINE:
            return fine(said)
        case CheckOutcome.PROBLEM:
            return wrong(said, _FIX)
    return note(said)
