"""The tokens for `countersign init`: from the environment, from files, or typed; each verified with Slack.

Invariant: a token is never shown, and goes to Slack only. One that Slack refuses is asked for again on a terminal, and
ends the command elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Final

from pydantic import SecretStr

from bot.commands.init_answers import Questions
from bot.doctor.finding import CheckResult, Level
from bot.doctor.slack_calls import PatientSlack
from bot.doctor.slack_checks import SlackChecks
from bot.doctor.slack_names import SlackNames
from bot.settings import SlackSettings, read_settings, read_slack_settings
from bot.settings.problems import require_no_problem
from bot.slack.installation import SlackUnreachable
from core.clock import SystemClock
from core.errors import InvalidInput

_BOT: Final = "SLACK_BOT_TOKEN"
_APP: Final = "SLACK_APP_TOKEN"
_SIGNING: Final = "SLACK_SIGNING_SECRET"
_LABELS: Final = {
    _BOT: "Bot token (xoxb-…, under OAuth & Permissions)",
    _APP: "App-level token (xapp-…, under Basic Information)",
    _SIGNING: "Signing secret (under Basic Information)",
}
_FIELDS: Final = {_BOT: "bot_token", _APP: "app_token", _SIGNING: "signing_secret"}
_HELP: Final = """\
Countersign needs the tokens of its Slack app. Nothing that you type here is shown.
No app yet? Paste what `countersign slack manifest` prints at https://api.slack.com/apps?new_app=1, and install it.
"""


def ask_for_tokens(questions: Questions) -> SlackNames:
    """Find or ask for the tokens, and leave those that were typed in the environment. Raises InvalidInput."""
    listen = read_settings().listen
    needed = (_BOT, _SIGNING if listen is not None else _APP)
    if not questions.is_asking:
        require_no_problem(read_slack_settings().missing(listen))
    if questions.is_asking and not all(each in os.environ or f"{each}_FILE" in os.environ for each in needed):
        questions.ink.say(_HELP)
    for name in needed:
        _find(questions, name)
    slack, clock = read_slack_settings(), SystemClock()
    checks = SlackChecks(slack.bot_token, slack.api_url, clock)
    list(checks.check_token())
    return SlackNames(PatientSlack(slack.bot_token, slack.api_url, clock), checks.team_id)


def _find(questions: Questions, name: str) -> None:
    def verify(text: str) -> str:
        return _verify(questions, name, text)

    try:
        if (kept := getattr(read_slack_settings(), _FIELDS[name])) is not None and kept.get_secret_value():
            verify(kept.get_secret_value())
            return
    except InvalidInput as error:
        if not questions.is_asking or error.field.removesuffix("_FILE") != name:
            raise
        questions.say_wrong(error)
    typed = questions.secret(_LABELS[name], verify)
    os.environ.pop(f"{name}_FILE", None)
    os.environ[name] = typed


def _verify(questions: Questions, name: str, text: str) -> str:
    """The token, if Slack takes it. Raises InvalidInput, or SlackUnreachable."""
    if not text:
        raise InvalidInput(name, "nothing was given", "Copy it from the app's page at https://api.slack.com/apps.")
    given: dict[str, Any] = {_FIELDS[name]: SecretStr(text)}
    slack = SlackSettings(**given)
    checks = SlackChecks(slack.bot_token, slack.api_url, SystemClock())
    run: dict[str, Callable[[], Iterable[CheckResult]]] = {
        _BOT: checks.check_token,
        _APP: lambda: checks.check_app_token(SecretStr(text)),
    }
    for each in run.get(name, list)():
        if checks.is_unreachable:
            raise SlackUnreachable(each.what)
        if each.level is Level.WRONG:
            raise InvalidInput(name, each.what.partition(": ")[2], each.fix)
        questions.say_fine(str(each))
    return text
