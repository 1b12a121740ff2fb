"""Open the targets that are called by the SDK of AWS, and ask them who people are.

Invariant: importing this loads the SDK, which takes half a second. It is imported when such a target is used.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from botocore.exceptions import BotoCoreError

from core.access.principals import SoughtPerson
from core.clock import Clock
from core.errors import InvalidInput
from core.policy.target_config import IdentityCenterConfig, LambdaConfig
from core.targets.aws_lambda import LambdaTarget
from core.targets.base import Later, Target, TargetRefused
from core.targets.call_pace import CallPace
from core.targets.identity_center.instance import InstanceSettings, SsoInstance
from core.targets.identity_center.people import resolve_person
from core.targets.identity_center.target import IdentityCenter
from core.targets.principal_lookup import Found
from core.targets.standing_in import UnopenedTarget


def open_aws(config: IdentityCenterConfig | LambdaConfig, clock: Clock) -> Target:
    """The target of this configuration. Raises InvalidInput."""
    try:
        if isinstance(config, IdentityCenterConfig):
            settings = InstanceSettings(config.region, config.instance, config.identity_store)
            return IdentityCenter(SsoInstance.open(settings, clock=clock))
        residual = config.residual or timedelta(0)
        return LambdaTarget.open(config.region, config.function, ends_sessions=config.ends_sessions, residual=residual)
    except BotoCoreError as error:
        problem = f"the SDK of AWS can't be set up ({type(error).__name__})"
        raise InvalidInput("target", problem, "Check the region, and the SDK's own settings.") from error


def find_user(target: Target, sought: SoughtPerson, pace: CallPace) -> Found:
    """What Identity Center calls this person; asks at this pace."""
    if isinstance(target, UnopenedTarget):
        return Later(problem=target.problem)
    if not isinstance(target, IdentityCenter):
        return sought.mapped or sought.slack_id
    instance = replace(target.instance, store=replace(target.instance.store, pace=pace))
    found = resolve_person(instance, sought)
    return found if isinstance(found, TargetRefused | Later) else found.user_id
