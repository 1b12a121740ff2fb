"""The policy that `countersign init` writes: one profile, who approves, and break-glass for the approvers.

Invariant: the text is a valid policy, whatever the names are: of Slack's texts, only ids are in it, but for comments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.doctor.slack_names import Named, Place

_SHOWN: Final = re.compile(r"[^\w .@#-]")
_MAX_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class FirstPolicy:
    """What was chosen. `operator` is the person who runs the command."""

    profile: str
    channel: Place
    approvers: Sequence[Named]
    operator: Named | None = None
    security: Place | None = None

    def write(self) -> str:
        """The policy file."""
        return "\n".join([*_HEAD, *self._people(), *self._rules(), ""])

    def _people(self) -> list[str]:
        comment = _comment(*(each.label for each in self.approvers))
        lines = ["groups:", f"  approvers: [{', '.join(each.id for each in self.approvers)}]  # {comment}"]
        if self.operator is not None:
            admins = f"admins: [{self.operator.id}]  # {_comment(self.operator.label)}"
            lines = ["# May see and end all access.", admins, "", *lines]
        if self.security is not None:
            told = f"security_channel: {self.security.id}  # {_comment('#' + self.security.name)}"
            return [*lines, "", "# For refused break-glass, escalations and overdue reviews.", told]
        return [
            *lines,
            "",
            "# For refused break-glass, escalations and overdue reviews:",
            "# security_channel: C0SECURITY",
        ]

    def _rules(self) -> list[str]:
        profile, channel = self.profile, self.channel
        return [
            "",
            "# What people can request, and the channel in which it is decided.",
            "profiles:",
            f'  "{profile}":',
            "    description: Production",
            f"    channel: {channel.id}  # {_comment('#' + channel.name if channel.name else channel.id)}",
            "",
            "# The first rule that covers the profile and the requester decides.",
            "approval:",
            "  - name: first",
            f'    profiles: ["{profile}"]',
            "    # Without `requesters`, every full member of the workspace may request it.",
            "    approvers: [group:approvers]",
            "    max_duration: 4h",
            "    # required_approvals: 2",
            "",
            "# In an emergency: access at once, a loud card, and a review afterwards.",
            "break_glass:",
            "  - name: emergency",
            f'    profiles: ["{profile}"]',
            "    users: [group:approvers]",
            "    allowed_reason_codes: [incident, security, recovery]",
            "    max_duration: 1h",
            "    review_within: 2d",
            "    # mfa: required   # first: countersign mfa enrol U0AB12CD3, for each of them",
        ]


_HEAD: Final = (
    "# Written by `countersign init`: a beginning, to be changed. docs/policy.md describes every key.",
    "# Check it with `countersign policy check policy.yml`. What no rule allows is refused.",
    "version: 1",
    "",
)


def _comment(*texts: str) -> str:
    return _SHOWN.sub("", ", ".join(each.replace(",", " ") for each in texts))[:_MAX_SHOWN]
