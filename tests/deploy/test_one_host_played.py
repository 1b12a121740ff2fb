"""The units for systemd, played: their commands and environments, with a directory of credentials as systemd makes it.

Invariant: what is played is read from the units. Only paths of the host are replaced by those of the test.
"""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from bot.cli import countersign
from bot.views.request.card import APPROVE
from core.audit.keyring import AuditKeyring
from core.request import RequestStatus
from core.stores import open_stores
from tests.end_to_end.harness import ACCESS, AIKO, JON, MIRA, ROOT, WHY
from tests.harness.served_bot import AUDIT_KEY, PATIENCE, Serving, environment, new_slack

if TYPE_CHECKING:
    from localslack.server import LocalSlack

UNITS = ROOT / "deploy" / "systemd"
ASK = f"prod 2h {WHY}"


@dataclass
class Host:
    """A host with /etc/countersign, /var/lib/countersign and the folder of backups, and what systemd does on it."""

    folder: Path
    slack: LocalSlack
    etc: Path = field(init=False)

    def __post_init__(self) -> None:
        self.etc, self.state, self.backups = self.folder / "etc", self.folder / "state", self.folder / "backups"
        for each in (self.etc, self.state, self.backups):
            each.mkdir()
        settings = environment(self.slack, self.state)
        kept = {name: value for name, value in settings.items() if name.startswith(("SLACK_", "COUNTERSIGN_"))}
        # As `init` writes it: the key is in a file of its own, which is elsewhere for the service.
        del kept["COUNTERSIGN_AUDIT_KEY"]
        lines = [f"{name}={value}" for name, value in kept.items()]
        lines.append("COUNTERSIGN_AUDIT_KEY_FILE=/etc/countersign/countersign-audit.key")
        (self.etc / "countersign.env").write_text("\n".join(lines), encoding="utf-8")
        (self.etc / "countersign.env").chmod(0o600)
        (self.etc / "countersign-audit.key").write_text(f"{AUDIT_KEY}\n", encoding="utf-8")

    def start_of(self, unit: str) -> tuple[list[str], dict[str, str]]:
        """The arguments and the environment of this unit's process."""
        text = (UNITS / unit).read_text(encoding="utf-8")
        credentials = self.folder / f"credentials-{unit}"
        credentials.mkdir(exist_ok=True)
        for name, source in re.findall(r"^LoadCredential=([^:]+):(.+)$", text, re.MULTILINE):
            shutil.copyfile(self.etc / Path(source).name, credentials / name)
            (credentials / name).chmod(0o400)
        told = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "CREDENTIALS_DIRECTORY": str(credentials)}
        for name, value in re.findall(r"^Environment=([^=]+)=(.+)$", text, re.MULTILINE):
            told[name] = value.replace("%d", str(credentials))
        (command,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
        for known, here in (
            ("${CREDENTIALS_DIRECTORY}", str(credentials)),
            ("/var/lib/countersign-backups", str(self.backups)),
        ):
            command = command.replace(known, here)
        program, *arguments = shlex.split(command)
        assert program == "/opt/countersign/bin/countersign"
        return arguments, told

    def serve(self, notify: Path) -> Serving:
        arguments, told = self.start_of("countersign.service")
        return Serving({**told, "NOTIFY_SOCKET": str(notify)}, self.state, arguments=arguments)

    def run(self, arguments: list[str], told: dict[str, str]) -> str:
        done = subprocess.run(  # noqa: S603 - ours
            [sys.executable, "-m", "bot.cli", *arguments],
            env=told, cwd=self.state, capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def test_host_is_lost_and_comes_back_from_its_backup(tmp_path: Path) -> None:
    """Serve, back up by the unit while the bot runs, lose the disk, restore, and decide what was pending."""
    notify = tmp_path / "notify"
    with new_slack() as slack, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(notify))
        systemd.settimeout(PATIENCE)
        host = Host(tmp_path, slack)
        with host.serve(notify) as serving:
            assert b"READY=1" in systemd.recv(4096), serving.log
            for person in (MIRA, AIKO):
                assert slack.run_command(person, ACCESS, "/access", ASK).failure is None
            slack.wait_until(lambda: len(slack.messages(ACCESS)) > 1, PATIENCE)
            first, second = slack.messages(ACCESS)
            assert slack.press(JON, first, APPROVE).failure is None
            slack.wait_until(lambda: "pproved" in slack.messages(ACCESS)[0].text, PATIENCE)
            said = host.run(*host.start_of("countersign-backup.service"))
            serving.tell_to_stop()
            assert b"STOPPING=1" in systemd.recv(4096)
            assert serving.wait() == 0, serving.log
        (backup,) = host.backups.iterdir()
        assert f"wrote {backup}" in said
        for each in host.state.glob("countersign.db*"):
            each.unlink()

        place = f"sqlite:///{host.state}/countersign.db"
        key = {"COUNTERSIGN_AUDIT_KEY": None, "COUNTERSIGN_AUDIT_KEY_FILE": str(host.etc / "countersign-audit.key")}
        restored = CliRunner().invoke(countersign, ["restore", str(backup), "--store", place], env=key)
        assert "no tampering found" in restored.output, restored.output
        with host.serve(notify) as serving:
            assert b"READY=1" in systemd.recv(4096), serving.log
            assert slack.press(JON, second, APPROVE).failure is None
            serving.tell_to_stop()
            assert serving.wait() == 0, serving.log
        with closing(open_stores(place, keyring=AuditKeyring.from_text(AUDIT_KEY))) as stores:
            assert {each.status for each in stores.requests.iterate()} == {RequestStatus.APPROVED}
