"""Membership: decides from Slack's users.info whether a person is a member or an outsider.

Invariant: a member is a person for whom Slack confirms every condition; a missing flag never counts as false.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, JsonValue

from core.actor import Actor, UserId

DEACTIVATED: Final = "this Slack account is deactivated; ask an admin of the workspace to activate it"
BOT: Final = "bots and apps cannot act here; a person has to do it"
GUEST: Final = "guests can't use Countersign; ask a full member of this workspace to do it"
STRANGER: Final = "people from outside cannot act here; ask a member of this workspace to do it"
SLACKBOT: Final = "USLACKBOT"
"""Slack's own bot, for which users.info returns `is_bot: false`."""
_MAX_NAME_LENGTH: Final = 80


@dataclass(frozen=True, slots=True)
class Member:
    """An active full member. `teams` are the team ids that their payloads may contain.

    `zone` is the time zone of their clock; None: Slack doesn't say, or it isn't one.
    """

    actor: Actor
    teams: frozenset[str]
    zone: ZoneInfo | None = None


@dataclass(frozen=True, slots=True)
class Outsider:
    """A person who may not act, and the reason, written for them."""

    reason: str


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)


class _Profile(_Part):
    display_name: str | None = None
    real_name: str | None = None
    email: str | None = None


class _EnterpriseUser(_Part):
    enterprise_id: str
    teams: list[str] = []


class _User(_Part):
    """https://docs.slack.dev/reference/objects/user-object. None means that Slack didn't say.

    `is_app_user` is ignored: it only says that a person has authorised this app.
    """

    id: str
    team_id: str
    deleted: bool
    name: str = ""
    is_bot: bool | None = None
    is_workflow_bot: bool = False
    is_restricted: bool | None = None
    is_ultra_restricted: bool | None = None
    is_stranger: bool = False
    is_email_confirmed: bool = False
    profile: _Profile = _Profile()
    enterprise_user: _EnterpriseUser | None = None
    tz: JsonValue = None


def read_membership(answer: object, user_id: UserId, team_id: str, enterprise_id: str | None) -> Member | Outsider:
    """Classify the `user` in an answer to users.info about `user_id`. Raises ValueError for a malformed one."""
    user = _User.model_validate(answer)
    if user.id != user_id:
        raise ValueError("the answer is about somebody else")
    if user.deleted:
        return Outsider(DEACTIVATED)
    if user.is_bot or user.is_workflow_bot or user.id == SLACKBOT:
        return Outsider(BOT)
    teams = _teams(user, enterprise_id)
    if user.is_stranger or team_id not in teams:
        return Outsider(STRANGER)
    if user.is_restricted or user.is_ultra_restricted:
        return Outsider(GUEST)
    if None in (user.is_bot, user.is_restricted, user.is_ultra_restricted):
        raise ValueError("the answer leaves out whether this is a bot or a guest")
    return Member(Actor(id=user_id, name=_name(user), email=_email(user)), teams, _zone(user))


def _teams(user: _User, enterprise_id: str | None) -> frozenset[str]:
    """The teams of a person. On Grid: the organisation, and each of its workspaces that Slack lists."""
    grid = user.enterprise_user
    if enterprise_id is None or grid is None:
        return frozenset({user.team_id})
    if grid.enterprise_id != enterprise_id:
        return frozenset()
    return frozenset({user.team_id, enterprise_id, *grid.teams})


def _name(user: _User) -> str:
    return (user.profile.display_name or user.profile.real_name or user.name)[:_MAX_NAME_LENGTH]


def _zone(user: _User) -> ZoneInfo | None:
    try:
        # What isn't a name of a zone says nothing about who somebody is.
        return ZoneInfo(user.tz) if isinstance(user.tz, str) else None
    except (ValueError, LookupError, OSError):
        return None


def _email(user: _User) -> str | None:
    # Operators may rely on the e-mail address, and anybody can type an unconfirmed one into their profile.
    return (user.profile.email or None) if user.is_email_confirmed else None
