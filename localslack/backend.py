"""What all doors of the local Slack share: the workspace, the app as installed, and what was handed out to it.

Invariant: there is one of each for one LocalSlack, so that a button, an API call and a response_url act on one state.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from core.clock import Clock
from localslack.app_settings import AppSettings
from localslack.faults import Faults
from localslack.journal import Journal
from localslack.rate_limits import RateLimits
from localslack.records import Json, Message, Person
from localslack.tickets import Tickets
from localslack.views import Views
from localslack.workspace import Workspace


@dataclass(slots=True)
class Backend:
    """The rooms behind the doors. `url` is where they are, known once the server has its port."""

    clock: Clock
    app: AppSettings
    journal: Journal = field(init=False)
    workspace: Workspace = field(init=False)
    tickets: Tickets = field(init=False)
    views: Views = field(init=False)
    limits: RateLimits = field(init=False)
    faults: Faults = field(init=False, default_factory=Faults)
    url: str = ""

    def __post_init__(self) -> None:
        self.journal = Journal(self.clock)
        self.workspace = Workspace(self.journal, self.app.bot_user)
        self.tickets = Tickets(self.journal)
        self.views = Views(self.workspace)
        self.limits = RateLimits(self.clock)
        name = self.app.name
        handle = name.lower().replace(" ", "_")
        self.workspace.add(Person(id=self.app.bot_user, name=handle, real_name=name, is_bot=True))

    def revoke(self) -> None:
        """From now on every token is revoked."""
        self.app = replace(self.app, is_revoked=True)

    def message_json(self, message: Message) -> Json:
        """A message as the Web API and payloads show it."""
        shown: Json = {"type": "message", "user": message.user, "text": message.text, "ts": message.ts}
        shown["team"] = self.workspace.team.id
        if message.user == self.app.bot_user:
            profile = {"id": self.app.bot_id, "app_id": self.app.id, "name": self.app.name, "deleted": False}
            shown |= {"bot_id": self.app.bot_id, "app_id": self.app.id, "bot_profile": profile}
        if message.blocks:
            shown["blocks"] = list(message.blocks)
        if message.attachments:
            shown["attachments"] = list(message.attachments)
        if message.thread_ts is not None:
            shown["thread_ts"] = message.thread_ts
        if message.edited_ts is not None:
            shown["edited"] = {"user": message.user, "ts": message.edited_ts}
        return shown
