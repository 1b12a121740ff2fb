"""The pretend IAM: the inline policies of roles in the caller's own account.

Invariant: a role's inline policies have at most 10,240 characters together, white space not counted ("IAM and STS
quotas").
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from playground.pretend_aws.authorization import PretendRequest
from playground.pretend_aws.faults import PretendAwsError
from playground.pretend_aws.policy_document import read_policy
from playground.pretend_aws.query_protocol import Parameters
from playground.pretend_aws.state import Policies, PretendRole

MAX_INLINE_CHARACTERS: Final = 10_240
_PAGE: Final = 100
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


def put_role_policy(request: PretendRequest, given: Parameters) -> Parameters:
    """Write an inline policy over what has its name."""
    role = _open_role(request, "iam:PutRolePolicy", given)
    read_policy(given["PolicyDocument"])
    policies = {**role.written, given["PolicyName"]: given["PolicyDocument"]}
    if sum(_count(text) for text in policies.values()) > MAX_INLINE_CHARACTERS:
        message = f"Maximum policy size of {MAX_INLINE_CHARACTERS} bytes exceeded for role {role.name}"
        raise PretendAwsError("LimitExceeded", message, _CONFLICT)
    _write(request, role, policies)
    return {}


def get_role_policy(request: PretendRequest, given: Parameters) -> Parameters:
    """An inline policy; its document is percent-encoded (RFC 3986), as AWS sends it."""
    role = _open_role(request, "iam:GetRolePolicy", given)
    text = _find_policy(role, given["PolicyName"])
    return {"RoleName": role.name, "PolicyName": given["PolicyName"], "PolicyDocument": quote(text, safe="")}


def list_role_policies(request: PretendRequest, given: Parameters) -> Parameters:
    """The names of the inline policies, in pages."""
    role = _open_role(request, "iam:ListRolePolicies", given)
    names = [each for each in sorted(role.written) if each > given.get("Marker", "")]
    page = names[: given.get("MaxItems", _PAGE)]
    more = {"Marker": page[-1]} if len(page) < len(names) else {}
    return {"PolicyNames": page, "IsTruncated": bool(more), **more}


def delete_role_policy(request: PretendRequest, given: Parameters) -> Parameters:
    """Remove an inline policy. Rule: one that isn't there is NoSuchEntity."""
    role = _open_role(request, "iam:DeleteRolePolicy", given)
    _find_policy(role, given["PolicyName"])
    _write(request, role, {name: text for name, text in role.written.items() if name != given["PolicyName"]})
    return {}


def get_role(request: PretendRequest, given: Parameters) -> Parameters:
    """A role and its trust policy."""
    role = _open_role(request, "iam:GetRole", given)
    shown = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.created_at,
        "AssumeRolePolicyDocument": quote(role.trust, safe=""),
        "MaxSessionDuration": role.max_session_seconds,
        "RoleLastUsed": {},
    }
    return {"Role": shown}


def _open_role(request: PretendRequest, action: str, given: Parameters) -> PretendRole:
    # Rule: IAM's actions name a role without an account; it is always the caller's own.
    account, name = request.caller.account, given["RoleName"]
    role = next((each for each in request.cloud.roles.values() if (each.account, each.name) == (account, name)), None)
    request.check(action, role.arn if role is not None else f"arn:aws:iam::{account}:role/{name}")
    if role is None:
        raise PretendAwsError("NoSuchEntity", f"The role with name {name} cannot be found.", _NOT_FOUND)
    return role


def _find_policy(role: PretendRole, name: str) -> str:
    if name not in role.written:
        raise PretendAwsError("NoSuchEntity", f"The role policy with name {name} cannot be found.", _NOT_FOUND)
    return role.written[name]


def _write(request: PretendRequest, role: PretendRole, policies: Policies) -> None:
    request.cloud.roles[role.arn] = role.write(policies, request.now, request.delay)


def _count(text: str) -> int:
    return sum(not each.isspace() for each in text)
