"""What Slack says of the tokens, the scopes, the user groups and the channels; and whether the clocks agree.

Invariant: nothing is posted and nobody is told. Slack's answers are quoted by their error word only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from pydantic import SecretStr
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from bot.doctor.finding import CheckResult, fine, note, wrong
from bot.slack.app_surface import SCOPES
from bot.slack.errors import ERRORS, UNREADABLE, SlackToken, read_error
from core.clock import Clock, require_utc

CALL_TIMEOUT_SECONDS: Final = 10
EMAIL_SCOPE: Final = "users:read.email"
MOST_SKEW: Final = timedelta(seconds=30)
"""Slack signs with its own clock and five minutes of patience; a deadline, and a code for break-glass, has less."""


class Unanswered(Exception):
    """Slack refused or did not answer. `code` is its word, `fix` what an operator can do."""

    def __init__(self, code: str, fix: str) -> None:
        super().__init__(code)
        self.code = code
        self.fix = fix


class SlackChecks:
    """Checks of one installation. `check_token` goes first: what it learns, the others use."""

    def __init__(self, token: SecretStr, api_url: str, clock: Clock) -> None:
        self._clock = clock
        self._api_url = api_url
        # An operator would rather wait than be told to come back.
        patient = [RateLimitErrorRetryHandler(max_retry_count=2)]
        self._client = WebClient(
            token.get_secret_value(), base_url=api_url, timeout=CALL_TIMEOUT_SECONDS, retry_handlers=list(patient)
        )
        self._team_id: str | None = None
        self._headers: Mapping[str, str] = {}
        self.is_known = False

    def check_token(self) -> Iterator[CheckResult]:
        """Whose token is it? Afterwards `is_known` says whether Slack knows it."""
        try:
            with self._asking():
                answer = self._client.auth_test()
        except Unanswered as refusal:
            yield wrong(f"bot token: Slack answers {refusal.code}", refusal.fix)
            return
        self.is_known = True
        self._headers = {str(name).lower(): str(value) for name, value in answer.headers.items()}
        # Only a token of a whole organisation has to say which workspace it means.
        self._team_id = answer.get("team_id") if answer.get("enterprise_id") else None
        yield fine(f"bot token: {answer.get('user')} in the workspace {answer.get('team')}, {answer.get('team_id')}")

    def check_scopes(self, *, is_email_trusted: bool) -> Iterator[CheckResult]:
        """Does the token have every scope that the bot's calls ask for, and no other one?"""
        told = self._headers.get("x-oauth-scopes")
        if told is None:
            yield note("scopes: Slack does not say which ones the token has")
            return
        granted = {each.strip() for each in told.split(",")} - {""}
        wanted = SCOPES | ({EMAIL_SCOPE} if is_email_trusted else set())
        if missing := sorted(wanted - granted):
            fix = "Add them to the app under OAuth & Permissions, install it again, and set its new SLACK_BOT_TOKEN."
            yield wrong(f"scopes: the bot token lacks {', '.join(missing)}", fix)
        if extra := sorted(granted - wanted - {EMAIL_SCOPE}):
            yield note(f"scopes: the bot token has {', '.join(extra)} as well, which Countersign does not use")
        if not missing:
            yield fine(f"scopes: {', '.join(sorted(wanted))}")

    def check_clock(self) -> Iterator[CheckResult]:
        """Does this machine agree with Slack about the time?"""
        there = _read_date(self._headers.get("date"))
        if there is None:
            yield note("clock: Slack does not say what time it is")
            return
        skew = self._clock.now() - there
        if abs(skew) <= MOST_SKEW:
            yield fine("clock: it agrees with Slack's")
            return
        way = "ahead of" if skew > timedelta() else "behind"
        yield wrong(
            f"clock: this machine is {abs(skew) // timedelta(seconds=1)} s {way} Slack",
            "Deadlines are judged by it, and over HTTP it makes Slack's signatures look old. Let NTP set it.",
        )

    def check_app_token(self, token: SecretStr) -> Iterator[CheckResult]:
        """Does Slack let this token open a websocket? None is opened."""
        try:
            with self._asking(SlackToken.APP):
                self._client.apps_connections_open(app_token=token.get_secret_value())
        except Unanswered as refusal:
            yield wrong(f"app token: Slack answers {refusal.code}", refusal.fix)
        else:
            yield fine("app token: Socket Mode may connect")

    def check_user_groups(self, named: Iterable[str]) -> Iterator[CheckResult]:
        """Does Slack have the user groups that the policy names, and is somebody in each? One call for all of them."""
        wanted = sorted(named)
        if not wanted:
            return
        try:
            with self._asking():
                answer = self._client.usergroups_list(include_disabled=True, include_count=True, team_id=self._team_id)
                found = {str(group["id"]): group for group in answer["usergroups"]}
        except Unanswered as refusal:
            yield wrong(f"user groups: Slack answers {refusal.code}", refusal.fix)
            return
        problems = [finding for each in wanted if (finding := _judge_group(each, found.get(each))) is not None]
        yield from problems
        if not problems:
            yield fine(f"user groups: {', '.join(wanted)}")

    def check_channels(self, profiles_of: Mapping[str, Iterable[str]]) -> Iterator[CheckResult]:
        """Can the bot post in each of these channels? `profiles_of` says whose they are."""
        for channel, profiles in sorted(profiles_of.items()):
            name = f"channel {channel} ({', '.join(profiles)})"
            try:
                with self._asking():
                    shown = self._client.conversations_info(channel=channel)["channel"]
                    yield from _judge_channel(name, shown)
            except Unanswered as refusal:
                yield wrong(f"{name}: Slack answers {refusal.code}", refusal.fix)

    @contextmanager
    def _asking(self, token: SlackToken = SlackToken.BOT) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            failure = read_error(error, self._clock.now(), token)
            if isinstance(error, SlackApiError):
                raise Unanswered(failure.label, failure.fix) from error
            fix = f"Check that this machine can reach {self._api_url}, through its proxy if it has one."
            raise Unanswered(f"nothing that can be read ({failure.label})", fix) from error


def _judge_group(group_id: str, group: Any) -> CheckResult | None:  # noqa: ANN401 - Slack's JSON
    name = f"user group {group_id}"
    if group is None:
        return wrong(f"{name}: Slack has none", "Correct the policy; the id is in the group's address in Slack.")
    name = f"{name} (@{group.get('handle')})"
    if group.get("date_delete"):
        return wrong(f"{name}: it is disabled, so nobody counts as a member", "Enable it, or correct the policy.")
    # Slack's documentation has it as text, its answers as a number.
    if str(group.get("user_count")) == "0":
        return wrong(f"{name}: nobody is in it", "Add people to it, or correct the policy.")
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
        yield note(f"{name}: it is shared with another company, whose people see every request in it")


def _read_date(header: str | None) -> datetime | None:
    try:
        return require_utc(parsedate_to_datetime(header or ""))
    except (ValueError, OverflowError):
        return None
