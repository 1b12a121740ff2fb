"""Assume a role for a person: one call of STS, and the one place where its errors become words for people.

Invariant: a call is sent once, and asks for no more than the intent says. A secret is in no error.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import SecretStr

from core.access.credentials import AssumeIntent, AwsCredentials, IssuerUnavailable
from core.policy.target_config import AwsRoleConfig
from core.targets.aws_calls import AwsCalls, CallFailed, Trouble
from core.targets.aws_names import session_name
from core.targets.aws_role.clients import AwsClients
from core.targets.aws_role.names import PROFILE_TAG, REQUEST_TAG, session_tags
from core.targets.aws_role.session_policy import session_policy
from core.targets.call_pace import CallPace

CALLS_PER_SECOND: Final = 100.0
"""A sixth of what STS allows an account in a region."""
FIXES: Final = {
    "AccessDenied": "Compare the role's trust policy with `countersign aws trust-policy`, and Countersign's own "
    "policy; `countersign doctor` tries it.",
    "ValidationError": "Compare `lease` in the policy with the role's maximum session duration.",
    "PackedPolicyTooLarge": "Shorten the names of the profile and the role's own session tags.",
    "RegionDisabledException": "Activate STS in this region in the role's account, or name another region in the "
    "policy.",
}
"""What people can do about an error of STS."""
_AGAIN: Final = "Try again in a moment."
_ASK: Final = "Ask the people who operate Countersign."


class RoleIssuer:
    """Issues credentials of roles. Safe for threads."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients
        self._lock = threading.Lock()
        self._calls: dict[str, AwsCalls] = {}

    def assume(self, target: str, config: AwsRoleConfig, intent: AssumeIntent) -> AwsCredentials:
        """Credentials of the target's role, as the intent says. Raises IssuerUnavailable."""
        try:
            answer = self._calls_in(config.region).write("assume_role", **arguments_of(config, intent))
        except CallFailed as failed:
            raise _translate(target, failed) from failed
        return read_credentials(answer)

    def _calls_in(self, region: str) -> AwsCalls:
        with self._lock:
            found = self._calls.get(region)
            if found is None:
                pace = CallPace(CALLS_PER_SECOND, burst=int(CALLS_PER_SECOND))
                found = self._calls[region] = AwsCalls(self._clients.sts(region), pace, "STS", FIXES)
            return found


def arguments_of(config: AwsRoleConfig, intent: AssumeIntent) -> dict[str, Any]:
    """What STS is asked for."""
    outside = {"ExternalId": config.external_id} if config.external_id is not None else {}
    return {
        "RoleArn": config.role,
        "RoleSessionName": session_name(intent.person_name, intent.source_identity),
        "DurationSeconds": int(config.lease.total_seconds()),
        "Policy": session_policy(intent.rights_end_at),
        "SourceIdentity": intent.source_identity,
        "Tags": list(session_tags(intent.request, intent.profile)),
        "TransitiveTagKeys": [REQUEST_TAG, PROFILE_TAG],
        **outside,
    }


def read_credentials(answer: Mapping[str, Any]) -> AwsCredentials:
    """The credentials of an answer of STS. Raises IssuerUnavailable for one that is not whole."""
    try:
        found = answer["Credentials"]
        expiration: datetime = found["Expiration"]
        return AwsCredentials(
            str(found["AccessKeyId"]),
            SecretStr(found["SecretAccessKey"]),
            SecretStr(found["SessionToken"]),
            expiration.astimezone(UTC),
        )
    except (KeyError, TypeError, AttributeError):
        # The answer may hold a part of the secret: nothing of it goes on.
        raise IssuerUnavailable("STS answered without credentials", _AGAIN) from None


def _translate(target: str, failed: CallFailed) -> IssuerUnavailable:
    is_final = failed.trouble in {Trouble.REFUSED, Trouble.NOT_FOUND}
    return IssuerUnavailable(f"{target}: {failed.problem}", _ASK if is_final else _AGAIN, is_final=is_final)
