"""What a target's configuration says to people: how to use what is open there, and how to remove it by hand.

Invariant: pure. A command is written only for a right that is exactly what its target makes, so that it can be pasted
into a shell as it stands; anything else is shown as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bot.views.access.alarms import ByHand
from bot.views.access.way_in import PortalLink, SsoLogin, WayIn
from core.access.right import Right
from core.access.summary import AccessSummary
from core.policy.target_config import AnyTargetConfig, AwsRoleConfig, IdentityCenterConfig
from core.targets.aws_names import ACCOUNT_ID, MEMBER, PERMISSION_SET, STORE_ID

_PORTAL_NAME: Final = "AWS access portal"


def find_way_in(targets: Mapping[str, AnyTargetConfig], access: AccessSummary) -> WayIn | None:
    """How to use what is open; None when the policy's targets say nothing of it."""
    rights = [each.right for each in access.open_rights]
    named = {right.target: targets[right.target] for right in rights if right.target in targets}
    portals = tuple(_portal(name, config) for name, config in named.items() if config.portal is not None)
    sso = _sso(named, rights, access.profile)
    role_of = access.profile if any(isinstance(config, AwsRoleConfig) for config in named.values()) else None
    return WayIn(portals, sso, role_of) if portals or sso is not None or role_of is not None else None


def by_hand(targets: Mapping[str, AnyTargetConfig], right: Right) -> ByHand:
    """How this right is removed without Countersign."""
    config = targets.get(right.target)
    if not isinstance(config, IdentityCenterConfig):
        return ByHand(right)
    page = f"https://{config.region}.console.aws.amazon.com/singlesignon/home?region={config.region}"
    # The consoles of China and of GovCloud are elsewhere.
    console = page if config.instance.startswith("arn:aws:") else None
    return ByHand(right, console, _command(config, right))


def _portal(name: str, config: AnyTargetConfig) -> PortalLink:
    text = _PORTAL_NAME if isinstance(config, IdentityCenterConfig) else name
    return PortalLink(f"Open {text}" if text == name else f"Open the {text}", config.portal or "")


def _sso(named: Mapping[str, AnyTargetConfig], rights: Sequence[Right], profile: str) -> SsoLogin | None:
    centers = [(name, config) for name, config in named.items() if isinstance(config, IdentityCenterConfig)]
    if len(centers) != 1:
        # The commands sign in to one instance.
        return None
    ((name, config),) = centers
    resources = [right.resource for right in rights if right.target == name]
    accounts = tuple(dict.fromkeys(each for each in resources if ACCOUNT_ID.fullmatch(each)))
    return SsoLogin(profile, config.region, accounts, config.portal)


def _command(config: IdentityCenterConfig, right: Right) -> str | None:
    if STORE_ID.fullmatch(right.principal) is None:
        return None
    if right.level == MEMBER and STORE_ID.fullmatch(right.resource):
        store = f"--region {config.region} --identity-store-id {config.identity_store}"
        find = (
            f"aws identitystore get-group-membership-id {store} --group-id {right.resource} "
            f"--member-id UserId={right.principal} --query MembershipId --output text"
        )
        return f'aws identitystore delete-group-membership {store} --membership-id "$({find})"'
    if ACCOUNT_ID.fullmatch(right.resource) and PERMISSION_SET.fullmatch(right.level):
        return (
            f"aws sso-admin delete-account-assignment --region {config.region} --instance-arn {config.instance} "
            f"--target-type AWS_ACCOUNT --target-id {right.resource} --permission-set-arn {right.level} "
            f"--principal-type USER --principal-id {right.principal}"
        )
    return None
