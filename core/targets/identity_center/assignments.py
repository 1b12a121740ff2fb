"""A permission set in an account, for a user: an account assignment.

Invariant: nothing is created before a list said that it is absent, because AWS has no idempotency token and makes
duplicates. What AWS reports as done is believed when a list shows it, too.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from core.access.right import Right
from core.targets.aws_calls import CallFailed, Trouble
from core.targets.aws_names import ACCOUNT_ID, PERMISSION_SET, STORE_ID
from core.targets.base import Absent, Given, Held, InProgress, Later, Polled, Seen, Taken, TargetRefused, Unknown
from core.targets.identity_center.instance import SsoInstance
from core.targets.identity_center.outstanding import Outstanding
from core.targets.identity_center.settling import Settling
from core.targets.words import one_line

CREATION: Final = "creation"
DELETION: Final = "deletion"
_CREATED: Final = "AccountAssignmentCreation"
_DELETED: Final = "AccountAssignmentDeletion"
_OUTSTANDING_PAUSE: Final = timedelta(seconds=5)


def is_assignment(right: Right) -> bool:
    """Whether the right is one for this module: an account, a permission set and a user."""
    is_account = ACCOUNT_ID.fullmatch(right.resource) is not None
    return is_account and bool(PERMISSION_SET.fullmatch(right.level)) and bool(STORE_ID.fullmatch(right.principal))


class Assignments:
    """Account assignments of one instance, for one step. What steps share is passed in."""

    def __init__(self, instance: SsoInstance, outstanding: Outstanding, settling: Settling) -> None:
        self._instance = instance
        self._admin = instance.admin
        self._outstanding = outstanding
        self._settling = settling

    def inspect(self, right: Right) -> Seen:
        """Whether AWS lists the assignment now."""
        try:
            return Held() if self._is_listed(right) else Absent()
        except CallFailed as failed:
            return self._not_found(failed) if failed.trouble is Trouble.NOT_FOUND else failed.answer()

    def give(self, right: Right) -> Given:
        """Create the assignment, unless a list shows it."""
        found = self.inspect(right)
        if isinstance(found, Held):
            return Held(stood_before=True)
        if not isinstance(found, Absent):
            return found
        ticket = str(right)
        if not self._outstanding.begin(ticket, self._instance.clock.now()):
            problem = "Identity Center is still working on other assignments"
            return Later(_OUTSTANDING_PAUSE, problem=problem)
        try:
            answer = self._admin.write("create_account_assignment", **self._parameters(right))
        except CallFailed as failed:
            if failed.trouble is not Trouble.LOST:
                self._outstanding.end(ticket)
            return failed.answer()
        status = answer.get(f"{_CREATED}Status", {})
        token = f"{CREATION}:{status.get('RequestId', '')}"
        self._outstanding.rename(ticket, token)
        judged = self._judge(status, token)
        return InProgress(token) if isinstance(judged, Absent) else judged

    def take(self, right: Right) -> Taken:
        """Delete the assignment. One that AWS doesn't find is absent when a list agrees."""
        try:
            answer = self._admin.write("delete_account_assignment", **self._parameters(right))
        except CallFailed as failed:
            if failed.trouble is Trouble.NOT_FOUND:
                return self._confirm_absence(right, failed)
            return failed.answer()
        status = answer.get(f"{_DELETED}Status", {})
        token = f"{DELETION}:{status.get('RequestId', '')}"
        judged = self._judge(status, token)
        return InProgress(token) if isinstance(judged, Held) else judged

    def poll(self, token: str) -> Polled:
        """How the creation or deletion of this token stands."""
        kind, _, request_id = token.partition(":")
        name = _CREATED if kind == CREATION else _DELETED
        snake = "creation" if kind == CREATION else "deletion"
        arguments = {"InstanceArn": self._instance.arn, f"{name}RequestId": request_id}
        try:
            answer = self._admin.read(f"describe_account_assignment_{snake}_status", **arguments)
        except CallFailed as failed:
            if failed.trouble is Trouble.NOT_FOUND:
                self._outstanding.end(token)
                return Unknown("Identity Center no longer knows this operation", is_forgotten=True)
            return failed.answer()
        return self._judge(answer.get(f"{name}Status", {}), token)

    def _judge(self, status: dict[str, Any], token: str) -> Polled:
        """What an operation's status means, with the list's word where it succeeded."""
        match status.get("Status"):
            case "IN_PROGRESS":
                return InProgress(token)
            case "FAILED":
                self._outstanding.end(token)
                reason = one_line(status.get("FailureReason")) or "it gave no reason"
                return TargetRefused(f"Identity Center could not do it: {reason}")
            case "SUCCEEDED":
                self._outstanding.end(token)
                return self._confirm(status, token)
            case _:
                return Unknown("Identity Center answered with a status that Countersign doesn't know")

    def _confirm(self, status: dict[str, Any], token: str) -> Polled:
        right = _right_of(status)
        if right is None:
            return Unknown("Identity Center didn't say which assignment this was")
        try:
            is_listed = self._is_listed(right)
        except CallFailed as failed:
            if failed.trouble is Trouble.NOT_FOUND:
                return self._not_found(failed)
            # The operation ended; only the look is missing, and the token leads back to it.
            return InProgress(token)
        if is_listed == token.startswith(CREATION):
            self._settling.forget(token)
        elif not self._settling.is_over(token):
            return InProgress(token)
        return Held() if is_listed else Absent()

    def _confirm_absence(self, right: Right, failed: CallFailed) -> Taken:
        """AWS says "not found" for a missing assignment, permission set and instance alike: find out which."""
        found = self.inspect(right)
        if isinstance(found, Held):
            problem = "Identity Center lists the assignment, but doesn't find it to delete it yet"
            return Later(failed.after, problem=problem)
        return found

    def _not_found(self, failed: CallFailed) -> Absent | Later | TargetRefused | Unknown:
        """The list itself was not found. Nobody holds anything in what doesn't exist, if the instance does."""
        try:
            if self._instance.find() is not None:
                return Absent()
        except CallFailed as unreachable:
            return unreachable.answer()
        return TargetRefused(
            f"{failed.problem}. There is no instance {self._instance.arn} in {self._instance.settings.region}. "
            "Check the region and the instance that Countersign is set up with."
        )

    def _is_listed(self, right: Right) -> bool:
        arguments = {"InstanceArn": self._instance.arn, "AccountId": right.resource, "PermissionSetArn": right.level}
        while True:
            page = self._admin.read("list_account_assignments", MaxResults=100, **arguments)
            for each in page.get("AccountAssignments", ()):
                if each.get("PrincipalType") == "USER" and each.get("PrincipalId") == right.principal:
                    return True
            if not page.get("NextToken"):
                return False
            arguments["NextToken"] = page["NextToken"]

    def _parameters(self, right: Right) -> dict[str, str]:
        return {
            "InstanceArn": self._instance.arn,
            "TargetId": right.resource,
            "TargetType": "AWS_ACCOUNT",
            "PermissionSetArn": right.level,
            "PrincipalType": "USER",
            "PrincipalId": right.principal,
        }


def _right_of(status: dict[str, Any]) -> Right | None:
    parts = [status.get(name) for name in ("TargetId", "PermissionSetArn", "PrincipalId")]
    if not all(isinstance(part, str) and part for part in parts):
        return None
    account, permission_set, principal = (str(part) for part in parts)
    return Right(target="identity-center", resource=account, level=permission_set, principal=principal)
