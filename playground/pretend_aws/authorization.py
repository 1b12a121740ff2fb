"""Whether a caller may do something: role policies, session policy and service control policies together.

Invariant: a session never has more than its role and its session policy both allow at this moment, and a deny anywhere
wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import format_time
from playground.pretend_aws.conditions import Context
from playground.pretend_aws.faults import access_denied
from playground.pretend_aws.policy_document import PolicyCall, PolicyVerdict, judge
from playground.pretend_aws.state import Policies, PretendCaller, PretendCloud


@dataclass(frozen=True, slots=True)
class PretendRequest:
    """One authenticated request: who makes it, when, and where it was sent."""

    caller: PretendCaller
    cloud: PretendCloud
    now: datetime
    region: str
    delay: timedelta
    """How long a change of a role's policies takes to reach decisions."""

    def context(self, **more: str | tuple[str, ...]) -> Context:
        """The keys that conditions can read ("AWS global condition context keys")."""
        caller = self.caller
        context: dict[str, str | tuple[str, ...]] = {
            "aws:currenttime": format_time(self.now),
            "aws:epochtime": str(int(self.now.timestamp())),
            "aws:requestedregion": self.region,
            "aws:principalarn": caller.role or caller.arn,
            "aws:principalaccount": caller.account,
            "aws:principaltype": "AssumedRole" if caller.role else "User",
            "aws:userid": caller.user_id,
            "aws:securetransport": "false",
        }
        if caller.role is not None:
            # Rule: present only with temporary credentials.
            context["aws:tokenissuetime"] = format_time(caller.issued_at)
        if caller.source_identity is not None:
            # Rule ("Monitor and control actions taken with assumed roles"): in every request of the session.
            context["aws:sourceidentity"] = caller.source_identity
        context |= {f"aws:principaltag/{key.lower()}": value for key, value in caller.tags.items()}
        context |= more
        return {key.lower(): (value,) if isinstance(value, str) else value for key, value in context.items()}

    def check(self, action: str, resource: str = "*", **more: str | tuple[str, ...]) -> None:
        """Refuse what the caller may not do, in AWS's words ("Troubleshoot access denied error messages")."""
        call = PolicyCall(action, resource, self.context(**more))
        named = "" if resource == "*" else resource
        service_policy = self.cloud.control_policies.get(self.caller.account)
        documents = {
            # Rule: an SCP grants nothing; what it doesn't allow, nobody in the account may.
            "a service control policy": None if service_policy is None else [service_policy],
            "an identity-based policy": list(self._own_policies().values()),
            # Rule (AssumeRole, "Session policies"): the intersection of the role's policies and the session's.
            "a session policy": None if self.caller.session_policy is None else [self.caller.session_policy],
        }
        verdicts = {name: judge(texts, call) for name, texts in documents.items() if texts is not None}
        for name, verdict in verdicts.items():
            if verdict is PolicyVerdict.DENIED:
                raise access_denied(self.caller.arn, action, named, f"with an explicit deny in {name}")
        for name, verdict in verdicts.items():
            if verdict is PolicyVerdict.SILENT:
                kind = name.partition(" ")[2]
                raise access_denied(self.caller.arn, action, named, f"because no {kind} allows the {action} action")

    def _own_policies(self) -> Policies:
        if self.caller.role is None:
            return self.caller.user_policies
        role = self.cloud.roles.get(self.caller.role)
        # Sessions of a role that was deleted keep nothing.
        return {} if role is None else role.in_effect(self.now, self.delay)
