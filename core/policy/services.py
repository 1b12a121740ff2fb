"""The policy file's words for machines: how long a paired device lives, and which services act, for whom, on what.

Invariant: a service has an owner, who is one person, and a list of profiles; it gets nothing that isn't listed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StrictStr, WithJsonSchema

from core import request
from core.access.device import DEFAULT_MAX_AGE, LONGEST_AGE, SHORTEST_AGE
from core.actor import ServiceName, check_service_name
from core.duration import format_duration
from core.errors import InvalidInput
from core.policy.document import Name, PolicyModel, duration_rule, mistake
from core.policy.rule_fields import RequestDuration, UserField

SERVICE_DURATION: Final = request.DEFAULT_DURATION
_SERVICE_SCHEMA: Final = "^[a-z0-9][a-z0-9._-]{0,39}$"


def _check_service(text: str) -> ServiceName:
    try:
        return check_service_name(text)
    except InvalidInput as error:
        raise mistake(error.problem, error.fix) from error


def _check_age(age: timedelta) -> timedelta:
    if age < SHORTEST_AGE:
        raise mistake(
            f"{format_duration(age)} is too short: people would pair all day",
            f"Write {format_duration(SHORTEST_AGE)} to {format_duration(LONGEST_AGE)}.",
        )
    return age


ServiceField = Annotated[
    StrictStr, AfterValidator(_check_service), WithJsonSchema({"type": "string", "pattern": _SERVICE_SCHEMA})
]
DeviceAge = Annotated[timedelta, *duration_rule(LONGEST_AGE), AfterValidator(_check_age)]


class DeviceConfig(PolicyModel):
    """What holds for paired terminals."""

    max_age: DeviceAge = Field(
        default=DEFAULT_MAX_AGE,
        description="How long a pairing lasts, 15m to 12h; 12h if left out. A shorter one ends older pairings too.",
    )


class ServiceConfig(PolicyModel):
    """A machine that asks for access on its own, such as a pipeline or an agent."""

    owner: UserField = Field(description="The Slack user id of the person who answers for it, and pairs its devices.")
    may: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        description="The profiles it may request, as far as its owner may: names, no patterns."
    )
    max_duration: RequestDuration = Field(
        default=SERVICE_DURATION, description="The longest access that it may request; 1h if left out."
    )
