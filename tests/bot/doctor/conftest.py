"""An installation as an operator has it: an environment, a policy file, a store, and a local Slack.

Invariant: the commands are run as they are installed, with nothing but the environment to go by.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from bot.cli import countersign
from core.audit.keyring import AuditKeyring
from core.clock import SystemClock
from core.directory import FixedDirectory
from core.policy import load_policy
from core.services import RequestService
from core.stores import open_stores
from core.stores.sqlite.last_backup import LastBackup, write_last_backup
from localslack.records import Channel, Person, UserGroup
from localslack.server import LocalSlack
from tests.builders import HOUR
from tests.core.services.harness import ANN, BOB, EVE, RITA
from tests.harness.policy_files import write_settled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.clock import Clock
    from core.request import Request
    from core.stores import Stores

ROOT: Final = Path(__file__).parents[3]
ACCESS, VAULT = "C0ACCESS1", "C0VAULT1"
KEY: Final = "a-key-that-has-more-than-32-characters"
POLICY: Final = f"""
version: 1
profiles:
  prod: {{channel: {ACCESS}}}
  staging: {{channel: {ACCESS}}}
  vault: {{channel: {VAULT}}}
approval:
  - name: staging
    profiles: [staging]
    approvers: [{ANN.id}, S0SRE]
    max_duration: 4h
    remind_after: 1h
    max_pending: 20
  - {{name: rest, profiles: ["*"], approvers: [{ANN.id}, {BOB.id}], max_duration: 4h}}
"""


@dataclass
class Installation:
    """Where an operator works."""

    slack: LocalSlack
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def run(self, *arguments: str) -> Result:
        """Run a command."""
        return CliRunner().invoke(countersign, arguments)

    def set(self, name: str, value: str | None) -> None:
        """Set a variable of the environment, or unset it."""
        if value is None:
            self.monkeypatch.delenv(name, raising=False)
        else:
            self.monkeypatch.setenv(name, value)

    def write_policy(self, text: str) -> None:
        """Put another policy into the file."""
        write_settled(self.folder / "policy.yml", text)

    def grant(self, *scopes: str) -> None:
        """Let the bot token have these scopes only."""
        self.slack.backend.app = replace(self.slack.backend.app, scopes=frozenset(scopes))

    def open(self, clock: Clock | None = None) -> Stores:
        """The store. The caller closes it."""
        keyring = AuditKeyring.from_text(KEY)
        return open_stores(f"sqlite:///{self.folder}/countersign.db", keyring=keyring, clock=clock or SystemClock())

    def submit(self, profile: str = "staging", *, clock: Clock | None = None) -> Request:
        """Somebody asks, by this clock."""
        with closing(self.open(clock)) as stores:
            service = RequestService(
                stores, load_policy(self.folder / "policy.yml"), clock or SystemClock(), directory=FixedDirectory()
            )
            return service.submit(RITA, profile, HOUR, "Deploy the fix for INC-12")


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """One where all is well."""
    for name in [each for each in os.environ if each.startswith(("COUNTERSIGN_", "SLACK_"))]:
        monkeypatch.delenv(name)
    manifest: dict[str, Any] = YAML(typ="safe").load(ROOT / "manifest.yml")
    with LocalSlack(manifest=manifest) as slack:
        everybody = (ANN.id, BOB.id, EVE.id, RITA.id, slack.backend.app.bot_user)
        slack.workspace.add(
            *(Person(id=each.id, name=each.id.lower()) for each in (ANN, BOB, EVE, RITA)),
            UserGroup(id="S0SRE", handle="sre", users=(BOB.id,)),
            Channel(id=ACCESS, name="access", members=everybody),
            Channel(id=VAULT, name="vault", members=everybody, is_private=True),
        )
        made = Installation(slack, tmp_path, monkeypatch)
        made.write_policy(POLICY)
        made.open().close()
        made_at = SystemClock().now()
        (tmp_path / "kept.db").touch()
        write_last_backup(tmp_path / "countersign.db", LastBackup(made_at, tmp_path / "kept.db"))
        made.set("COUNTERSIGN_STORE", f"sqlite:///{tmp_path}/countersign.db")
        made.set("COUNTERSIGN_POLICY", str(tmp_path / "policy.yml"))
        made.set("COUNTERSIGN_AUDIT_KEY", KEY)
        made.set("SLACK_API_URL", slack.api_url)
        made.set("SLACK_BOT_TOKEN", slack.bot_token)
        made.set("SLACK_APP_TOKEN", slack.app_token)
        yield made
