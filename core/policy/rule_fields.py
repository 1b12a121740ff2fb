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
from core.errors import InvalidInput
from core.policy.document import ProfilePattern, duration_rule, mistake
from core.policy.principals import SelectorField
from core.request_bounds import MAX_STARTS_WITHIN
from core.text import clean_text
from core.usage import MAX_PER_QUOTA

MAX_WINDOW: Final = timedelta(days=30)
_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,31}")
_LINK_HOST = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])")
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


def _check_user(text: str) -> UserId:
    try:
        return check_user_id(text)
    except InvalidInput as error:
        raise mistake(error.problem, error.fix) from error


def _check_principal(text: str) -> str:
    if not text.isprintable() or len(text) > MAX_PART_LENGTH or not text or " " in text:
        raise mistake(
            f"{text!a:.60} can't be what a target calls a person",
            f"Write one word of up to {MAX_PART_LENGTH} characters, as the target shows it.",
        )
    return text


UserField = Annotated[
    StrictStr,
    AfterValidator(_check_user),
    WithJsonSchema({"type": "string", "pattern": "^[UW][A-Z0-9]{2,31}$"}),
]
PrincipalName = Annotated[
    StrictStr,
    AfterValidator(_check_principal),
    WithJsonSchema({"type": "string", "pattern": rf"^\S{{1,{MAX_PART_LENGTH}}}$"}),
]
"""What a target calls a person. Identity Center's user names may have any letters."""
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
StartsWithin = Annotated[timedelta, *duration_rule(MAX_STARTS_WITHIN)]
LimitWindow = Annotated[timedelta, *duration_rule(MAX_WINDOW)]
Fallback = Annotated[StrictStr, AfterValidator(_check_fallback)]
