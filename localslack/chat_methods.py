"""The methods chat.*: post, update and delete messages, post ephemeral ones, and get permalinks.

Invariant: every message passes the same checks of channel, text and blocks before anybody sees it.
"""

from __future__ import annotations

from localslack import limits
from localslack.api_method import ApiMethod
from localslack.api_request import ApiRequest
from localslack.backend import Backend
from localslack.block_kit import check_attachments, check_message_blocks, complete
from localslack.file_methods import check_pictures
from localslack.rate_limits import POSTING, TIER_3, TIER_4
from localslack.records import Channel, Json, SlackMessage
from localslack.refusals import SlackRefusal


def read_content(backend: Backend, request: ApiRequest) -> Json:
    """The content of a message as fields of SlackMessage: text, blocks, attachments.

    Raises SlackRefusal no_text, or the errors of the blocks or attachments.
    """
    blocks = check_message_blocks(request.structure("blocks", "invalid_blocks_format") or [])
    check_pictures(backend, blocks)
    attachments = check_attachments(request.structure("attachments", "invalid_attachments") or [])
    text = request.text("text") or ""
    if not (text or blocks or attachments):
        raise SlackRefusal("no_text")

    def new_id() -> str:
        return backend.workspace.new_id("b")

    return {
        "text": text[: limits.POSTED_TEXT],
        "blocks": tuple(complete(blocks, new_id)),
        "attachments": tuple(
            {**attached, "blocks": complete(attached["blocks"], new_id)} if "blocks" in attached else attached
            for attached in attachments
        ),
    }


def _read_metadata(request: ApiRequest) -> Json | None:
    metadata = request.structure("metadata", "invalid_metadata_format")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise SlackRefusal("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise SlackRefusal("invalid_metadata_schema")
    return metadata


def _destination(backend: Backend, name: str) -> Channel:
    """A channel where the bot may post. For a person's id, their direct messages with the bot."""
    workspace = backend.workspace
    is_person = any(person.id == name for person in workspace.people)
    channel = workspace.direct(name) if is_person else workspace.channel_named(name)
    if channel.im_user is not None:
        if workspace.person(channel.im_user).is_bot:
            raise SlackRefusal("cannot_dm_bot")
        return channel
    is_member = backend.app.bot_user in channel.members
    if channel.is_private and not is_member:
        # Slack doesn't reveal private channels to a bot that isn't a member.
        raise SlackRefusal("channel_not_found")
    if channel.is_archived:
        raise SlackRefusal("is_archived")
    if not is_member and "chat:write.public" not in backend.app.scopes:
        raise SlackRefusal("not_in_channel")
    return channel


def _own_message(backend: Backend, request: ApiRequest, not_own: str) -> SlackMessage:
    channel = backend.workspace.channel(request.required("channel"))
    if channel.im_user is None and channel.is_private and backend.app.bot_user not in channel.members:
        raise SlackRefusal("channel_not_found")
    message = backend.workspace.find_message(channel.id, request.required("ts"))
    if message is None or message.is_ephemeral:
        raise SlackRefusal("message_not_found")
    if message.user != backend.app.bot_user:
        raise SlackRefusal(not_own)
    if channel.is_archived:
        raise SlackRefusal("is_archived")
    return message


def _post_message(backend: Backend, request: ApiRequest) -> Json:
    channel = _destination(backend, request.required("channel"))
    content = read_content(backend, request)
    thread_ts = request.text("thread_ts")
    if thread_ts is not None and backend.workspace.find_message(channel.id, thread_ts) is None:
        raise SlackRefusal("thread_not_found")
    posted = backend.workspace.post_message(
        SlackMessage(
            ts=backend.workspace.new_ts(),
            channel=channel.id,
            user=backend.app.bot_user,
            thread_ts=thread_ts,
            metadata=_read_metadata(request),
            **content,
        ),
    )
    return {"channel": channel.id, "ts": posted.ts, "message": backend.message_json(posted)}


def _update(backend: Backend, request: ApiRequest) -> Json:
    message = _own_message(backend, request, "cant_update_message")
    if len(request.text("text") or "") > limits.UPDATED_TEXT:
        raise SlackRefusal("msg_too_long")
    content = read_content(backend, request)
    # Text without blocks removes the blocks. Attachments stay unless the call names them.
    if request.get("text") is None:
        content["text"] = message.text
    if "attachments" not in request.arguments:
        content["attachments"] = message.attachments
    content["edited_ts"] = backend.workspace.new_ts()
    if "metadata" in request.arguments:
        content["metadata"] = _read_metadata(request)
    changed = backend.workspace.update_message(message.model_copy(update=content))
    answer = {"channel": changed.channel, "ts": changed.ts, "text": changed.text}
    return {**answer, "message": backend.message_json(changed)}


def _delete(backend: Backend, request: ApiRequest) -> Json:
    message = _own_message(backend, request, "cant_delete_message")
    backend.workspace.delete_message(message)
    return {"channel": message.channel, "ts": message.ts}


def _post_ephemeral(backend: Backend, request: ApiRequest) -> Json:
    channel = _destination(backend, request.required("channel"))
    user = request.required("user")
    if user not in channel.members:
        raise SlackRefusal("user_not_in_channel")
    posted = backend.workspace.post_message(
        SlackMessage(
            ts=backend.workspace.new_ts(),
            channel=channel.id,
            user=backend.app.bot_user,
            to=user,
            thread_ts=request.text("thread_ts"),
            **read_content(backend, request),
        ),
    )
    return {"message_ts": posted.ts}


def _get_permalink(backend: Backend, request: ApiRequest) -> Json:
    channel = backend.workspace.channel(request.required("channel"))
    if channel.im_user is None and channel.is_private and backend.app.bot_user not in channel.members:
        raise SlackRefusal("channel_not_found")
    message = backend.workspace.find_message(channel.id, request.required("message_ts"))
    if message is None or message.is_ephemeral:
        raise SlackRefusal("message_not_found")
    domain = backend.workspace.team.domain
    link = f"https://{domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    return {"channel": channel.id, "permalink": link}


CHAT_METHODS = {
    "chat.postMessage": ApiMethod(_post_message, ("chat:write",), POSTING, is_limited_per_channel=True),
    "chat.update": ApiMethod(_update, ("chat:write",), TIER_3),
    "chat.delete": ApiMethod(_delete, ("chat:write",), TIER_3),
    "chat.postEphemeral": ApiMethod(_post_ephemeral, ("chat:write",), TIER_4),
    "chat.getPermalink": ApiMethod(_get_permalink, (), TIER_4),
}
