"""What the policy file says about schedules: which system knows who is on call, and with which secret it is asked.

Invariant: the file never contains a secret. It names a variable or a file instead, and no error quotes what was
written in the place of one. Each schedule has exactly one source.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt, StrictStr, WithJsonSchema, model_validator

from core.actor import ValidUserId
from core.policy.document import Name, PolicyModel, duration_rule, mistake
from core.policy.summary_config import check_zone
from core.policy.target_config import Address, SecretSource, matches
from core.targets.secret_source import is_secret_source

PAGERDUTY: Final = "pagerduty"
INCIDENT_IO: Final = "incident_io"
ICAL: Final = "ical"
DEMO_SCHEDULE: Final = "demo"
SOURCE_KINDS: Final = (PAGERDUTY, INCIDENT_IO, ICAL, DEMO_SCHEDULE)
"""The kinds of source, as `on_call:` and `people:` name them."""
NAME_PLACE: Final = "{name}"
MAX_LEVEL: Final = 20
MAX_DEMO_SHIFT: Final = timedelta(days=7)
_SOURCE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ACCOUNT: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PRIVATE: Final = "/private"
_MAX_FORMAT: Final = 100

SourceId = Annotated[
    StrictStr,
    matches(_SOURCE_ID, "can't be the id of a schedule", "Copy it from the schedule's address in the browser."),
    WithJsonSchema({"type": "string", "pattern": f"^{_SOURCE_ID.pattern}$"}),
]


def _check_format(text: str) -> str:
    if text.count(NAME_PLACE) != 1 or len(text) > _MAX_FORMAT:
        raise mistake(
            f"{text!r:.60} doesn't say where in the title the name is",
            f"Write the title of such an event with {NAME_PLACE} once in it, like 'On call: {NAME_PLACE}'.",
        )
    return text


def _check_feed(text: object) -> object:
    if not isinstance(text, str):
        return text
    if text.lower().startswith("webcal://"):
        raise mistake("webcal:// is only for calendar programs", "Write the same address with https:// instead.")
    if _PRIVATE in text.lower() and not is_secret_source(text):
        # That is what Google and PagerDuty call the addresses that need no login.
        raise mistake(
            "this is a calendar's private address, which is a secret",
            "Put the address into a variable or a file, and write env:NAME or file:/path here.",
        )
    return text


FeedAddress = Annotated[Address, BeforeValidator(_check_feed)]


class PagerDutyOauthConfig(PolicyModel):
    """An app of PagerDuty with scoped OAuth, instead of an API key."""

    account: Annotated[
        StrictStr, matches(_ACCOUNT, "can't be a PagerDuty account", "Write acme for https://acme.pagerduty.com.")
    ] = Field(description="The account: acme for https://acme.pagerduty.com.")
    client_id: Annotated[StrictStr, Field(min_length=1, max_length=255)] = Field(description="The app's client id.")
    client_secret: SecretSource = Field(description="Where the app's client secret is: env:NAME or file:/path.")


class PagerDutyConfig(PolicyModel):
    """A schedule of PagerDuty."""

    schedule: SourceId = Field(description="The schedule's id, such as PABC123: the end of its address.")
    key: SecretSource | None = Field(
        default=None, description="Where a read-only REST API key is: env:NAME or file:/path. Never the key itself."
    )
    oauth: PagerDutyOauthConfig | None = Field(
        default=None,
        description="An app with the scopes schedules.read, oncalls.read and users.read, instead of a key.",
    )
    level: StrictInt = Field(
        default=1, ge=1, le=MAX_LEVEL, description="The level of the escalation policy that counts. Left out: 1."
    )
    region: Literal["us", "eu"] = Field(default="us", description="The account's service region. Left out: us.")
    url: Address | None = Field(default=None, description="Where the API is, if it isn't asked directly.")

    @model_validator(mode="after")
    def check_credentials(self) -> Self:
        """A key or an app, not both."""
        if (self.key is None) == (self.oauth is None):
            fix = "Write key: env:PAGERDUTY_KEY, or oauth: with account, client_id and client_secret."
            raise mistake("PagerDuty is asked either with a key or with an app", fix)
        return self


class IncidentIoConfig(PolicyModel):
    """A schedule of incident.io."""

    schedule: SourceId = Field(description="The schedule's id: the end of its address.")
    key: SecretSource = Field(
        description="Where an API key of the whole account is that may view schedules: env:NAME or file:/path. A "
        "team's key doesn't see the schedules of others."
    )
    url: Address | None = Field(default=None, description="Where the API is, if it isn't asked directly.")


class IcalConfig(PolicyModel):
    """A calendar feed, whose events are shifts."""

    url: FeedAddress = Field(description="The feed: https://…, or env:NAME or file:/path if the address is a secret.")
    name_from: Literal["summary", "attendee"] = Field(
        default="summary",
        description="Where an event says who is on call: its title, or its attendees. Left out: summary.",
    )
    name_format: Annotated[StrictStr, AfterValidator(_check_format)] | None = Field(
        default=None,
        description="What the title looks like, with {name} in it, such as 'On call: {name}'. Others don't count. "
        "Left out: the title is the name.",
    )
    timezone: Annotated[StrictStr, AfterValidator(check_zone)] | None = Field(
        default=None,
        description="The time zone of events that have none, such as whole days. Left out: the calendar's own.",
    )

    @model_validator(mode="after")
    def check_format(self) -> Self:
        """A format is one of titles."""
        if self.name_format is not None and self.name_from != "summary":
            raise mistake("name_format is about titles, and name_from is attendee", "Remove one of the two.")
        return self

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone of events that have none; None if the calendar says it."""
        return ZoneInfo(self.timezone) if self.timezone is not None else None


class DemoScheduleConfig(PolicyModel):
    """The pretended schedule of the playground."""

    schedule: Name = Field(description="What the schedule is called.")
    people: tuple[ValidUserId, ...] = Field(default=(), description="Who takes turns, in this order.")
    shift: Annotated[timedelta, *duration_rule(MAX_DEMO_SHIFT)] | None = Field(
        default=None, description="How long each turn is."
    )


AnyScheduleConfig = PagerDutyConfig | IncidentIoConfig | IcalConfig | DemoScheduleConfig


class OnCallConfig(PolicyModel):
    """Where one schedule of the policy comes from: exactly one source."""

    pagerduty: PagerDutyConfig | None = Field(default=None, description="A schedule of PagerDuty.")
    incident_io: IncidentIoConfig | None = Field(default=None, description="A schedule of incident.io.")
    ical: IcalConfig | None = Field(default=None, description="A calendar feed, whose events are shifts.")
    demo: DemoScheduleConfig | None = Field(default=None, description="Only for the playground.")

    @model_validator(mode="after")
    def check_source(self) -> Self:
        """Exactly one source."""
        given = [kind for kind in SOURCE_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            has = f"it has {' and '.join(given)}" if given else "it has none"
            fix = "Write one of pagerduty, incident_io and ical. For two schedules, use two names."
            raise mistake(f"a schedule comes from exactly one source, and {has}", fix)
        return self

    @property
    def kind(self) -> str:
        """The kind of source, such as `pagerduty`."""
        return next(kind for kind in SOURCE_KINDS if getattr(self, kind) is not None)

    @property
    def source(self) -> AnyScheduleConfig:
        """How the source is configured."""
        found = self.pagerduty or self.incident_io or self.ical or self.demo
        if found is None:
            raise AssertionError("check_source lets none through")
        return found

    @property
    def schedule(self) -> str:
        """What the source calls the schedule. For a feed its host or where its address is, as the address is secret."""
        source = self.source
        if not isinstance(source, IcalConfig):
            return source.schedule
        return source.url if is_secret_source(source.url) else urlsplit(source.url).hostname or ICAL
