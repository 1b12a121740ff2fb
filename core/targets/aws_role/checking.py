"""Check an aws-role target before somebody needs it: can the role be assumed as it will be, and denied?

Invariant: nothing is given and nothing is written. The session that is tried denies everything, and is thrown away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from core.access.credentials import AssumeIntent
from core.clock import Clock
from core.policy.target_config import AwsRoleConfig
from core.targets.aws_calls import AwsCalls, CallFailed
from core.targets.aws_role.assume import FIXES, arguments_of
from core.targets.aws_role.clients import AwsClients
from core.targets.aws_role.deny import RoleDenies
from core.targets.aws_role.deny_policy import MAX_INLINE_CHARACTERS, ROOM_FOR_ALL
from core.targets.call_pace import CallPace
from core.targets.identity_center.checking import CheckOutcome, TargetFinding

ROOM_WANTED: Final = 10 * ROOM_FOR_ALL
"""Characters for a handful of denies at once; with fewer, one early end soon cuts everybody's credentials."""
_LIMIT: Final = timedelta(seconds=60)
_DENY_ALL: Final = {
    "Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
}  # fmt: skip


def check_role(name: str, config: AwsRoleConfig, clients: AwsClients, clock: Clock) -> Iterator[TargetFinding]:
    """What works, and what is missing."""
    yield from _check_assume(name, config, clients, clock)
    yield from _check_denies(config, clients, clock)


def _check_assume(name: str, config: AwsRoleConfig, clients: AwsClients, clock: Clock) -> Iterator[TargetFinding]:
    intent = AssumeIntent(
        source_identity="countersign-doctor", person_name="countersign-doctor", profile=name, request="doctor",
        rights_end_at=clock.now(),
    )  # fmt: skip
    # With the lease of the policy, because a role may allow less.
    arguments: dict[str, Any] = {**arguments_of(config, intent), "Policy": json.dumps(_DENY_ALL)}
    try:
        AwsCalls(clients.sts(config.region), CallPace(), "STS", FIXES).read("assume_role", **arguments)
    except CallFailed as failed:
        yield TargetFinding(CheckOutcome.PROBLEM, config.role, f"can't be assumed: {failed.problem}")
        return
    yield TargetFinding(
        CheckOutcome.FINE, config.role, "can be assumed with a source identity, tags and the policy's lease"
    )
    if config.external_id is None:
        return
    without = {key: value for key, value in arguments.items() if key != "ExternalId"}
    try:
        AwsCalls(clients.sts(config.region), CallPace(), "STS", FIXES).read("assume_role", **without)
    except CallFailed:
        return
    yield TargetFinding(
        CheckOutcome.PROBLEM, config.role, "can be assumed without the external id: its trust policy doesn't ask for it"
    )


def _check_denies(config: AwsRoleConfig, clients: AwsClients, clock: Clock) -> Iterator[TargetFinding]:
    through = f"through {config.revoker}" if config.revoker is not None else "with Countersign's own role"
    try:
        others = RoleDenies(clients, clock).measure(config, config.role, _LIMIT)
    except CallFailed as failed:
        text = f"access to it can't be ended early {through}: {failed.problem}"
        yield TargetFinding(CheckOutcome.PROBLEM, config.role, text)
        return
    yield TargetFinding(CheckOutcome.FINE, config.role, f"its inline policies can be read {through}")
    left = MAX_INLINE_CHARACTERS - others
    if left < ROOM_WANTED:
        yield TargetFinding(
            CheckOutcome.PROBLEM,
            config.role,
            f"its inline policies leave {left:,} of {MAX_INLINE_CHARACTERS:,} characters for denies: move some of them "
            "into managed policies",
        )
    yield TargetFinding(CheckOutcome.NOTE, config.role, "whether a deny can be written is only seen when one is")
