"""What the security channel gets each month, as the policy file says it.

Invariant: nothing is sent that the policy doesn't ask for, and nothing here gives anybody a right.
"""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StrictBool, StrictStr

from core.policy.document import PolicyModel, mistake


def check_zone(name: str) -> str:
    """The name, if it is that of a time zone."""
    try:
        ZoneInfo(name)
    # What isn't known is a KeyError; a name that leads elsewhere, or to a folder, the others.
    except (KeyError, ValueError, OSError) as error:
        fix = "Write one like Europe/Berlin or UTC."
        raise mistake(f"{name!r:.60} is not the name of a time zone", fix) from error
    return name


class SummaryConfig(PolicyModel):
    """The monthly summary in the security channel."""

    monthly: StrictBool = Field(
        default=False, description="Whether each month is summarised in the security channel; false if left out."
    )
    picture: StrictBool = Field(
        default=True,
        description="Whether it has a picture, which needs the scope files:write; true if left out. Without the scope, "
        "it has none.",
    )
    timezone: Annotated[StrictStr, AfterValidator(check_zone)] = Field(
        default="UTC", description="The time zone in which a month begins; UTC if left out."
    )

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.timezone)
