"""The records of the workspace: who is there, where they talk, what was said and shown.

Invariant: a record never changes; a change makes a new one. So what a reader was given stays what it saw.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

Json = dict[str, Any]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Team(_Record):
    """A Slack workspace, as its own or as the home of a person from elsewhere."""

    id: str = "T0LOCAL01"
    domain: str = "local"
    name: str = "Local"


class Person(_Record):
    """Somebody, human or bot. `team_id` None means this workspace; a stranger comes in over Slack Connect."""

    id: str
    name: str
    real_name: str = ""
    email: str | None = None
    team_id: str | None = None
    enterprise_id: str | None = None
    tz: str = "Etc/UTC"
    is_admin: bool = False
    is_bot: bool = False
    deleted: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False


class UserGroup(_Record):
    """A user group such as @sre."""

    id: str
    handle: str
    name: str = ""
    users: tuple[str, ...] = ()
    is_disabled: bool = False


class Channel(_Record):
    """A channel, or a direct conversation with the bot when `im_user` says with whom."""

    id: str
    name: str
    members: tuple[str, ...] = ()
    is_private: bool = False
    is_archived: bool = False
    is_ext_shared: bool = False
    im_user: str | None = None

    @property
    def name_in_payloads(self) -> str:
        """How payloads name it: only public channels by their name."""
        if self.im_user is not None:
            return "directmessage"
        return "privategroup" if self.is_private else self.name


class Message(_Record):
    """A message as it was at one moment. `to` is who alone sees it, for an ephemeral one."""

    ts: str
    channel: str
    user: str
    text: str
    blocks: tuple[Json, ...] = ()
    attachments: tuple[Json, ...] = ()
    thread_ts: str | None = None
    edited_ts: str | None = None
    metadata: Json | None = None
    to: str | None = None

    @property
    def is_ephemeral(self) -> bool:
        """Whether one person alone sees it."""
        return self.to is not None

    @property
    def all_blocks(self) -> list[Json]:
        """Its blocks and those of its attachments."""
        return [*self.blocks, *(block for attached in self.attachments for block in attached.get("blocks", []))]


class View(_Record):
    """A modal or a Home tab as it was at one moment. `content` is what the app sent, with every id filled in."""

    id: str
    user: str
    content: Json
    hash: str
    values: Json
    root_view_id: str
    previous_view_id: str | None = None

    @property
    def type(self) -> str:
        """`modal` or `home`."""
        return str(self.content["type"])

    @property
    def callback_id(self) -> str:
        """The app's name for it, or ""."""
        return str(self.content.get("callback_id", ""))

    @property
    def blocks(self) -> list[Json]:
        """Its blocks."""
        return list(self.content["blocks"])
