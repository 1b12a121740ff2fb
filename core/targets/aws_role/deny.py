"""Write and remove the inline policies of a role that end access early.

Invariant: what was denied stays denied while room is made for more: one policy that denies all is written before those
that it replaces are removed. A role is edited only in its own account, where its name means this role.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any, Final

from core.access.credentials import AwsCredentials, IssuerUnavailable
from core.clock import Clock
from core.policy.target_config import AwsRoleConfig
from core.targets.aws_calls import AwsCalls, CallFailed, Trouble
from core.targets.aws_names import account_of, role_name
from core.targets.aws_role.assume import read_credentials
from core.targets.aws_role.clients import AwsClients
from core.targets.aws_role.deny_policy import (
    MAX_INLINE_CHARACTERS,
    ROOM_FOR_ALL,
    DenyPolicy,
    count_characters,
    covers_until,
    deny_all,
    is_ours,
)
from core.targets.call_pace import CallPace

CALLS_PER_SECOND: Final = 5.0
REVOKER_SECONDS: Final = 900
_RENEW_BEFORE: Final = timedelta(minutes=5)
_SESSION: Final = "countersign-revoker"
_MAX_OTHERS: Final = 10
"""How many policies of others are measured; a role has a few."""
_FULL: Final = "LimitExceeded"
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId"})
FIXES: Final = {
    "AccessDenied": "Compare the policies of the revoker and of Countersign's role with docs/targets.md; "
    "`countersign doctor` tries them.",
    _FULL: "The role's inline policies have no room for a deny: move some of them into a managed policy.",
}
"""What people can do about an error of IAM."""


class RoleDenies:
    """Edits roles. Safe for threads, and for any number of processes. `elapsed` is the machine's, but in tests."""

    def __init__(self, clients: AwsClients, clock: Clock, pace: CallPace | None = None) -> None:
        self._clients = clients
        self._clock = clock
        self._pace = pace or CallPace(CALLS_PER_SECOND, burst=20)
        self._lock = threading.Lock()
        self._accounts: dict[str, str] = {}
        self._revokers: dict[tuple[str, str], AwsCredentials] = {}

    def put(self, config: AwsRoleConfig, role: str, policy: DenyPolicy, limit: timedelta) -> None:
        """Write this policy, or one that denies all where it has no room. Raises CallFailed."""
        calls = self._open(config, role, limit)
        names = _list_names(calls, role)
        ours = [each for each in names if is_ours(each)]
        if not self._has_room(calls, role, names, policy):
            self._collapse(calls, role, ours)
            return
        try:
            _put(calls, role, policy)
        except CallFailed as failed:
            if failed.code != _FULL:
                raise
            self._collapse(calls, role, ours)

    def list_names(self, config: AwsRoleConfig, role: str, limit: timedelta) -> tuple[str, ...]:
        """The names of the policies of ours that the role has. Raises CallFailed."""
        return tuple(each for each in _list_names(self._open(config, role, limit), role) if is_ours(each))

    def remove(self, config: AwsRoleConfig, role: str, name: str, limit: timedelta) -> None:
        """Remove a policy of ours; one that isn't there was removed. Raises CallFailed."""
        _delete(self._open(config, role, limit), role, name)

    def measure(self, config: AwsRoleConfig, role: str, limit: timedelta) -> int:
        """How many characters the inline policies of others have, as IAM counts them. Raises CallFailed."""
        calls = self._open(config, role, limit)
        return sum(_size(calls, role, name) for name in _list_names(calls, role) if not is_ours(name))

    def _has_room(self, calls: AwsCalls, role: str, names: list[str], policy: DenyPolicy) -> bool:
        """True when this policy fits, and afterwards the one that denies all still does."""
        if policy.name in names:
            return True
        ours = sum(is_ours(each) for each in names)
        others = [each for each in names if not is_ours(each)]
        # None of ours is longer than the one that denies all.
        most = MAX_INLINE_CHARACTERS - (ours + 1) * ROOM_FOR_ALL
        if len(others) > _MAX_OTHERS:
            return most > 0
        return sum(_size(calls, role, each) for each in others) + policy.characters <= most

    def _collapse(self, calls: AwsCalls, role: str, replaced: list[str]) -> None:
        """One policy in the place of these, which were there before its moment: what they deny was issued before."""
        everything = deny_all(self._clock.now())
        _put(calls, role, everything)
        moment = covers_until(everything.name)
        for name in replaced:
            until = covers_until(name)
            if name != everything.name and (until is None or moment is None or until <= moment):
                _delete(calls, role, name)

    def _open(self, config: AwsRoleConfig, role: str, limit: timedelta) -> AwsCalls:
        """IAM as the one who may edit this role. Raises CallFailed, also when that can't be the role that is meant."""
        if config.revoker is None:
            own = self._own_account(config.region, limit)
            if own != account_of(role):
                raise CallFailed(Trouble.REFUSED, _other_account(role, own))
            return AwsCalls(self._clients.iam(config.region, None), self._pace, "IAM", FIXES).within(limit)
        if account_of(config.revoker) != account_of(role):
            raise CallFailed(Trouble.REFUSED, _other_account(role, account_of(config.revoker)))
        keys = self._become(config, config.revoker, limit)
        client = self._clients.iam(config.region, keys)
        return AwsCalls(client, self._pace, "IAM", FIXES).within(limit)

    def _own_account(self, region: str, limit: timedelta) -> str:
        with self._lock:
            if (known := self._accounts.get(region)) is not None:
                return known
        account = str(self._sts(region, limit).read("get_caller_identity").get("Account"))
        with self._lock:
            self._accounts[region] = account
        return account

    def _become(self, config: AwsRoleConfig, revoker: str, limit: timedelta) -> AwsCredentials:
        key, now = (config.region, revoker), self._clock.now()
        with self._lock:
            known = self._revokers.get(key)
        if known is not None and now < known.expiration - _RENEW_BEFORE:
            return known
        outside = {"ExternalId": config.external_id} if config.external_id is not None else {}
        answer = self._sts(config.region, limit).read(
            "assume_role", RoleArn=revoker, RoleSessionName=_SESSION, DurationSeconds=REVOKER_SECONDS, **outside
        )
        try:
            fresh = read_credentials(answer)
        except IssuerUnavailable as error:
            raise CallFailed(Trouble.BUSY, error.problem) from error
        with self._lock:
            self._revokers[key] = fresh
        return fresh

    def _sts(self, region: str, limit: timedelta) -> AwsCalls:
        return AwsCalls(self._clients.sts(region), self._pace, "STS", FIXES).within(limit)


def _put(calls: AwsCalls, role: str, policy: DenyPolicy) -> None:
    calls.write("put_role_policy", RoleName=role_name(role), PolicyName=policy.name, PolicyDocument=policy.document)


def _delete(calls: AwsCalls, role: str, name: str) -> None:
    try:
        calls.write("delete_role_policy", RoleName=role_name(role), PolicyName=name)
    except CallFailed as failed:
        if failed.trouble is not Trouble.NOT_FOUND:
            raise


def _list_names(calls: AwsCalls, role: str) -> list[str]:
    names: list[str] = []
    marker: dict[str, Any] = {}
    while True:
        answer = calls.read("list_role_policies", RoleName=role_name(role), **marker)
        names += answer.get("PolicyNames", [])
        if not answer.get("IsTruncated"):
            return names
        marker = {"Marker": answer["Marker"]}


def _size(calls: AwsCalls, role: str, name: str) -> int:
    try:
        answer = calls.read("get_role_policy", RoleName=role_name(role), PolicyName=name)
    except CallFailed as failed:
        if failed.trouble is Trouble.NOT_FOUND:
            return 0
        raise
    return count_characters(answer.get("PolicyDocument", ""))


def _other_account(role: str, account: str) -> str:
    return (
        f"{role} is in account {account_of(role)}, and Countersign can only edit roles in {account} here. Name a "
        f"revoker of account {account_of(role)} in the policy"
    )
