"""What every rule has: a name, the profiles it covers, and whether it asks for an MFA code.

Invariant: a rule covers a profile by the profile's whole name. Case matters.
"""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase

from pydantic import Field

from core.policy.document import Name, PolicyModel
from core.policy.rule_fields import Patterns


def is_covered(profile: str, pattern: str) -> bool:
    """True when the pattern matches the profile's whole name. Case matters."""
    return fnmatchcase(profile, pattern)


class Mfa(StrEnum):
    """Whether a rule asks for an MFA code."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Rule(PolicyModel):
    """What all rules have: a name, and the profiles they cover."""

    name: Name = Field(description="Shown in decisions and in the audit trail. Unique among the rules of its list.")
    profiles: Patterns = Field(description="Names of profiles, or patterns with * and ?.")

    def covers(self, profile: str) -> bool:
        """True when one of the patterns matches the profile's whole name. Case matters."""
        return any(is_covered(profile, pattern) for pattern in self.profiles)
