"""Which Slack user groups decide, and so who else does: the people who may edit them.

Invariant: Slack has no method that says who may edit user groups, so this says how to look it up, and never that it is
right.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.doctor.finding import CheckResult, note
from core.policy import Policy
from core.policy.deciding_groups import find_deciding_groups

_FIX: Final = (
    "Slack doesn't tell apps who may. Look in Slack under Admin, Workspace settings, Roles & permissions, "
    '"Create and edit user groups": the default is owners and admins. Or name people by their ids in the policy.'
)
"""https://slack.com/help/articles/115004952926"""


def check_deciding_groups(policy: Policy) -> Iterator[CheckResult]:
    """Name the groups whose members decide. Always worth knowing, never fine."""
    for group, roles in sorted(find_deciding_groups(policy.document).items()):
        yield note(f"user group {group}: anyone who may edit it in Slack decides ({', '.join(roles)})", _FIX)
