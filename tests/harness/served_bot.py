"""`countersign serve` as a process of its own, with a local Slack before it.

Invariant: the process sees the environment that it is given and no other, and is gone when its context ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from ruamel.yaml import YAML

from core.audit.keyring import AuditKeyring
from core.stores import open_stores
from core.stores.base import Stores
from localslack.records import Channel, Person, UserGroup
from localslack.server import LocalSlack
from tests.end_to_end.harness import ACCESS, AIKO, JON, MIRA, PAIRS, POLICY, ROOT, SAM
from tests.harness.patience import SLACK_SECONDS
from tests.harness.policy_files import write_settled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

AUDIT_KEY: Final = "an-audit-key-of-more-than-32-characters"
PATIENCE: Final = 120.0
"""Seconds after which a process is broken, not slow."""


def new_slack() -> LocalSlack:
    """A local Slack with the people and channels of the end-to-end policy."""
    manifest: dict[str, Any] = YAML(typ="safe").load(ROOT / "manifest.yml")
    slack = LocalSlack(manifest=manifest, timeout_seconds=SLACK_SECONDS)
    everybody = (MIRA, JON, AIKO, SAM, slack.backend.app.bot_user)
    slack.workspace.add(
        *(Person(id=each, name=each[2:].lower()) for each in (MIRA, JON, AIKO, SAM)),
        UserGroup(id="S0ENG", handle="eng", users=(MIRA, JON, AIKO)),
        Channel(id=ACCESS, name="access-prod", members=everybody),
        Channel(id=PAIRS, name="pairs", members=everybody),
    )
    return slack


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def environment(slack: LocalSlack, folder: Path, **more: str) -> dict[str, str]:
    """The environment of `serve`, for HTTP on `port`, or for Socket Mode without COUNTERSIGN_LISTEN."""
    policy = folder / "policy.yml"
    write_settled(policy, POLICY)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "COUNTERSIGN_STORE": f"sqlite:///{folder}/countersign.db",
        "COUNTERSIGN_POLICY": str(policy),
        "COUNTERSIGN_AUDIT_KEY": AUDIT_KEY,
        "COUNTERSIGN_LOG": "json",
        "COUNTERSIGN_METRICS": "off",
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": slack.api_url,
        **more,
    }


class Serving:
    """The running process. `log` is what it wrote, once it has ended."""

    def __init__(
        self,
        told: dict[str, str],
        folder: Path,
        command: Sequence[str] = (sys.executable, "-m", "bot.cli"),
        arguments: Sequence[str] = ("serve",),
    ) -> None:
        self._log = folder / "serve.log"
        self._told = told
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  Ours.
                [*command, *arguments], cwd=folder, env=told, stdout=log, stderr=log
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE)

    @property
    def log(self) -> str:
        """What the process wrote so far."""
        return self._log.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log, line by line."""
        return [json.loads(line) for line in self.log.splitlines()]

    def wait_until_up(self, slack: LocalSlack) -> None:
        """Wait until it says that it is up. Raises AssertionError when it ended instead."""

        def look() -> bool:
            assert self._process.poll() is None, self.log
            return " is up, over " in self.log

        slack.wait_until(look, PATIENCE)

    def tell_to_stop(self, number: int = signal.SIGTERM) -> None:
        """Send the signal, and do not wait."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as kill -9 does, at this very moment."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def wait(self) -> int:
        """The exit code."""
        return self._process.wait(PATIENCE)

    def open_stores(self) -> Stores:
        """The stores that it works on."""
        return open_stores(self._told["COUNTERSIGN_STORE"], keyring=AuditKeyring.from_text(AUDIT_KEY))
