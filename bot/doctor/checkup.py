"""The checkup: every check, each after those that it depends on.

Invariant: a check that can't be made says so or is skipped, and never prevents the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.doctor.access_checks import FindEmail, check_targets
from bot.doctor.directory_checks import check_deciding_groups
from bot.doctor.finding import CheckResult, fine, note, wrong
from bot.doctor.mfa_checks import check_mfa
from bot.doctor.slack_checks import SlackChecks
from bot.doctor.store_checks import check_store
from bot.settings import (
    Settings,
    SlackSettings,
    TerminalSettings,
    read_settings,
    read_slack_settings,
    unknown_variables,
)
from bot.settings.variables import find_shared_files, variables_of
from core.clock import Clock
from core.errors import InvalidInput
from core.invalid_policy import InvalidPolicy
from core.policy import Policy, load_policy
from core.policy.file_access import find_writers


def examine(store: str | None, clock: Clock) -> Iterator[CheckResult]:
    """Check everything. `store` is the option of the command line that overrides COUNTERSIGN_STORE."""
    yield from _check_variables()
    settings: Settings | None = None
    slack: SlackSettings | None = None
    policy: Policy | None = None
    try:
        settings = read_settings(store=store)
    except InvalidInput as error:
        yield _bad_setting(error)
    try:
        slack = read_slack_settings()
    except InvalidInput as error:
        yield _bad_setting(error)
    if settings is not None:
        yield from _check_audit_key(settings)
        try:
            policy = load_policy(settings.policy)
        except InvalidPolicy as error:
            yield from _explain_policy(error)
        else:
            yield fine(f"policy: {settings.policy}, digest {policy.digest[:12]}")
            for writer in find_writers(settings.policy):
                what, _, fix = writer.partition(" Run: ")
                yield wrong(f"policy: {what}", f"Run: {fix}")
            yield from check_mfa(policy, settings.mfa_secrets)
    if slack is not None:
        yield from _check_slack(settings, slack, policy, clock)
    if policy is not None and policy.targets:
        yield from check_targets(policy, clock, _email_finder(slack, clock))
    if settings is not None:
        yield from check_store(settings, clock)


def _bad_setting(error: InvalidInput) -> CheckResult:
    return wrong(f"{error.field}: {error.problem}", error.fix)


def _check_variables() -> Iterator[CheckResult]:
    for problem in unknown_variables():
        yield note(f"settings: {problem}")
    for name, path in find_shared_files(variables_of(Settings, SlackSettings, TerminalSettings)):
        yield note(f"settings: {name}: everybody on this host can read or change {path}", f"Run: chmod 600 {path}")


def _check_audit_key(settings: Settings) -> Iterator[CheckResult]:
    if settings.keyring.is_keyed:
        yield fine(f"audit key: the trail is sealed with key {settings.keyring.key_id}")
        return
    try:
        settings.require_audit_key()
    except InvalidInput as error:
        yield _bad_setting(error)


def _explain_policy(error: InvalidPolicy) -> Iterator[CheckResult]:
    for each in error.problems:
        yield wrong(f"policy: {error.source}:{each.line}: {each.path}: {each.problem}", each.fix)


def _check_slack(
    settings: Settings | None, slack: SlackSettings, policy: Policy | None, clock: Clock
) -> Iterator[CheckResult]:
    if settings is not None:
        try:
            slack.require_transport(settings.listen)
        except InvalidInput as error:
            yield _bad_setting(error)
    if not slack.bot_token.get_secret_value():
        return
    checks = SlackChecks(slack.bot_token, slack.api_url, clock)
    yield from checks.check_token()
    if not checks.is_known:
        return
    yield from checks.check_scopes(is_email_trusted=policy is not None and policy.document.identity.trust_email)
    yield from checks.check_clock()
    if settings is not None and settings.listen is None and slack.app_token is not None:
        yield from checks.check_app_token(slack.app_token)
    if policy is not None:
        yield from checks.check_user_groups(policy.user_groups())
        yield from check_deciding_groups(policy)
        yield from checks.check_channels(_channels(policy))


def _email_finder(slack: SlackSettings | None, clock: Clock) -> FindEmail | None:
    if slack is None or not slack.bot_token.get_secret_value():
        return None
    return SlackChecks(slack.bot_token, slack.api_url, clock).find_email


def _channels(policy: Policy) -> dict[str, list[str]]:
    """Each channel with the profiles whose requests go there, and the security channel."""
    channels: dict[str, list[str]] = {}
    for name, profile in policy.document.profiles.items():
        channels.setdefault(profile.channel, []).append(name)
    if policy.notifications.security_channel is not None:
        channels.setdefault(policy.notifications.security_channel, []).append("security")
    return channels
