"""The settings of every kind: what can't be used, what is missing, and what has a name that nobody knows.

Invariant: all problems are named in one run, and no value of a secret is shown.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bot.doctor.finding import CheckResult, fine, note, wrong
from bot.settings import ApiSettings, Settings, SlackSettings, TerminalSettings, unknown_variables
from bot.settings.every import find_missing
from bot.settings.problems import Examined, examine_settings
from bot.settings.variables import find_shared_files, variables_of
from core.errors import InvalidInput
from core.stores.opening import read_store_url

_SLACK: Final = "SLACK_"
_SIMILARITY: Final = 0.85
"""Other programs have SLACK_ variables, too: only what looks like a slip of the pen is named."""


@dataclass(frozen=True, slots=True)
class AllSettings:
    """What each kind of settings says, and what is wrong with it. `option` is what is wrong with --store."""

    deployment: Examined[Settings]
    slack: Examined[SlackSettings]
    api: Examined[ApiSettings]
    terminal: Examined[TerminalSettings]
    option: InvalidInput | None = None

    @property
    def is_socket_mode(self) -> bool:
        """Whether Slack is reached through Socket Mode, as far as the settings can be read."""
        settings = self.deployment.settings
        return settings is not None and settings.listen is None and "listen" not in self.deployment.bad


def examine_all(store: str | None) -> AllSettings:
    """Read all settings. `store` is the option of the command line."""
    given, option = {}, None
    if store is not None:
        try:
            read_store_url(store)
            given = {"store": store}
        except InvalidInput as error:
            option = error
    deployment = examine_settings(Settings, **given)
    if option is not None:
        deployment = Examined(deployment.settings, deployment.problems, deployment.bad | {"store"})
    others = examine_settings(SlackSettings), examine_settings(ApiSettings), examine_settings(TerminalSettings)
    return AllSettings(deployment, *others, option)


def check_settings(read: AllSettings) -> Iterator[CheckResult]:
    """Every problem once, then the audit key."""
    for problem in unknown_variables():
        yield note(f"settings: {problem}")
    for name, likely in _near_misses():
        yield note(f"settings: {name} is not a setting. Did you mean {likely}?")
    for name, path in find_shared_files(variables_of(Settings, SlackSettings, TerminalSettings)):
        yield note(f"settings: {name}: everybody on this host can read or change {path}", f"Run: chmod 600 {path}")
    every = (read.deployment, read.slack, read.api, read.terminal)
    problems = [*([read.option] if read.option is not None else []), *(each for one in every for each in one.problems)]
    missing = find_missing(read.deployment, read.slack, read.api)
    # COUNTERSIGN_PLAIN_HTTP_HOSTS belongs to several kinds.
    for error in {str(each): each for each in (*problems, *missing)}.values():
        yield bad_setting(error)
    settings = read.deployment.settings
    if settings is not None and settings.keyring.is_keyed:
        yield fine(f"audit key: the trail is sealed with key {settings.keyring.key_id}")


def bad_setting(error: InvalidInput) -> CheckResult:
    """The problem and its fix."""
    return wrong(f"{error.field}: {error.problem}", error.fix)


def _near_misses() -> Iterator[tuple[str, str]]:
    known = [each for each in variables_of(SlackSettings) if each.startswith(_SLACK)]
    every = [form for name in known for form in (name, f"{name}_FILE")]
    for name in sorted(os.environ):
        if name.startswith(_SLACK) and name not in every:
            yield from ((name, likely) for likely in difflib.get_close_matches(name, every, 1, _SIMILARITY))
