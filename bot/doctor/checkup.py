"""The checkup: every check, each after those that it depends on.

Invariant: a check that can't be made says so or is skipped, and never prevents the others. What depends on a setting
that can't be used is not judged by that setting's default.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from bot.doctor.access_checks import FindEmail, check_targets
from bot.doctor.directory_checks import check_deciding_groups
from bot.doctor.finding import CheckResult, fine, note, wrong
from bot.doctor.mfa_checks import check_mfa
from bot.doctor.on_call_checks import check_schedules, people_in_slack
from bot.doctor.pager_checks import check_pager
from bot.doctor.setting_checks import AllSettings, check_settings, examine_all
from bot.doctor.slack_calls import PatientSlack
from bot.doctor.slack_checks import SlackChecks
from bot.doctor.store_checks import check_store, check_tables_of
from bot.doctor.ticket_checks import check_tickets
from bot.doctor.tracing_checks import check_tracing
from bot.settings import Settings, SlackSettings
from bot.slack.manifest import needs_email
from core.clock import Clock
from core.errors import CountersignError
from core.invalid_policy import InvalidPolicy
from core.policy import Policy, load_policy
from core.policy.file_access import find_writers
from core.schedules.people import PeopleOnCall


def examine(store: str | None, clock: Clock) -> Iterator[CheckResult]:
    """Check everything. `store` is the option of the command line that overrides COUNTERSIGN_STORE."""
    read = examine_all(store)
    yield from check_settings(read)
    settings, slack = read.deployment.settings, read.slack.settings
    policy = _PolicyCheck()
    if settings is not None and "policy" not in read.deployment.bad:
        yield from policy.run(settings, is_mfa_readable="mfa_secrets" not in read.deployment.bad)
    if slack is not None:
        yield from _check_slack(read, slack, policy.found, clock)
    if policy.found is not None and policy.found.targets:
        yield from check_targets(policy.found, clock, _email_finder(slack, clock))
    if policy.found is not None:
        yield from check_schedules(policy.found, clock, _people_finder(slack, policy.found, clock))
        yield from check_pager(policy.found)
        yield from check_tickets(policy.found, clock)
    if settings is not None and "store" not in read.deployment.bad:
        is_keyring_known = not {"audit_key", "audit_signing_key"} & read.deployment.bad
        yield from check_store(settings, clock, with_content=is_keyring_known)
    if settings is not None and "tracing" not in read.deployment.bad:
        yield from check_tracing(settings)
    yield from _name_skipped(read, policy.found)


def examine_start(store: str | None, clock: Clock) -> Iterator[CheckResult]:
    """Check only what `serve` can't do without: settings, policy, tokens and tables. `store` as in `examine`.

    It is for a container that runs before `serve`. What else may be wrong doesn't keep an instance from starting: a
    channel that was renamed, or somebody without an MFA code, would stop emergencies, too.
    """
    read = examine_all(store)
    yield from check_settings(read)
    settings, slack = read.deployment.settings, read.slack.settings
    if settings is not None and "policy" not in read.deployment.bad:
        yield from _PolicyCheck().load(settings)
    if slack is not None and "api_url" not in read.slack.bad:
        yield from _check_tokens(read, SlackChecks(slack.bot_token, slack.api_url, clock), slack)
    if settings is not None and "store" not in read.deployment.bad:
        yield from check_tables_of(settings)


@dataclass
class _PolicyCheck:
    """Checks the policy file; `found` is what it says, unless it has mistakes."""

    found: Policy | None = None

    def run(self, settings: Settings, *, is_mfa_readable: bool) -> Iterator[CheckResult]:
        """Load it, and look who may write it."""
        yield from self.load(settings)
        if self.found is None:
            return
        for writer in find_writers(settings.policy):
            what, _, fix = writer.partition(" Run: ")
            yield wrong(f"policy: {what}", f"Run: {fix}")
        if is_mfa_readable:
            yield from check_mfa(self.found, settings.mfa_secrets)

    def load(self, settings: Settings) -> Iterator[CheckResult]:
        """Load it."""
        try:
            self.found = load_policy(settings.policy)
        except InvalidPolicy as error:
            for each in error.problems:
                yield wrong(f"policy: {error.source}:{each.line}: {each.path}: {each.problem}", each.fix)
            return
        yield fine(f"policy: {settings.policy}, digest {self.found.digest[:12]}")


def _check_tokens(read: AllSettings, checks: SlackChecks, slack: SlackSettings) -> Iterator[CheckResult]:
    if slack.bot_token.get_secret_value():
        yield from checks.check_token()
    # Another token than the bot's: what is wrong with one says nothing about the other.
    if read.is_socket_mode and slack.app_token is not None and not checks.is_unreachable:
        yield from checks.check_app_token(slack.app_token)


def _check_slack(read: AllSettings, slack: SlackSettings, policy: Policy | None, clock: Clock) -> Iterator[CheckResult]:
    if "api_url" in read.slack.bad:
        return
    checks = SlackChecks(slack.bot_token, slack.api_url, clock)
    if slack.bot_token.get_secret_value():
        yield from checks.check_token()
    if checks.is_known:
        document = policy.document if policy is not None else None
        yield from checks.check_scopes(
            is_email_needed=policy is not None and needs_email(policy),
            has_picture=document is not None and document.summary.monthly and document.summary.picture,
        )
        yield from checks.check_clock()
    # Another token than the bot's: what is wrong with one says nothing about the other.
    if read.is_socket_mode and slack.app_token is not None and not checks.is_unreachable:
        yield from checks.check_app_token(slack.app_token)
    if policy is not None and checks.is_known:
        yield from checks.check_user_groups(policy.user_groups())
        yield from check_deciding_groups(policy)
        yield from checks.check_channels(_channels(policy))


def _name_skipped(read: AllSettings, policy: Policy | None) -> Iterator[CheckResult]:
    """What has to wait until something else is fixed, so that nobody takes silence for a clean bill."""
    skipped = []
    if read.deployment.settings is None or "store" in read.deployment.bad:
        skipped.append("the store")
    if policy is None:
        skipped.append("user groups, channels and targets, which the policy names")
    if skipped:
        yield note(f"not checked: {'; '.join(skipped)}", "Fix the problems above, then run `countersign doctor` again.")


def _email_finder(slack: SlackSettings | None, clock: Clock) -> FindEmail | None:
    if slack is None or not slack.bot_token.get_secret_value():
        return None
    return SlackChecks(slack.bot_token, slack.api_url, clock).find_email


def _people_finder(slack: SlackSettings | None, policy: Policy, clock: Clock) -> PeopleOnCall | None:
    """None when Slack can't be asked: why, another check says."""
    if not policy.document.on_call or slack is None or not slack.bot_token.get_secret_value():
        return None
    with suppress(CountersignError):
        return people_in_slack(PatientSlack(slack.bot_token, slack.api_url, clock).client, policy, clock)
    return None


def _channels(policy: Policy) -> dict[str, list[str]]:
    """Each channel with the profiles whose requests go there, and the security channel."""
    channels: dict[str, list[str]] = {}
    for name, profile in policy.document.profiles.items():
        channels.setdefault(profile.channel, []).append(name)
    if policy.notifications.security_channel is not None:
        channels.setdefault(policy.notifications.security_channel, []).append("security")
    return channels
