"""The fields of rules: channels, people, durations and bounds, each with its check and its JSON Schema.

Invariant: a value that passed here is one that Slack, a store and the domain take.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StrictInt, StrictStr, WithJsonSchema

from core import break_glass, request
from core.access.right import MAX_PART_LENGTH
from core.actor import UserId, check_user_id
from core.duration import format_duration
from core.duty import ON_CALL_PREFIX
from core.errors import InvalidInput
from core.policy.document import ProfilePattern, duration_rule, mistake
from core.policy.principals import SelectorField
from core.policy.target_config import TARGET_NAME
from core.request_bounds import MAX_STARTS_WITHIN, MIN_LEAD
from core.text import clean_text
from core.usage import MAX_PER_QUOTA

MAX_WINDOW: Final = timedelta(days=30)
_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,31}")
_LINK_HOST = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])")
_SCHEDULE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@+-]{0,79}")
_PEOPLE_KEY: Final = f"^({TARGET_NAME.pattern}|{ON_CALL_PREFIX}{_SCHEDULE_NAME.pattern})$"
MAX_FALLBACK_LENGTH: Final = 300
MAX_LINK_HOSTS: Final = 20


def _check_channel(text: str) -> str:
    if not _CHANNEL.fullmatch(text):
        raise mistake(
            f"{text!r:.60} is not a Slack channel id",
            "Copy the id from the channel's details in Slack; it looks like C0ACCESS1.",
        )
    return text


def _check_link_host(text: str) -> str:
    host = text.strip().lower()
    if not _LINK_HOST.fullmatch(host):
        raise mistake(
            f"{text!a:.60} is not the name of a host",
            "Write the name alone, such as tickets.example.com: no https://, path, port, address or pattern.",
        )
    return host


def _check_fallback(text: str) -> str:
    try:
        return clean_text("fallback", text, at_least=1, at_most=MAX_FALLBACK_LENGTH)
    except InvalidInput as error:
        raise mistake(error.problem, error.fix) from error


def _check_starts_within(within: timedelta) -> timedelta:
    if within > MIN_LEAD:
        return within
    least, most = format_duration(MIN_LEAD), format_duration(MAX_STARTS_WITHIN)
    problem = f"nobody could use it: every start is at least {least} ahead"
    raise mistake(problem, f"Write more than {least}, up to {most}, or leave it out.")


def _check_user(text: str) -> UserId:
    try:
        return check_user_id(text)
    except InvalidInput as error:
        raise mistake(error.problem, error.fix) from error


def _check_person_name(text: str) -> str:
    if not text.isprintable() or len(text) > MAX_PART_LENGTH or not text or text != text.strip():
        raise mistake(
            f"{text!a:.60} can't be what a target or a schedule calls a person",
            f"Write up to {MAX_PART_LENGTH} characters, as it is shown there.",
        )
    return text


def _check_people_key(text: str) -> str:
    schedule = text.removeprefix(ON_CALL_PREFIX) if text.startswith(ON_CALL_PREFIX) else None
    if not (TARGET_NAME if schedule is None else _SCHEDULE_NAME).fullmatch(text if schedule is None else schedule):
        raise mistake(
            f"{text!r:.60} can't be a target or a schedule",
            "Write the name of a target, a kind of schedule such as pagerduty, or one schedule as on-call:name.",
        )
    return text


UserField = Annotated[
    StrictStr,
    AfterValidator(_check_user),
    WithJsonSchema({"type": "string", "pattern": "^[UW][A-Z0-9]{2,31}$"}),
]
PersonName = Annotated[
    StrictStr,
    AfterValidator(_check_person_name),
    WithJsonSchema({"type": "string", "pattern": rf"^\S(.{{0,{MAX_PART_LENGTH - 2}}}\S)?$"}),
]
"""What a target or a schedule calls a person. Identity Center's user names may have any letters."""
PeopleKey = Annotated[
    StrictStr,
    AfterValidator(_check_people_key),
    WithJsonSchema(
        {"type": "string", "pattern": f"^({TARGET_NAME.pattern}|{ON_CALL_PREFIX}{_SCHEDULE_NAME.pattern})$"}
    ),
]
"""Where somebody is called so: a target, a kind of source of schedules, or one schedule."""
OnePerson = Annotated[tuple[UserField, ...], Field(min_length=2)]
Selectors = Annotated[tuple[SelectorField, ...], Field(min_length=1)]
ChannelId = Annotated[
    StrictStr,
    AfterValidator(_check_channel),
    WithJsonSchema({"type": "string", "pattern": f"^{_CHANNEL.pattern}$"}),
]
LinkHosts = Annotated[
    tuple[
        Annotated[
            StrictStr,
            AfterValidator(_check_link_host),
            WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9.-]{4,253}$"}),
        ],
        ...,
    ],
    Field(max_length=MAX_LINK_HOSTS),
]
Patterns = Annotated[tuple[ProfilePattern, ...], Field(min_length=1)]
Quota = Annotated[StrictInt, Field(ge=1, le=MAX_PER_QUOTA)]
RequestDuration = Annotated[timedelta, *duration_rule(request.MAX_DURATION)]
EventDuration = Annotated[timedelta, *duration_rule(break_glass.MAX_DURATION)]
DecisionTime = Annotated[timedelta, *duration_rule(request.MAX_DECIDE_WITHIN)]
StartsWithin = Annotated[timedelta, *duration_rule(MAX_STARTS_WITHIN), AfterValidator(_check_starts_within)]
LimitWindow = Annotated[timedelta, *duration_rule(MAX_WINDOW)]
Fallback = Annotated[StrictStr, AfterValidator(_check_fallback)]
