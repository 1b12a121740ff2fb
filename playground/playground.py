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
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from ruamel.yaml import YAML

from bot.slack.app_surface import PICTURE_SCOPE
from bot.slack.manifest import read_manifest
from core.audit.keyring import AuditKeyring
from core.errors import InvalidInput, StoreMisconfigured
from core.policy import Policy, PolicyFile
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
from playground.modal_owners import ModalOwners
from playground.page import PageParts, PlaygroundPage
from playground.page_panels import PagePanels
from playground.panels import open_panels
from playground.people import populate
from playground.pretend_accounts import PretendClients, open_pretend_accounts
from playground.pretend_aws import PretendAws
from playground.pretend_on_call import PretendOnCall
from playground.pretend_trail import show_trail
from playground.race_track import RaceTrack
from playground.real_bot import PretendServices, api_url_of, find_port
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
    uses PORT, or a free one. Raises InvalidInput, InvalidPolicy or StoreError, and then leaves nothing running.
    """
    with ExitStack() as stack:
        begins_earlier = has_history and folder.is_new and store is None
        ground = _open_ground(stack, folder, store, -history.LENGTH if begins_earlier else None)
        clock = ground.clock

        def move_clock(step: timedelta) -> None:
            clock.advance(step)
            on_call.schedules.note_moved()
            folder.save_state(ground.state.model_copy(update={"clock_ahead": clock.ahead}))
            bot.sweep()

        page = PlaygroundPage(move_clock)
        slack = _open_workspace(stack, ground, page, port)
        aws = _open_aws(folder, slack, clock)
        cloud, clients = _open_accounts(folder, slack, clock)
        stack.callback(cloud.stop)
        terminals = Terminals(folder.terminals, write_programs(folder.programs), slack.backend.journal)
        on_call = _open_on_call(ground, lambda: bot.policy.state.policy)
        bot = _open_bot(ground, slack, PretendServices(aws, clients, on_call))
        parts = _open_parts(ground, slack, aws, cloud, terminals, bot, on_call)
        stack.callback(parts.track.stop)
        page.connect(parts)

        stack.callback(bot.stop)
        bot.start(partial(history.live_a_week, workspace=slack.workspace, clock=clock) if begins_earlier else None)
        terminals.use({"COUNTERSIGN_SERVER": api_url_of(ground.state.api_port), **cloud.environment})
        stack.callback(terminals.stop)
        stack.callback(parts.stream.close)
        closing, panels = stack.pop_all(), parts.panels
        return Playground(slack, aws, cloud, terminals, ground.stores, clock, panels, bot, move_clock, closing)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on. `store` is the URL that was asked for, None for the folder's own file."""

    folder: Folder
    store: str | None
    state: PlaygroundState
    manifest: dict[str, Any]
    keyring: AuditKeyring
    clock: ClockAhead
    bots_clock: SkewedClock
    stores: Stores


def _open_ground(stack: ExitStack, folder: Folder, store: str | None, ahead: timedelta | None) -> _Ground:
    state, manifest = _load_state(folder), load_manifest()
    clock = ClockAhead(state.clock_ahead if ahead is None else ahead)
    keyring = AuditKeyring.from_text(state.audit_key)
    bots_clock = SkewedClock(clock)
    stores = _open_stores(folder, store, keyring, bots_clock)
    stack.callback(stores.close)
    # A missing table is reported now, not when somebody presses a button.
    stores.requests.list_by_status(RequestStatus.PENDING, limit=1)
    return _Ground(folder, store, state, manifest, keyring, clock, bots_clock, stores)


def _open_workspace(stack: ExitStack, ground: _Ground, page: PlaygroundPage, port: int | None) -> LocalSlack:
    slack, path = _open_slack(ground.clock, ground.manifest, page, port), ground.folder.workspace
    stack.callback(slack.stop)
    if path.exists():
        _load(slack, path)
    else:
        populate(slack.workspace)
    stack.callback(WorkspaceFile(slack, path).stop)
    return slack


def _open_bot(ground: _Ground, slack: LocalSlack, pretended: PretendServices) -> BotProcess:
    policy = ground.folder.policy
    return BotProcess(
        slack, pretended, ground.stores, lambda: PolicyFile(policy), ground.bots_clock, ground.state.api_port
    )


def _open_on_call(ground: _Ground, follow: Callable[[], Policy]) -> PretendOnCall:
    clock, state = ground.clock, ground.state
    return PretendOnCall(ground.folder.pager, clock, state.began_at or clock.now(), follow)


def _open_parts(
    ground: _Ground,
    slack: LocalSlack,
    aws: DemoTarget,
    cloud: PretendAws,
    terminals: Terminals,
    bot: BotProcess,
    on_call: PretendOnCall,
) -> PageParts:
    """What the page works on, with the stream of everything that it shows."""
    journal, state = slack.backend.journal, ground.state
    panels = open_panels(
        ground.folder,
        slack,
        bot,
        ground.stores,
        ground.keyring,
        ground.bots_clock,
        on_call,
        has_file=ground.store is None,
    )
    owners, store = ModalOwners(journal), ground.store or "sqlite"
    snapshots = PageSnapshot(
        slack, aws, cloud, terminals, panels, ground.manifest, state.id, store, state.began_at, owners
    )
    track = RaceTrack(ground.manifest, lambda tally: journal.publish("races", {"races": tally}))
    return PageParts(slack, aws, terminals, Stream(snapshots), Evidence(ground.stores), panels, owners, track)


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


def load_manifest() -> dict[str, Any]:
    """The app of the playground, as Slack has it."""
    manifest: dict[str, Any] = YAML(typ="safe").load(read_manifest())
    # Its policy asks for the picture of the monthly summary.
    manifest["oauth_config"]["scopes"]["bot"].append(PICTURE_SCOPE)
    return manifest
