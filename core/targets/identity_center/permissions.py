"""The least that Countersign's role needs in IAM to use Identity Center.

Invariant: pure. `deploy/iam-policy.identity-center.json` is what this makes, and the tests allow no call besides it.
"""

from __future__ import annotations

from typing import Any, Final

_ASSIGNMENTS: Final = ("CreateAccountAssignment", "DeleteAccountAssignment", "ListAccountAssignments")
_STATUS: Final = ("DescribeAccountAssignmentCreationStatus", "DescribeAccountAssignmentDeletionStatus")
_PEOPLE: Final = ("DescribeUser", "GetUserId")
_GROUPS: Final = ("CreateGroupMembership", "DeleteGroupMembership", "GetGroupMembershipId")
_INSTANCE: Final = "arn:aws:sso:::instance/INSTANCE_ID"
_PERMISSION_SET: Final = "arn:aws:sso:::permissionSet/INSTANCE_ID/PERMISSION_SET_ID"
_STORE: Final = "arn:aws:identitystore::MANAGEMENT_ACCOUNT_ID:identitystore/IDENTITY_STORE_ID"
_USERS: Final = "arn:aws:identitystore:::user/*"


def identity_center_policy() -> dict[str, Any]:
    """The IAM policy, with placeholders for a person to replace. Name each permission set and account that is used."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            _statement(
                "ChangeAssignments",
                "sso",
                _ASSIGNMENTS,
                [_INSTANCE, _PERMISSION_SET, "arn:aws:sso:::account/ACCOUNT_ID"],
            ),
            _statement("FollowAssignments", "sso", _STATUS, [_INSTANCE]),
            _statement("ReadPermissionSets", "sso", ("DescribePermissionSet",), [_INSTANCE, _PERMISSION_SET]),
            # IAM can't restrict this one: it lists what there is.
            _statement("FindTheInstance", "sso", ("ListInstances",), ["*"]),
            _statement("FindPeople", "identitystore", _PEOPLE, [_STORE, _USERS]),
            _statement(
                "ChangeGroups",
                "identitystore",
                _GROUPS,
                [_STORE, _USERS, "arn:aws:identitystore:::group/GROUP_ID", "arn:aws:identitystore:::membership/*"],
            ),
        ],
    }


def _statement(sid: str, service: str, actions: tuple[str, ...], resources: list[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"{service}:{each}" for each in actions],
        "Resource": resources,
    }
