"""What Slack says about the tokens, scopes, user groups and channels, and whether the clocks agree.

Invariant: nothing is posted and nobody is notified. Of Slack's answers, only error codes are quoted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from pydantic import SecretStr

from bot.doctor.finding import CheckResult, fine, note, wrong
from bot.doctor.slack_calls import PatientSlack, Unanswered
from bot.slack.app_surface import EMAIL_SCOPE, PICTURE_SCOPE, SCOPES
from bot.slack.errors import ERRORS, SlackToken
from core.actor import UserId
from core.clock import Clock, require_utc

MAX_SKEW: Final = timedelta(seconds=30)
"""Slack's signatures are valid for five minutes; deadlines and MFA codes tolerate less."""


class SlackChecks:
    """The checks of one installation. `check_token` comes first: the others use what it learns."""

    def __init__(self, token: SecretStr, api_url: str, clock: Clock) -> None:
        self._clock = clock
        self._slack = PatientSlack(token, api_url, clock)
        self._client = self._slack.client
        self.team_id: str | None = None
        self._headers: Mapping[str, str] = {}
        self.is_known = False
        self.is_unreachable = False

    def check_token(self) -> Iterator[CheckResult]:
        """Whose token is it? Afterwards `is_known` says whether Slack accepted it."""
        try:
            with self._slack.asking():
                answer = self._client.auth_test()
        except Unanswered as refusal:
            self.is_unreachable = refusal.is_unreachable
            yield wrong(f"bot token: {refusal.problem}", refusal.fix)
            return
        self.is_known = True
        self._headers = {str(name).lower(): str(value) for name, value in answer.headers.items()}
        # Only an organisation-wide token has to name the workspace.
        self.team_id = answer.get("team_id") if answer.get("enterprise_id") else None
        yield fine(f"bot token: {answer.get('user')} in workspace {answer.get('team')}, {answer.get('team_id')}")

    def check_scopes(self, *, is_email_needed: bool, has_picture: bool = False) -> Iterator[CheckResult]:
        """Does the token have every scope that the bot's calls need, and no others?"""
        listed = self._headers.get("x-oauth-scopes")
        if listed is None:
            yield note("scopes: Slack did not say which scopes the token has")
            return
        granted = {each.strip() for each in listed.split(",")} - {""}
        wanted = SCOPES | ({EMAIL_SCOPE} if is_email_needed else set())
        if missing := sorted(wanted - granted):
            fix = "Add them under OAuth & Permissions, reinstall the app, and set SLACK_BOT_TOKEN to its new token."
            yield wrong(f"scopes: the bot token is missing {', '.join(missing)}", fix)
        if extra := sorted(granted - wanted - {EMAIL_SCOPE, PICTURE_SCOPE}):
            yield note(f"scopes: the bot token also has {', '.join(extra)}, which Countersign doesn't use")
        if has_picture and PICTURE_SCOPE not in granted:
            yield note(
                f"scopes: the monthly summary has no picture, because the bot token is missing {PICTURE_SCOPE}. "
                "Add it, or set `picture: false` under `summary` in the policy."
            )
        if not missing:
            yield fine(f"scopes: {', '.join(sorted(wanted))}")

    def check_clock(self) -> Iterator[CheckResult]:
        """Does this machine's clock agree with Slack's?"""
        slack_time = _read_date(self._headers.get("date"))
        if slack_time is None:
            yield note("clock: Slack did not say what time it is")
            return
        skew = self._clock.now() - slack_time
        if abs(skew) <= MAX_SKEW:
            yield fine("clock: in sync with Slack")
            return
        way = "ahead of" if skew > timedelta() else "behind"
        yield wrong(
            f"clock: this machine is {abs(skew) // timedelta(seconds=1)} s {way} Slack",
            "Deadlines depend on it, and over HTTP valid signatures can look expired. Synchronize it with NTP.",
        )

    def check_app_token(self, token: SecretStr) -> Iterator[CheckResult]:
        """Does Slack let this token open a WebSocket? None is opened."""
        try:
            with self._slack.asking(SlackToken.APP):
                self._client.apps_connections_open(app_token=token.get_secret_value())
        except Unanswered as refusal:
            self.is_unreachable = refusal.is_unreachable
            yield wrong(f"app token: {refusal.problem}", refusal.fix)
        else:
            yield fine("app token: Socket Mode can connect")

    def check_user_groups(self, named: Iterable[str]) -> Iterator[CheckResult]:
        """Does each user group in the policy exist in Slack, with members? One call for all of them."""
        wanted = sorted(named)
        if not wanted:
            return
        try:
            with self._slack.asking():
                answer = self._client.usergroups_list(include_disabled=True, include_count=True, team_id=self.team_id)
                found = {str(group["id"]): group for group in answer["usergroups"]}
        except Unanswered as refusal:
            yield wrong(f"user groups: {refusal.problem}", refusal.fix)
            return
        problems = [finding for each in wanted if (finding := _judge_group(each, found.get(each))) is not None]
        yield from problems
        if not problems:
            yield fine(f"user groups: {', '.join(wanted)}")

    def check_channels(self, profiles_of: Mapping[str, Iterable[str]]) -> Iterator[CheckResult]:
        """Can the bot post in each of these channels? `profiles_of` names the profiles of each channel."""
        for channel, profiles in sorted(profiles_of.items()):
            name = f"channel {channel} ({', '.join(profiles)})"
            try:
                with self._slack.asking():
                    shown = self._client.conversations_info(channel=channel)["channel"]
                    yield from _judge_channel(name, shown)
            except Unanswered as refusal:
                yield wrong(f"{name}: {refusal.problem}", refusal.fix)

    def find_email(self, person: UserId) -> str | None:
        """The person's e-mail address in Slack; None if Slack doesn't say."""
        try:
            with self._slack.asking():
                profile = self._client.users_info(user=person)["user"].get("profile", {})
        except Unanswered:
            return None
        return str(profile["email"]) if profile.get("email") else None


def _judge_group(group_id: str, group: Any) -> CheckResult | None:  # noqa: ANN401 - Slack's JSON
    name = f"user group {group_id}"
    if group is None:
        return wrong(
            f"{name}: it does not exist in Slack", "Correct the policy. The id is part of the group's address in Slack."
        )
    name = f"{name} (@{group.get('handle')})"
    if group.get("date_delete"):
        return wrong(f"{name}: it is disabled, so it has no members", "Enable it, or correct the policy.")
    # A string in Slack's documentation, a number in its answers.
    if str(group.get("user_count")) == "0":
        return wrong(f"{name}: it has no members", "Add people to it, or correct the policy.")
    return None


def _judge_channel(name: str, shown: Any) -> Iterator[CheckResult]:  # noqa: ANN401 - Slack's JSON
    name = f"{name} #{shown['name']}" if shown.get("name") else name
    if shown.get("is_archived"):
        yield wrong(f"{name}: it is archived", ERRORS["is_archived"].fix)
    elif not shown.get("is_member"):
        yield wrong(f"{name}: the bot is not in it", ERRORS["not_in_channel"].fix)
    else:
        yield fine(f"{name}: the bot is in it")
    if shown.get("is_ext_shared"):
        yield note(f"{name}: it is shared with another company, whose people can read every request in it")


def _read_date(header: str | None) -> datetime | None:
    try:
        return require_utc(parsedate_to_datetime(header or ""))
    except (ValueError, OverflowError):
        return None
