"""The whole workspace as JSON at one moment: the first event of a page's stream.

Invariant: it's taken under the journal's lock, so a page that then gets every later change misses nothing and gets
nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.clock import format_time
from localslack.records import Json
from localslack.server import LocalSlack
from playground.demo_page import show_aws
from playground.demo_target import DemoTarget
from playground.modal_owners import ModalOwners
from playground.page_panels import PagePanels
from playground.people import APPROVERS, PEOPLE
from playground.pretend_aws import PretendAws
from playground.pretend_trail import show_trail
from playground.terminal import Terminals


@dataclass(frozen=True, slots=True)
class PageSnapshot:
    """Takes snapshots for the page. `manifest` is the app's; `id` identifies this playground."""

    slack: LocalSlack
    aws: DemoTarget
    cloud: PretendAws
    terminals: Terminals
    panels: PagePanels
    manifest: dict[str, Any]
    id: str = "playground"
    store: str = ""
    began_at: datetime | None = None
    owners: ModalOwners | None = None
    approvers: tuple[str, ...] = APPROVERS
    roles: dict[str, str] = field(default_factory=lambda: {each.person.id: each.role for each in PEOPLE})

    def take(self) -> Json:
        """Everything that anybody can see. A page shows what its person may see."""
        slack, workspace = self.slack, self.slack.workspace
        with slack.backend.journal.lock:
            people = workspace.people
            return {
                "playground": {"id": self.id, "store": self.store, "approvers": self.approvers, "began": self._began()},
                "now": format_time(slack.backend.clock.now()),
                "aws": show_aws(self.aws.state),
                "trail": show_trail(self.cloud.events),
                "terminals": self.terminals.show(),
                "panels": self.panels.show(),
                "team": workspace.team.model_dump(),
                "app": self._app(),
                "cast": [{"id": user, "role": role} for user, role in self.roles.items()],
                "people": [person.model_dump() for person in people],
                "groups": [group.model_dump() for group in workspace.groups],
                "channels": [channel.model_dump() for channel in workspace.channels],
                "messages": [
                    message.model_dump() for channel in workspace.channels for message in workspace.messages(channel.id)
                ],
                "ephemerals": [m.model_dump() for person in people for m in workspace.ephemerals(person.id)],
                "homes": {
                    person.id: home.model_dump() for person in people if (home := workspace.home(person.id)) is not None
                },
                "modal_owners": self.owners.to_json() if self.owners is not None else {},
                "modals": {
                    person.id: [view.model_dump() for view in stack]
                    for person in people
                    if (stack := workspace.modals(person.id))
                },
            }

    def _began(self) -> float:
        return self.began_at.timestamp() if self.began_at is not None else 0

    def _app(self) -> Json:
        app, features = self.slack.backend.app, self.manifest.get("features", {})
        return {
            "name": app.name,
            "bot_user": app.bot_user,
            "has_home_tab": app.has_home_tab,
            "reads_messages": not features.get("app_home", {}).get("messages_tab_read_only_enabled", False),
            "commands": [
                {"name": command.name, "description": command.description, "usage_hint": command.usage_hint}
                for command in app.commands or ()
            ],
            "shortcuts": [
                {key: shortcut.get(key, "") for key in ("callback_id", "name", "description")}
                for shortcut in features.get("shortcuts", [])
                if shortcut.get("type") == "global"
            ],
        }
