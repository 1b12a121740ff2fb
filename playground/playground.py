"""A running playground: a local Slack with its page, and the real bot on a real store behind a real door.

Invariant: nothing is replaced but Slack itself. Everything listens on the loopback, and `stop()` finishes what was
acknowledged and keeps what was shown, so that the next start goes on from here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self

from ruamel.yaml import YAML

from bot.ports import Background
from bot.slack.manifest import read_manifest
from core.audit.trail import AuditKeyring
from core.errors import InvalidInput, StoreMisconfigured
from core.policy import PolicyFile
from core.request import RequestStatus
from core.stores.base import Stores
from core.stores.opening import open_stores
from localslack.server import LocalSlack
from playground.cast import populate
from playground.clock import ClockAhead
from playground.evidence import Evidence
from playground.folder import Folder
from playground.keeping import Keeper
from playground.page import Page
from playground.real_bot import start_bot
from playground.snapshot import Scene
from playground.stream import Stream

PORT: Final = 8420


@dataclass(frozen=True, slots=True)
class Playground:
    """What runs. A test may drive `slack` as well as a page does."""

    slack: LocalSlack
    stores: Stores
    clock: ClockAhead
    sweeper: Background
    move_clock: Callable[[timedelta], None]
    """Lets time pass, for this start and the next, and does what falls due."""
    _stack: ExitStack

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"{self.slack.url}/"

    def stop(self) -> None:
        """Stop everything, the page first, and keep the workspace. Idempotent."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def open_playground(folder: Folder, *, store: str | None = None, port: int | None = None) -> Playground:
    """Start a playground in a folder, on its own SQLite file or on another store.

    Without a `port` it takes PORT, or a free one when that is taken. Raises InvalidInput, InvalidPolicy, StoreError:
    then nothing is left running.
    """
    with ExitStack() as stack:
        remembered, manifest = folder.recall(), _load_manifest()
        clock, policy = ClockAhead(remembered.clock_ahead), PolicyFile(folder.policy)
        keyring = AuditKeyring.from_text(remembered.audit_key)
        stores = _open_stores(folder, store, keyring, clock)
        stack.callback(stores.close)
        # A table that is missing is told of now, and not to somebody who pressed a button.
        stores.requests.list_by_status(RequestStatus.PENDING, limit=1)

        def move_clock(step: timedelta) -> None:
            clock.advance(step)
            folder.remember(remembered.model_copy(update={"clock_ahead": clock.ahead}))
            sweeper.sweep()

        page = Page(move_clock)
        slack = _open_slack(clock, manifest, page, port)
        stack.callback(slack.stop)
        if folder.workspace.exists():
            _load(slack, folder.workspace)
        else:
            populate(slack.workspace)
        stack.callback(Keeper(slack, folder.workspace).stop)
        stream = Stream(Scene(slack, manifest, remembered.id, store or "sqlite"))
        page.connect(slack, stream, Evidence(stores))
        sweeper = start_bot(stack, slack, stores, policy, clock)
        stack.callback(stream.close)
        return Playground(slack, stores, clock, sweeper, move_clock, stack.pop_all())


def _open_stores(folder: Folder, store: str | None, keyring: AuditKeyring, clock: ClockAhead) -> Stores:
    try:
        return open_stores(store or folder.store_url, keyring=keyring, clock=clock)
    except StoreMisconfigured as error:
        if store is not None:
            raise
        # Nobody has to keep what was only tried, so there is an easier way than the error's own.
        raise InvalidInput(
            "folder", f"its records are not of this version: {error.problem}", "Start anew with --reset."
        ) from error


def _open_slack(clock: ClockAhead, manifest: dict[str, Any], page: Page, port: int | None) -> LocalSlack:
    try:
        return LocalSlack(clock, manifest=manifest, routes=page.routes, port=PORT if port is None else port)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return _open_slack(clock, manifest, page, 0)
        problem = f"nothing can listen on {port} ({error.strerror or error})"
        raise InvalidInput("--port", problem, "Choose another, or leave it out.") from error


def _load(slack: LocalSlack, path: Path) -> None:
    try:
        slack.load(path)
    except (OSError, ValueError) as error:
        raise InvalidInput("folder", f"{path} cannot be read", "Start anew with --reset.") from error


def _load_manifest() -> dict[str, Any]:
    manifest: dict[str, Any] = YAML(typ="safe").load(read_manifest())
    return manifest
