"""The records of the workspace: people, user groups, channels, messages and views.

Invariant: records are immutable; a change makes a new one. What a reader was given stays as it was.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

Json = dict[str, Any]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Team(_Record):
    """A Slack workspace."""

    id: str = "T0LOCAL01"
    domain: str = "local"
    name: str = "Local"


class UploadedFile(_Record):
    """A file on its way, or there. `content` is in base64, once it came; `length` is what was announced."""

    id: str
    name: str
    length: int
    title: str = ""
    content: str | None = None
    is_complete: bool = False


class Person(_Record):
    """A person or a bot. `team_id` None means this workspace; a stranger comes from another one over Slack Connect."""

    id: str
    name: str
    real_name: str = ""
    email: str | None = None
    is_email_confirmed: bool = True
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
    """A user group such as @sre. The workspace sets `date_update`, in Unix seconds, at each change."""

    id: str
    handle: str
    name: str = ""
    users: tuple[str, ...] = ()
    is_disabled: bool = False
    updated_by: str | None = None
    date_update: int = 0


class Channel(_Record):
    """A channel; or, if `im_user` is set, the bot's direct messages with that person."""

    id: str
    name: str
    members: tuple[str, ...] = ()
    is_private: bool = False
    is_archived: bool = False
    is_ext_shared: bool = False
    is_pending_ext_shared: bool = False
    im_user: str | None = None

    @property
    def name_in_payloads(self) -> str:
        """The `channel_name` in payloads, which gives only public channels by name."""
        if self.im_user is not None:
            return "directmessage"
        return "privategroup" if self.is_private else self.name


class SlackMessage(_Record):
    """A message at one moment. For an ephemeral message, `to` is the one person who sees it."""

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
        """Whether only one person sees it."""
        return self.to is not None

    @property
    def all_blocks(self) -> list[Json]:
        """Its blocks and those of its attachments."""
        return [*self.blocks, *(block for attached in self.attachments for block in attached.get("blocks", []))]


class View(_Record):
    """A modal or a Home tab at one moment. `content` is what the app sent, with every id filled in."""

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
        """The callback_id that the app gave it, or ""."""
        return str(self.content.get("callback_id", ""))

    @property
    def blocks(self) -> list[Json]:
        """Its blocks."""
        return list(self.content["blocks"])
