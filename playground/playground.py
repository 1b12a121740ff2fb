"""A running playground: a local Slack with its page, and the real bot with a real store.

Invariant: only Slack itself is replaced. Everything listens on the loopback. `stop()` finishes what was acknowledged
and saves the workspace, so the next start continues from there.
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

from bot.slack.manifest import read_manifest
from bot.wiring.ports import Ports
from core.audit.keyring import AuditKeyring
from core.errors import InvalidInput, StoreMisconfigured
from core.policy import PolicyFile
from core.request import RequestStatus
from core.stores.base import Stores
from core.stores.opening import open_stores
from localslack.server import LocalSlack
from playground import history
from playground.bot_process import BotProcess
from playground.bots_clock import SkewedClock
from playground.clock import ClockAhead
from playground.demo_page import show_aws
from playground.demo_target import DemoTarget
from playground.evidence import Evidence
from playground.folder import Folder, PlaygroundState
from playground.page import PlaygroundPage
from playground.page_panels import PagePanels
from playground.panels import open_panels
from playground.people import populate
from playground.pretend_accounts import PretendClients, open_pretend_accounts
from playground.pretend_aws import PretendAws
from playground.pretend_trail import show_trail
from playground.real_bot import PretendTargets, api_url_of, find_port
from playground.snapshot import PageSnapshot
from playground.stream import Stream
from playground.terminal import Terminals
from playground.terminal_programs import write_programs
from playground.workspace_file import WorkspaceFile

PORT: Final = 8420


@dataclass(frozen=True, slots=True)
class Playground:
    """The running parts. A test can drive `slack` just as the page does."""

    slack: LocalSlack
    aws: DemoTarget
    cloud: PretendAws
    """STS, IAM and S3 for the terminals."""
    terminals: Terminals
    stores: Stores
    clock: ClockAhead
    panels: PagePanels
    bot: BotProcess
    move_clock: Callable[[timedelta], None]
    """Moves the clock, for this and later starts, and handles what becomes due."""
    _stack: ExitStack

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"{self.slack.url}/"

    def stop(self) -> None:
        """Stop everything, the page first, and save the workspace. Idempotent."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def open_playground(
    folder: Folder, *, store: str | None = None, port: int | None = None, has_history: bool = False
) -> Playground:
    """Start a playground in a folder, on its own SQLite file or on another store.

    With `has_history`, a new folder begins with a week of decisions; another store never gets them. Without a `port` it
    uses PORT, or a free one if that is taken. Raises InvalidInput, InvalidPolicy or StoreError, and then leaves nothing
    running.
    """
    with ExitStack() as stack:
        state, manifest = _load_state(folder), _load_manifest()
        begins_earlier = has_history and folder.is_new and store is None
        clock = ClockAhead(-history.LENGTH if begins_earlier else state.clock_ahead)
        keyring, bots_clock = AuditKeyring.from_text(state.audit_key), SkewedClock(clock)
        stores = _open_stores(folder, store, keyring, bots_clock)
        stack.callback(stores.close)
        # A missing table is reported now, not when somebody presses a button.
        stores.requests.list_by_status(RequestStatus.PENDING, limit=1)

        def move_clock(step: timedelta) -> None:
            clock.advance(step)
            folder.save_state(state.model_copy(update={"clock_ahead": clock.ahead}))
            bot.sweep()

        page = PlaygroundPage(move_clock)
        slack = _open_slack(clock, manifest, page, port)
        stack.callback(slack.stop)
        if folder.workspace.exists():
            _load(slack, folder.workspace)
        else:
            populate(slack.workspace)
        stack.callback(WorkspaceFile(slack, folder.workspace).stop)
        aws = _open_aws(folder, slack, clock)
        cloud, clients = _open_accounts(folder, slack, clock)
        stack.callback(cloud.stop)
        terminals = Terminals(folder.terminals, write_programs(folder.programs), slack.backend.journal)
        targets = PretendTargets(aws, clients)
        bot = BotProcess(slack, targets, stores, lambda: PolicyFile(folder.policy), bots_clock, state.api_port)
        panels = open_panels(folder, slack, bot, stores, keyring, bots_clock, has_file=store is None)
        snapshots = PageSnapshot(
            slack, aws, cloud, terminals, panels, manifest, state.id, store or "sqlite", state.began_at
        )
        stream = Stream(snapshots)
        page.connect(slack, aws, terminals, stream, Evidence(stores), panels)

        def prepare(ports: Ports) -> None:
            if begins_earlier:
                history.live_a_week(ports, slack.workspace, clock)

        stack.callback(bot.stop)
        bot.start(prepare)
        terminals.use({"COUNTERSIGN_SERVER": api_url_of(state.api_port), **cloud.environment})
        stack.callback(terminals.stop)
        stack.callback(stream.close)
        return Playground(slack, aws, cloud, terminals, stores, clock, panels, bot, move_clock, stack.pop_all())


def _load_state(folder: Folder) -> PlaygroundState:
    """The state, with a port for the API that is free: the last one if possible, since terminals are paired with it."""
    state = folder.load_state()
    found = state.model_copy(update={"api_port": find_port(state.api_port)})
    if found != state:
        folder.save_state(found)
    return found


def _open_stores(folder: Folder, store: str | None, keyring: AuditKeyring, clock: SkewedClock) -> Stores:
    try:
        return open_stores(store or folder.store_url, keyring=keyring, clock=clock)
    except StoreMisconfigured as error:
        if store is not None:
            raise
        # Nobody needs to keep trial data, so there is an easier fix than the error's own.
        raise InvalidInput(
            "folder", f"its records are from another version: {error.problem}", "Start fresh with --reset."
        ) from error


def _open_aws(folder: Folder, slack: LocalSlack, clock: ClockAhead) -> DemoTarget:
    journal = slack.backend.journal
    return DemoTarget(folder.aws, clock, lambda state: journal.publish("aws", {"aws": show_aws(state)}))


def _open_accounts(folder: Folder, slack: LocalSlack, clock: ClockAhead) -> tuple[PretendAws, PretendClients]:
    journal = slack.backend.journal
    cloud, clients = open_pretend_accounts(
        folder.roles, clock, lambda events: journal.publish("trail", {"trail": show_trail(events)})
    )
    cloud.start()
    return cloud, clients


def _open_slack(clock: ClockAhead, manifest: dict[str, Any], page: PlaygroundPage, port: int | None) -> LocalSlack:
    try:
        return LocalSlack(clock, manifest=manifest, routes=page.routes, port=PORT if port is None else port)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return _open_slack(clock, manifest, page, 0)
        problem = f"can't listen on port {port} ({error.strerror or error})"
        raise InvalidInput("--port", problem, "Choose another, or omit it.") from error


def _load(slack: LocalSlack, path: Path) -> None:
    try:
        slack.load(path)
    except (OSError, ValueError) as error:
        raise InvalidInput("folder", f"{path} can't be read", "Start fresh with --reset.") from error


def _load_manifest() -> dict[str, Any]:
    manifest: dict[str, Any] = YAML(typ="safe").load(read_manifest())
    return manifest
