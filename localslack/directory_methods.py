"""The methods users.*, usergroups.* and conversations.*.

Invariant: they reveal no more than Slack does: no e-mail without its scope, no private channel without membership, and
almost nothing about a deactivated person.
"""

from __future__ import annotations

from localslack.api_method import ApiMethod
from localslack.api_request import ApiRequest
from localslack.backend import Backend
from localslack.rate_limits import TIER_2, TIER_3, TIER_4
from localslack.records import Channel, Json, Person, SlackMessage, UserGroup
from localslack.refusals import SlackRefusal


def person_json(backend: Backend, person: Person) -> Json:
    """A person as users.info returns them."""
    team = person.team_id or backend.workspace.team.id
    profile: Json = {"real_name": person.real_name or person.name, "display_name": person.name, "team": team}
    if "users:read.email" in backend.app.scopes and person.email is not None:
        profile["email"] = person.email
    shown: Json = {
        "id": person.id,
        "team_id": team,
        "name": person.name,
        "deleted": person.deleted,
        "profile": profile,
        "is_bot": person.is_bot,
        "is_app_user": False,
        "updated": 0,
    }
    if person.enterprise_id is not None:
        shown["enterprise_user"] = {"id": person.id, "enterprise_id": person.enterprise_id, "teams": [team]}
    if person.is_stranger:
        shown["is_stranger"] = True
    if not person.deleted:
        # Slack leaves these out for deactivated people, so a missing flag does not mean False.
        shown |= {
            "real_name": person.real_name or person.name,
            "tz": person.tz,
            "is_admin": person.is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": person.is_restricted,
            "is_ultra_restricted": person.is_ultra_restricted,
            "is_email_confirmed": person.is_email_confirmed,
        }
    return shown


def group_json(backend: Backend, group: UserGroup) -> Json:
    """A user group with its members, as events and usergroups.list carry it. Slack writes the count as text there."""
    return {
        "id": group.id,
        "team_id": backend.workspace.team.id,
        "is_usergroup": True,
        "is_subteam": True,
        "handle": group.handle,
        "name": group.name or group.handle,
        "description": "",
        "is_external": False,
        "date_create": 0,
        "date_update": group.date_update,
        "date_delete": group.date_update if group.is_disabled else 0,
        "auto_type": None,
        "created_by": backend.app.bot_user,
        "updated_by": group.updated_by or backend.app.bot_user,
        "deleted_by": None,
        "prefs": {"channels": [], "groups": []},
        "users": list(group.users),
        "user_count": str(len(group.users)),
    }


_ONLY_IF_ASKED = {"users": "include_users", "user_count": "include_count"}


def _users_info(backend: Backend, request: ApiRequest) -> Json:
    return {"user": person_json(backend, backend.workspace.person(request.required("user")))}


def _users_list(backend: Backend, request: ApiRequest) -> Json:
    people, cursor = request.page(backend.workspace.people)
    return {"members": [person_json(backend, person) for person in people], **_next(cursor)}


def _lookup_by_email(backend: Backend, request: ApiRequest) -> Json:
    email = request.required("email").lower()
    for person in backend.workspace.people:
        # "If the user has been deactivated, users_not_found will be returned": the method's page.
        is_here = not person.deleted and not person.is_stranger and not person.is_bot
        if (person.email or "").lower() == email and is_here:
            return {"user": person_json(backend, person)}
    raise SlackRefusal("users_not_found")


def _usergroups_list(backend: Backend, request: ApiRequest) -> Json:
    shown = []
    for group in backend.workspace.groups:
        if group.is_disabled and not request.flag("include_disabled"):
            continue
        whole = group_json(backend, group)
        left_out = {name for name, flag in _ONLY_IF_ASKED.items() if not request.flag(flag)}
        shown.append({name: value for name, value in whole.items() if name not in left_out})
    return {"usergroups": shown}


def _usergroups_users_list(backend: Backend, request: ApiRequest) -> Json:
    wanted = request.required("usergroup")
    for group in backend.workspace.groups:
        if group.id == wanted and (request.flag("include_disabled") or not group.is_disabled):
            return {"users": list(group.users)}
    raise SlackRefusal("no_such_subteam")


def _channel_json(backend: Backend, channel: Channel) -> Json:
    shown: Json = {"id": channel.id, "is_archived": channel.is_archived, "context_team_id": backend.workspace.team.id}
    if channel.im_user is not None:
        return {**shown, "is_im": True, "user": channel.im_user, "is_user_deleted": False}
    return {
        **shown,
        "name": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_ext_shared": channel.is_ext_shared,
        "is_pending_ext_shared": channel.is_pending_ext_shared,
        "is_shared": channel.is_ext_shared,
        "is_member": backend.app.bot_user in channel.members,
    }


def _visible(backend: Backend, channel_id: str, right: str) -> Channel:
    """A channel that the bot can see. Raises SlackRefusal channel_not_found or missing_scope."""
    channel = backend.workspace.channel(channel_id)
    if channel.is_private and backend.app.bot_user not in channel.members:
        raise SlackRefusal("channel_not_found")
    kind = "im" if channel.im_user is not None else "groups" if channel.is_private else "channels"
    if (needed := f"{kind}:{right}") not in backend.app.scopes:
        raise SlackRefusal("missing_scope", needed=needed, provided=",".join(sorted(backend.app.scopes)))
    return channel


def _conversations_info(backend: Backend, request: ApiRequest) -> Json:
    return {"channel": _channel_json(backend, _visible(backend, request.required("channel"), "read"))}


def _conversations_list(backend: Backend, request: ApiRequest) -> Json:
    kinds = (request.text("types") or "public_channel").split(",")
    channels = [
        channel
        for channel in backend.workspace.channels
        if ("im" if channel.im_user else "private_channel" if channel.is_private else "public_channel") in kinds
        and not (channel.is_archived and request.flag("exclude_archived"))
        and (not channel.is_private or backend.app.bot_user in channel.members)
    ]
    shown, cursor = request.page(channels)
    return {"channels": [_channel_json(backend, channel) for channel in shown], **_next(cursor)}


def _conversations_members(backend: Backend, request: ApiRequest) -> Json:
    channel = _visible(backend, request.required("channel"), "read")
    members, cursor = request.page(list(channel.members))
    return {"members": members, **_next(cursor)}


def _conversations_open(backend: Backend, request: ApiRequest) -> Json:
    if (channel := request.text("channel")) is not None:
        opened = backend.workspace.channel(channel)
    else:
        user = request.text("users")
        if user is None:
            raise SlackRefusal("users_list_not_supplied")
        if "," in user:
            raise SlackRefusal("method_not_supported_for_channel_type")
        person = backend.workspace.person(user)
        if person.deleted:
            raise SlackRefusal("user_disabled")
        if person.is_bot:
            raise SlackRefusal("cannot_dm_bot")
        opened = backend.workspace.direct(user)
    return {"channel": {"id": opened.id}}


def _messages_in_range(backend: Backend, request: ApiRequest) -> list[SlackMessage]:
    channel = _visible(backend, request.required("channel"), "history")
    if backend.app.bot_user not in channel.members:
        raise SlackRefusal("not_in_channel")
    oldest, latest = float(request.text("oldest") or 0), float(request.text("latest") or "inf")
    is_inclusive = request.flag("inclusive")
    return [
        message
        for message in backend.workspace.messages(channel.id)
        if oldest < float(message.ts) < latest or (is_inclusive and float(message.ts) in {oldest, latest})
    ]


def _messages_page(backend: Backend, request: ApiRequest, messages: list[SlackMessage]) -> Json:
    page, cursor = request.page(messages, 100)
    with_metadata = request.flag("include_all_metadata")
    shown = [backend.message_json(m) | ({"metadata": m.metadata} if with_metadata and m.metadata else {}) for m in page]
    return {"messages": shown, "has_more": bool(cursor), **(_next(cursor) if cursor else {})}


def _conversations_history(backend: Backend, request: ApiRequest) -> Json:
    posted = [message for message in _messages_in_range(backend, request) if message.thread_ts in {None, message.ts}]
    return _messages_page(backend, request, list(reversed(posted)))


def _conversations_replies(backend: Backend, request: ApiRequest) -> Json:
    root = request.required("ts")
    thread = [message for message in _messages_in_range(backend, request) if root in {message.ts, message.thread_ts}]
    if not thread:
        raise SlackRefusal("thread_not_found")
    return _messages_page(backend, request, thread)


def _next(cursor: str) -> Json:
    return {"response_metadata": {"next_cursor": cursor}}


_READ = ("channels:read", "groups:read", "im:read")
_HISTORY = ("channels:history", "groups:history", "im:history")
DIRECTORY_METHODS = {
    "users.info": ApiMethod(_users_info, ("users:read",), TIER_4),
    "users.list": ApiMethod(_users_list, ("users:read",), TIER_2),
    "users.lookupByEmail": ApiMethod(_lookup_by_email, ("users:read.email",), TIER_3),
    "usergroups.list": ApiMethod(_usergroups_list, ("usergroups:read",), TIER_2),
    "usergroups.users.list": ApiMethod(_usergroups_users_list, ("usergroups:read",), TIER_2),
    "conversations.info": ApiMethod(_conversations_info, _READ, TIER_3),
    "conversations.list": ApiMethod(_conversations_list, _READ, TIER_2),
    "conversations.members": ApiMethod(_conversations_members, _READ, TIER_4),
    "conversations.open": ApiMethod(_conversations_open, ("im:write",), TIER_3),
    "conversations.history": ApiMethod(_conversations_history, _HISTORY, TIER_3),
    "conversations.replies": ApiMethod(_conversations_replies, _HISTORY, TIER_3),
}
