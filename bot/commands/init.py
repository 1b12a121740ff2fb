"""`countersign init`: from the tokens of the Slack app to an installation that can be started.

Invariant: nothing is written before everything was answered and checked, nothing that is there is overwritten without
asking, and no token is shown. Running it again changes nothing that is complete.

Exit codes: 0 ready to serve, 1 doctor found problems, 2 the input can't be used.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from bot.commands.init_answers import InitOptions, Questions, ask_for_policy
from bot.commands.init_files import ENV_FILE, KEY_FILE, POLICY_FILE, STORE_FILE, SettingsFile, create_key, create_policy
from bot.commands.init_tokens import ask_for_tokens
from bot.commands.terminal import FILE, Ink, color_option
from bot.settings import read_settings, read_slack_settings
from bot.settings.env_file import add_missing, write_lines
from core.errors import InvalidInput
from core.stores.opening import SqliteLocation, read_store_url
from core.stores.sqlite.database import Database

_PROBLEMS: Final = 1
_TOKENS: Final = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET")
_WRITTEN: Final = (
    *_TOKENS, "SLACK_API_URL", "COUNTERSIGN_LISTEN", "COUNTERSIGN_METRICS", "COUNTERSIGN_MFA_SECRETS",
    "COUNTERSIGN_POLICY", "COUNTERSIGN_STORE",
)  # fmt: skip
_KEY: Final = "COUNTERSIGN_AUDIT_KEY"


@click.command()
@click.option(
    "--folder", default=".", show_default=True, metavar="PATH", type=FILE, help="Where the files are written."
)
@click.option(
    "--bot-token-file", metavar="FILE", type=FILE, help="A file with the bot token, instead of SLACK_BOT_TOKEN."
)
@click.option(
    "--app-token-file", metavar="FILE", type=FILE, help="A file with the app-level token, instead of SLACK_APP_TOKEN."
)
@click.option("--channel", metavar="NAME", help="The channel in which requests are decided, by its name or its id.")
@click.option("--me", "operator", metavar="PERSON", help="You, in Slack: a name or a member ID.")
@click.option("--approver", "approvers", multiple=True, metavar="NAME", help="A person or a user group. Repeatable.")
@click.option("--profile", help="What people request. Default: prod.")
@click.option("--no-input", is_flag=True, help="Ask nothing, as where there is no terminal.")
@color_option
def init(
    *, folder: str, bot_token_file: str | None, app_token_file: str | None, channel: str | None, operator: str | None,
    approvers: tuple[str, ...], profile: str | None, no_input: bool,
) -> None:  # fmt: skip
    """Set up Countersign for a Slack workspace: tokens, audit key, a first policy; then run doctor.

    It asks on a terminal. Elsewhere it takes SLACK_BOT_TOKEN and SLACK_APP_TOKEN, or files with them, and the options.
    """
    _name_token_files({"SLACK_BOT_TOKEN": bot_token_file, "SLACK_APP_TOKEN": app_token_file})
    questions = Questions(is_asking=sys.stdin.isatty() and not no_input, ink=Ink.of_stdout())
    setup = _Setup(Path(folder).absolute(), questions)
    setup.prepare(InitOptions(channel, operator, approvers, profile))
    setup.write()
    if setup.examine():
        click.get_current_context().exit(_PROBLEMS)


def _name_token_files(files: dict[str, str | None]) -> None:
    for name, path in files.items():
        if path is not None:
            os.environ.pop(name, None)
            os.environ[f"{name}_FILE"] = str(Path(path).absolute())


@dataclass
class _Setup:
    """One run in this folder: what was found and answered, then what is written."""

    folder: Path
    questions: Questions
    policy: str | None = None

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise InvalidInput("folder", f"there is no folder {self.folder}", "Make it first.")
        self.file = SettingsFile(self.folder / ENV_FILE)
        add_missing(self.file.kept, os.environ)

    def prepare(self, given: InitOptions) -> None:
        """Ask for what is missing. Raises InvalidInput, and has changed nothing then."""
        key_path = self._take_key_path()
        workspace = ask_for_tokens(self.questions)
        defaults = {
            "COUNTERSIGN_POLICY": str(self.folder / POLICY_FILE),
            "COUNTERSIGN_STORE": f"sqlite:///{self.folder / STORE_FILE}",
            f"{_KEY}_FILE": key_path,
        }
        add_missing(defaults, os.environ)
        self._require_usable()
        if not os.path.lexists(os.environ["COUNTERSIGN_POLICY"]):
            self.policy = ask_for_policy(self.questions, workspace, given).write()
        differing = self.file.differing(dict(self._values()))
        if not differing:
            return
        names = ", ".join(differing)
        if not self.questions.is_asking:
            raise InvalidInput(names, f"{self.file.path} has another value", "Remove it there, or unset the variable.")
        click.confirm(f"{self.file.path.name} has another value of {names}. Replace it?", abort=True)

    def _take_key_path(self) -> str:
        """Where the audit key is or will be."""
        known = f"{_KEY}_FILE"
        path = os.environ.get(known, str(self.folder / KEY_FILE))
        # A file that isn't there yet can't be read. One that the settings name is lost: a new one couldn't verify the
        # trail.
        if known in os.environ and known not in self.file.kept and not os.path.lexists(path):
            del os.environ[known]
        return path

    def _require_usable(self) -> None:
        """Raises InvalidInput for what would stop `write` half way: a value that no line holds, or a kept key."""
        write_lines(dict(self._values()))
        key_path = os.environ.get(f"{_KEY}_FILE")
        if key_path is None or os.path.lexists(key_path):
            _ = read_settings().keyring

    def write(self) -> None:
        """Create what is missing, and say so."""
        settings_path = Path(os.environ["COUNTERSIGN_POLICY"])
        key_path = os.environ.get(f"{_KEY}_FILE")
        if self.policy is not None:
            create_policy(settings_path, self.policy)
        self._say("wrote" if self.policy is not None else "kept", f"{settings_path}, the policy")
        if key_path is not None:
            is_new = create_key(Path(key_path))
            self._say("wrote" if is_new else "kept", f"{key_path}, the audit key: keep a copy where you keep secrets")
        is_changed = self.file.write(dict(self._values()))
        self._say("wrote" if is_changed else "kept", f"{self.file.path}, the settings")
        location = read_store_url(read_settings().store)
        if isinstance(location, SqliteLocation):
            is_new = not os.path.lexists(location.path)
            with closing(Database(location.path)):
                self._say("wrote" if is_new else "kept", f"{location.path}, the store")

    def examine(self) -> int:
        """Run doctor, and say how to start. Returns how many problems there are."""
        from bot.commands.doctor import write_lines  # noqa: PLC0415 - it needs the settings that were just written

        ink = self.questions.ink
        ink.say()
        ink.say(ink.paint("countersign doctor", "strong"))
        problems = write_lines(None)
        ink.say()
        ink.say("Fix these, then start it:" if problems else "Ready. Start it:")
        path = self.file.path
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        ink.say(f"    countersign serve --env-file {shlex.quote(str(shown))}")
        return problems

    def _values(self) -> Iterator[tuple[str, str]]:
        """Each setting as it's known now: by its file where it came from one."""
        read_slack_settings()
        for name in (*_WRITTEN, _KEY):
            for form in (name, f"{name}_FILE"):
                if form in os.environ:
                    yield form, os.environ[form]

    def _say(self, what: str, text: str) -> None:
        ink = self.questions.ink
        ink.say(f"{ink.paint(ink.met, 'good')} {what} {text}" if what == "wrote" else f"{ink.noted} {what} {text}")
