"""What the endpoints of the local Slack share: the workspace, the installed app, and the tokens it was given.

Invariant: one LocalSlack has one of each, so a button, an API call and a response_url all act on the same state.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from localslack.app_settings import AppSettings
from localslack.clock import Clock
from localslack.faults import Faults
from localslack.files import Files
from localslack.interaction_tokens import InteractionTokens
from localslack.journal import Journal
from localslack.rate_limits import RateLimits
from localslack.records import Json, Person, SlackMessage
from localslack.views import Views
from localslack.workspace import Workspace


@dataclass(slots=True)
class Backend:
    """The shared state. `url` is the server's address."""

    clock: Clock
    app: AppSettings
    url: str
    journal: Journal = field(init=False)
    workspace: Workspace = field(init=False)
    interaction_tokens: InteractionTokens = field(init=False)
    views: Views = field(init=False)
    limits: RateLimits = field(init=False)
    faults: Faults = field(init=False, default_factory=Faults)
    files: Files = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.clock)
        self.workspace = Workspace(self.journal, self.app.bot_user)
        self.interaction_tokens = InteractionTokens(self.journal)
        self.views = Views(self.workspace)
        self.limits = RateLimits(self.clock)
        self.files = Files(self.journal)
        name = self.app.name
        handle = name.lower().replace(" ", "_")
        self.workspace.add(Person(id=self.app.bot_user, name=handle, real_name=name, is_bot=True))

    def revoke(self) -> None:
        """Revoke every token of the app."""
        self.app = replace(self.app, is_revoked=True)

    def message_json(self, message: SlackMessage) -> Json:
        """A message as the Web API returns it and payloads carry it."""
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
