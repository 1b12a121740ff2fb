"""The IAM documents that an aws-role target needs: trust policies, identity policies, and an example of an SCP.

Invariant: pure. Each allows what Countersign calls, on the roles that the policy names, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import JsonValue

from core.policy.target_config import AnyTargetConfig, AwsRoleConfig
from core.targets.aws_role.names import SOURCE_IDENTITIES

Document = dict[str, JsonValue]
_ASSUME: Final = ("sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession")
_EXAMPLE_ACTIONS: Final = ("iam:*", "kms:*", "rds:Delete*")
_EDIT: Final = ("iam:DeleteRolePolicy", "iam:GetRolePolicy", "iam:ListRolePolicies", "iam:PutRolePolicy")


def find_roles(targets: Mapping[str, AnyTargetConfig]) -> dict[str, AwsRoleConfig]:
    """The aws-role targets among these, by their names."""
    return {name: config for name, config in targets.items() if isinstance(config, AwsRoleConfig)}


def trust_policy(config: AwsRoleConfig, broker: str) -> Document:
    """What the target's role needs as its trust policy; `broker` is the ARN of the role that issues credentials."""
    condition: Document = {"StringLike": {"sts:SourceIdentity": SOURCE_IDENTITIES}}
    return _document(_trust(broker, _ASSUME, condition | _with_external_id(config)))


def revoker_trust_policy(config: AwsRoleConfig, server: str) -> Document:
    """What the revoker needs as its trust policy; `server` is the ARN of the role of `countersign serve`."""
    return _document(_trust(server, ("sts:AssumeRole",), _with_external_id(config)))


def revoker_policy(roles: Iterable[AwsRoleConfig]) -> Document:
    """What edits the roles' inline policies: the revoker's identity policy, or the server's own where there is none."""
    arns = sorted({each.role for each in roles})
    return _document({"Sid": "EndAccessEarly", "Effect": "Allow", "Action": list(_EDIT), "Resource": list(arns)})


def broker_policy(roles: Iterable[AwsRoleConfig]) -> Document:
    """What issues credentials: the identity policy of `countersign broker`, or of `serve` where that issues them."""
    arns = sorted({each.role for each in roles})
    return _document(
        {
            "Sid": "IssueCredentials",
            "Effect": "Allow",
            "Action": list(_ASSUME),
            "Resource": list(arns),
            "Condition": {"StringLike": {"sts:SourceIdentity": SOURCE_IDENTITIES}},
        }
    )


def server_policy(roles: Iterable[AwsRoleConfig]) -> Document:
    """What ends access early: the identity policy of `countersign serve`."""
    roles = tuple(roles)
    revokers = sorted({each.revoker for each in roles if each.revoker is not None})
    own = [each for each in roles if each.revoker is None]
    statements: list[Document] = []
    if revokers:
        statements.append(
            {"Sid": "BecomeRevoker", "Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": list(revokers)}
        )
    if own:
        arns = sorted({each.role for each in own})
        statements.append({"Sid": "EndAccessEarly", "Effect": "Allow", "Action": list(_EDIT), "Resource": list(arns)})
    return _document(*statements)


def example_scp(
    roles: Iterable[AwsRoleConfig], actions: Iterable[str] = _EXAMPLE_ACTIONS, spared: Iterable[str] = ()
) -> Document:
    """An example: these roles are assumed through Countersign only, and these actions need its credentials.

    `spared` are ARNs of other roles that may do them, such as Countersign's own and those of pipelines.
    """
    roles = tuple(roles)
    arns = sorted({each.role for each in roles})
    others = sorted({each.revoker for each in roles if each.revoker is not None} | set(spared))
    with_others: Document = {"ArnNotLike": {"aws:PrincipalArn": list(others)}} if others else {}
    return _document(
        {
            "Sid": "RolesOnlyThroughCountersign",
            "Effect": "Deny",
            "Action": ["sts:AssumeRole"],
            "Resource": list(arns),
            "Condition": {"StringNotLike": {"sts:SourceIdentity": SOURCE_IDENTITIES}},
        },
        {
            "Sid": "OnlyWithApproval",
            "Effect": "Deny",
            "Action": list(actions),
            "Resource": "*",
            "Condition": {"StringNotLike": {"aws:SourceIdentity": SOURCE_IDENTITIES}, **with_others},
        },
    )


def _trust(who: str, actions: Iterable[str], condition: Document) -> Document:
    statement: Document = {"Effect": "Allow", "Principal": {"AWS": who}, "Action": list(actions)}
    return {**statement, "Condition": condition} if condition else statement


def _with_external_id(config: AwsRoleConfig) -> Document:
    return {"StringEquals": {"sts:ExternalId": config.external_id}} if config.external_id is not None else {}


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}
