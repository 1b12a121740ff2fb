"""The IAM policy for Identity Center, with the accounts, permission sets and groups that the policy file names.

Invariant: pure. It allows nothing that the policy file doesn't use; what the file can't know stays a placeholder.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from core.errors import InvalidInput
from core.policy import Policy
from core.policy.target_config import IdentityCenterConfig
from core.targets.identity_center.permissions import identity_center_policy

MANAGEMENT_ACCOUNT: Final = "MANAGEMENT_ACCOUNT_ID"
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_CHANGE_GROUPS: Final = "ChangeGroups"
_ASSIGN: Final = "ChangeAssignments"


def make_iam_policy(policy: Policy, name: str | None, management_account: str | None) -> dict[str, Any]:
    """The IAM policy for one target. Raises InvalidInput when the policy file has none, or several to choose from."""
    if management_account is not None and not _ACCOUNT.fullmatch(management_account):
        raise InvalidInput(
            "management-account", f"{management_account!r:.60} is not an AWS account id", "Write its 12 digits."
        )
    config, name = _choose(policy, name)
    entries = [each for profile in policy.document.profiles.values() for each in profile.access or ()]
    used = [each for each in entries if each.target == name]
    accounts = sorted({each.account for each in used if each.account is not None})
    permission_sets = sorted({each.permission_set for each in used if each.permission_set is not None})
    groups = sorted({each.group for each in used if each.group is not None})
    partition = config.instance.split(":")[1]
    lists = {
        "arn:aws:sso:::instance/INSTANCE_ID": [config.instance],
        "arn:aws:sso:::permissionSet/INSTANCE_ID/PERMISSION_SET_ID": permission_sets,
        "arn:aws:sso:::account/ACCOUNT_ID": [f"arn:{partition}:sso:::account/{each}" for each in accounts],
        "arn:aws:identitystore:::group/GROUP_ID": [f"arn:{partition}:identitystore:::group/{each}" for each in groups],
    }
    document = identity_center_policy()
    unused = {*(() if groups else (_CHANGE_GROUPS,)), *(() if permission_sets else (_ASSIGN,))}
    document["Statement"] = [each for each in document["Statement"] if each["Sid"] not in unused]
    for statement in document["Statement"]:
        resources = [found for each in statement["Resource"] for found in lists.get(each, [each])]
        statement["Resource"] = [each.replace("arn:aws:", f"arn:{partition}:", 1) for each in resources]
    text = json.dumps(document).replace("IDENTITY_STORE_ID", config.identity_store)
    return dict(json.loads(text.replace(MANAGEMENT_ACCOUNT, management_account or MANAGEMENT_ACCOUNT)))


def _choose(policy: Policy, name: str | None) -> tuple[IdentityCenterConfig, str]:
    found = {each: config for each, config in policy.targets.items() if isinstance(config, IdentityCenterConfig)}
    names = ", ".join(sorted(found)) or "none"
    if name is None and len(found) == 1:
        name = next(iter(found))
    config = found.get(name or "")
    if config is None or name is None:
        problem = f"the policy has no Identity Center target {name!r:.60}" if name else "which target isn't clear"
        raise InvalidInput("target", problem, f"Use --target with one of: {names}.")
    return config, name
