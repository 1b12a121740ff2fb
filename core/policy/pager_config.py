"""What the policy file says about paging: where approvers are paged, and with which keys.

Invariant: the file never contains a key. It names a variable or a file instead. A pager gives nobody a right.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StrictBool, StrictStr, WithJsonSchema, model_validator

from core.policy.document import PolicyModel, mistake
from core.policy.target_config import SecretSource, matches

PAGERDUTY: Final = "pagerduty"
INCIDENT_IO: Final = "incident_io"
DEMO_PAGER: Final = "demo"
_ALERT_SOURCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

AlertSourceId = Annotated[
    StrictStr,
    matches(
        _ALERT_SOURCE,
        "is not the id of an alert source",
        "Copy it from the HTTP alert source in incident.io: it is the last part of the source's URL.",
    ),
    WithJsonSchema({"type": "string", "pattern": f"^{_ALERT_SOURCE.pattern}$"}),
]


class PagerDutyEventsConfig(PolicyModel):
    """A service in PagerDuty, with an Events API v2 integration."""

    routing_key: SecretSource = Field(
        description="Where the integration key of the service is: env:NAME or file:/path. Never the key itself."
    )
    key: SecretSource | None = Field(
        default=None,
        description="Where a read-only REST API key is, to show on cards who acknowledged a page. Left out: not shown.",
    )
    region: Literal["us", "eu"] = Field(default="us", description="The account's service region; us if left out.")


class IncidentIoAlertsConfig(PolicyModel):
    """An HTTP alert source in incident.io."""

    alert_source: AlertSourceId = Field(description="The alert source's id, the last part of its URL.")
    token: SecretSource = Field(
        description="Where the alert source's token is: env:NAME or file:/path. Never the token itself."
    )


class DemoPagerConfig(PolicyModel):
    """The pretended pager of the playground."""


AnyPagerConfig = PagerDutyEventsConfig | IncidentIoAlertsConfig | DemoPagerConfig


class PagerConfig(PolicyModel):
    """Where people are paged: exactly one pager, and what a page may say."""

    pagerduty: PagerDutyEventsConfig | None = Field(default=None, description="Page through a service in PagerDuty.")
    incident_io: IncidentIoAlertsConfig | None = Field(
        default=None, description="Page through an alert source in incident.io."
    )
    demo: DemoPagerConfig | None = Field(default=None, description="The pager of the playground.")
    justification: StrictBool = Field(
        default=False,
        description="Whether a page has the justification that a person typed, as a detail; false if left out.",
    )

    @property
    def kind(self) -> str:
        """Which pager it is: the key in the file."""
        return next(name for name in _KINDS if getattr(self, name) is not None)

    @property
    def chosen(self) -> AnyPagerConfig:
        """How that pager is configured."""
        found: AnyPagerConfig = getattr(self, self.kind)
        return found

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if sum(getattr(self, name) is not None for name in _KINDS) != 1:
            raise mistake(
                "a pager is exactly one of pagerduty and incident_io",
                "Keep the one whose people are to be paged.",
            )
        return self


PAGER_MODELS: Final[dict[str, type[PolicyModel]]] = {
    PAGERDUTY: PagerDutyEventsConfig, INCIDENT_IO: IncidentIoAlertsConfig, DEMO_PAGER: DemoPagerConfig,
}  # fmt: skip
_KINDS: Final = tuple(PAGER_MODELS)
