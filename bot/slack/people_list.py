"""What many people are called, for a report: from Slack's list of members, page by page.

Invariant: nothing is decided by a name. The list has a rate limit of its own, so asking for it keeps no click from
looking somebody up; and it ends in time, with the names that it has by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.slack.errors import UNREADABLE, read_error
from bot.slack.payloads import get_str

PAGE: Final = 200
"""What Slack recommends; it may give fewer."""
TOTAL_SECONDS: Final = 60.0
_MAX_LENGTH: Final = 80


@dataclass(frozen=True, slots=True)
class ListedNames:
    """Names by user id. `problem` says why the list ended before everybody was found; None when it didn't."""

    known: dict[str, str] = field(default_factory=dict)
    problem: str | None = None


def list_names(
    client: WebClient,
    people: frozenset[str],
    *,
    sleep: Callable[[float], object] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> ListedNames:
    """The names of these people, as far as Slack gives them within a minute. Raises nothing."""
    known: dict[str, str] = {}
    ends_at, cursor = monotonic() + TOTAL_SECONDS, ""
    while people - known.keys():
        try:
            answer = _ask(client, cursor, ends_at, sleep, monotonic)
        except UNREADABLE as error:
            return ListedNames(known, read_error(error).label)
        members = answer.get("members")
        for member in members if isinstance(members, list) else ():
            person = get_str(member, "id")
            if person in people and (name := _name_of(member)):
                known[person] = name
        cursor = get_str(answer.data, "response_metadata", "next_cursor") or ""
        if not cursor:
            break
        if monotonic() >= ends_at:
            return ListedNames(known, "its list of members is too long")
    return ListedNames(known)


def _ask(
    client: WebClient, cursor: str, ends_at: float, sleep: Callable[[float], object], monotonic: Callable[[], float]
) -> SlackResponse:
    while True:
        try:
            return client.users_list(limit=PAGE, cursor=cursor or None)
        except SlackApiError as error:
            pause = read_error(error).retry_after
            if pause is None or monotonic() + pause.total_seconds() > ends_at:
                raise
            sleep(pause.total_seconds())


def _name_of(member: object) -> str:
    name = get_str(member, "profile", "real_name") or get_str(member, "profile", "display_name") or ""
    return name[:_MAX_LENGTH]
