"""What `countersign doctor` looks at in Identity Center, before somebody asks for access.

Invariant: every check only reads, and every problem says what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from botocore.exceptions import BotoCoreError

from core.access.principals import SoughtPerson
from core.targets.aws_calls import AwsCalls, CallFailed, Trouble, open_client
from core.targets.base import Later, TargetRefused
from core.targets.call_pace import CallPace
from core.targets.identity_center.instance import SsoInstance
from core.targets.identity_center.people import resolve_person
from core.targets.identity_center.sessions import read_session_duration

SHORT_SESSION: Final = timedelta(hours=1)
"""The shortest session that AWS allows, and its default."""


class CheckOutcome(StrEnum):
    """How a check ended."""

    FINE = "fine"
    NOTE = "note"
    """It works, and people should know this."""
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    """It couldn't be checked now."""


@dataclass(frozen=True, slots=True)
class TargetFinding:
    """What one check found."""

    outcome: CheckOutcome
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class UsedRights:
    """What the policy uses of Identity Center. `own_account` is the account of Countersign's credentials."""

    permission_sets: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    people: tuple[SoughtPerson, ...] = ()
    own_account: str | None = None


def read_own_account(region: str) -> str | None:
    """The account of Countersign's credentials, which needs no right; None if AWS doesn't say."""
    try:
        return str(AwsCalls(open_client("sts", region), CallPace()).read("get_caller_identity")["Account"])
    except (CallFailed, BotoCoreError):
        return None


def check_identity_center(instance: SsoInstance, used: UsedRights) -> Iterator[TargetFinding]:
    """Every check. If the instance can't be used, only that is said: nothing else could be true."""
    found, owner = check_instance(instance)
    yield found
    if found.outcome is not CheckOutcome.FINE:
        return
    yield from check_accounts(used.accounts, owner=owner, own_account=used.own_account)
    for each in used.permission_sets:
        yield check_permission_set(instance, each)
    for person in used.people:
        yield check_person(instance, person)


def check_instance(instance: SsoInstance) -> tuple[TargetFinding, str | None]:
    """Whether the instance is there in its region; and the account that owns it, the management account."""
    subject = "Identity Center"
    region = instance.settings.region
    try:
        found = instance.find()
    except CallFailed as failed:
        return _failed(subject, failed), None
    if found is None:
        text = f"There is no instance {instance.arn} in {region}. Check the region: an instance has one home region."
        return TargetFinding(CheckOutcome.PROBLEM, subject, text), None
    if found.get("IdentityStoreId") != instance.identity_store_id:
        text = f"The identity store of this instance is {found.get('IdentityStoreId')}. Set that one."
        return TargetFinding(CheckOutcome.PROBLEM, subject, text), None
    if found.get("Status", "ACTIVE") != "ACTIVE":
        text = f"The instance isn't active: {found.get('Status')}. Look at it in the AWS console."
        return TargetFinding(CheckOutcome.PROBLEM, subject, text), None
    owner = found.get("OwnerAccountId")
    return TargetFinding(CheckOutcome.FINE, subject, f"The instance is reachable in {region}."), owner


def check_accounts(accounts: Iterable[str], *, owner: str | None, own_account: str | None) -> Iterator[TargetFinding]:
    """Whether each account may be changed: a delegated administrator can't touch the management account."""
    is_delegated = owner is not None and own_account is not None and owner != own_account
    for account in accounts:
        if is_delegated and account == owner:
            text = (
                "This is the management account. AWS doesn't let a delegated administrator, as Countersign is here, "
                "change access to it. Take the account out of the policy."
            )
            yield TargetFinding(CheckOutcome.PROBLEM, account, text)
        else:
            yield TargetFinding(CheckOutcome.FINE, account, "Access to this account can be given.")


def check_permission_set(instance: SsoInstance, permission_set: str) -> TargetFinding:
    """Whether the permission set exists, and how long its sessions outlive a revoke."""
    try:
        duration = read_session_duration(instance, permission_set)
    except CallFailed as failed:
        if failed.trouble is Trouble.NOT_FOUND:
            text = "There is no such permission set in this instance. Check its ARN in the policy."
            return TargetFinding(CheckOutcome.PROBLEM, permission_set, text)
        return _failed(permission_set, failed)
    if duration > SHORT_SESSION:
        text = (
            f"A session that is open when access ends can live on for {duration.total_seconds() / 3600:g} hours. "
            "Set the permission set's session duration to 1 hour."
        )
        return TargetFinding(CheckOutcome.NOTE, permission_set, text)
    return TargetFinding(CheckOutcome.FINE, permission_set, "It exists; its sessions last an hour at most.")


def check_person(instance: SsoInstance, person: SoughtPerson) -> TargetFinding:
    """Whether the person has a user in Identity Center that can be used."""
    found = resolve_person(instance, person)
    if isinstance(found, TargetRefused):
        return TargetFinding(CheckOutcome.PROBLEM, person.slack_id, found.reason)
    if isinstance(found, Later):
        return TargetFinding(CheckOutcome.UNKNOWN, person.slack_id, f"Couldn't be checked: {found.problem}.")
    return TargetFinding(CheckOutcome.FINE, person.slack_id, f"Is {found.user_name} in Identity Center.")


def _failed(subject: str, failed: CallFailed) -> TargetFinding:
    # Nobody gets access where AWS can't even be asked, so that is no note.
    is_passing = failed.was_sent and failed.trouble in {Trouble.BUSY, Trouble.CONFLICT, Trouble.LOST}
    outcome = CheckOutcome.UNKNOWN if is_passing else CheckOutcome.PROBLEM
    return TargetFinding(outcome, subject, f"Couldn't be checked: {failed.problem.rstrip('.')}.")
