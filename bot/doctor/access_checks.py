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
from core.actor import UserId
from core.audit.trail import AuditAction
from core.clock import Clock
from core.duration import format_duration
from core.policy import Policy
from core.policy.principals import PrincipalKind
from core.policy.target_config import AwsRoleConfig
from core.policy.target_use import MAX_PEOPLE, find_recipients, find_target_use
from core.stores.base import Stores
from core.targets.aws_role.checking import check_role
from core.targets.aws_role.clients import BotoClients
from core.targets.aws_role.roles import ClientsOpener
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

RECENT: Final = timedelta(hours=24)
_MAX_COUNTED: Final = 1_000
_MAX_SHOWN: Final = 5
_FIX: Final = "docs/targets.md says how."
_NEWS: Final = {
    AuditAction.DRIFT_FOUND: "others changed it in the target",
    AuditAction.REVOKE_FAILING: "its revoke failed repeatedly",
}
FindEmail = Callable[[UserId], str | None]


def check_targets(
    policy: Policy, clock: Clock, find_email: FindEmail | None = None, open_clients: ClientsOpener | None = None
) -> Iterator[CheckResult]:
    """Each target of the policy. `find_email` asks Slack, if e-mail addresses are trusted.

    `open_clients` makes the clients of aws-role targets; without it, boto3 does.
    """
    with closing(PolicyTargets(policy, clock)) as targets:
        for name, config in policy.targets.items():
            if isinstance(config, AwsRoleConfig):
                for found in check_role(name, config, (open_clients or BotoClients)(), clock):
                    yield _translate(name, found)
                continue
            target = targets[name]
            if isinstance(target, UnopenedTarget):
                yield wrong(f"target {name}: {target.problem}", _FIX)
            elif isinstance(target, IdentityCenter):
                use = find_target_use(policy, name, find_email)
                own_account = read_own_account(target.instance.settings.region)
                used = UsedRights(use.permission_sets, use.accounts, use.people, own_account)
                for found in check_identity_center(target.instance, used):
                    yield _translate(name, found)
                yield from _check_coverage(policy, name, own_account, use.more_people)
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


def _check_coverage(policy: Policy, target: str, own_account: str | None, more: int) -> Iterator[CheckResult]:
    """Says whose mapping was not checked, and why."""
    if own_account is None:
        yield note(
            f"target {target}: AWS didn't say whose credentials these are, so it wasn't checked that they may change "
            "the management account"
        )
    named = find_recipients(policy.document, target)
    groups = sorted(each.value for each in named if each.kind is PrincipalKind.USER_GROUP)
    unchecked: Iterable[str] = [f"members of {', '.join(groups)}"] if groups else []
    emails = sum(each.kind is PrincipalKind.EMAIL for each in named)
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
