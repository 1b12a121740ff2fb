"""One instance of Identity Center, and the clients that call it.

Invariant: both clients are made in the home region of the instance, the only one whose endpoints know it, and share one
pace, because AWS counts all calls to an instance together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from core.access.timing import CALL_TIMEOUT
from core.clock import Clock, SystemClock
from core.targets.aws_calls import AwsCalls, open_client
from core.targets.call_pace import CallPace

NAME: Final = "Identity Center"
FIXES: Final = {
    "AccessDeniedException": "Compare the IAM policy of Countersign's role with "
    "deploy/iam-policy.identity-center.json. "
    "A delegated administrator can't change access to the organization's management account.",
    "ValidationException": "Check the account, permission set or group that the policy names.",
    "ServiceQuotaExceededException": "A quota of AWS is used up. Ask AWS to raise it, or end unused access.",
}
"""What people can do about an error of AWS."""


@dataclass(frozen=True)
class InstanceSettings:
    """Where the instance is: what an operator sets."""

    region: str
    instance_arn: str
    identity_store_id: str


@dataclass(frozen=True)
class SsoInstance:
    """An instance that can be called. Safe for threads."""

    settings: InstanceSettings
    admin: AwsCalls = field(repr=False)
    store: AwsCalls = field(repr=False)
    clock: Clock = field(default_factory=SystemClock, repr=False)

    @classmethod
    def open(
        cls, settings: InstanceSettings, *, pace: CallPace | None = None, clock: Clock | None = None
    ) -> SsoInstance:
        """Make the clients. Nothing is called yet; credentials are looked up at the first call."""
        pace = pace or CallPace()
        return cls(
            settings,
            AwsCalls(open_client("sso-admin", settings.region), pace, NAME, FIXES),
            AwsCalls(open_client("identitystore", settings.region), pace, "the identity store", FIXES),
            clock or SystemClock(),
        )

    def begin_step(self) -> SsoInstance:
        """The same instance, for one step: no call of it begins that could end after CALL_TIMEOUT."""
        return replace(self, admin=self.admin.within(CALL_TIMEOUT), store=self.store.within(CALL_TIMEOUT))

    @property
    def arn(self) -> str:
        """The instance's ARN."""
        return self.settings.instance_arn

    @property
    def identity_store_id(self) -> str:
        """The id of the directory behind the instance."""
        return self.settings.identity_store_id

    def find(self) -> dict[str, Any] | None:
        """What AWS says of this instance; None where these credentials see none in this region. Raises CallFailed."""
        start: dict[str, str] = {}
        while True:
            page = self.admin.read("list_instances", **start)
            for each in page.get("Instances", ()):
                if each.get("InstanceArn") == self.arn:
                    found: dict[str, Any] = each
                    return found
            if not page.get("NextToken"):
                return None
            start = {"NextToken": page["NextToken"]}

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self.admin.client.close()
        self.store.client.close()
