"""Slack's errors: one table of what each code means, how it ends, and how to fix it.

Invariant: every failed call becomes one SlackError of exactly one kind here. A code is quoted only if it looks
like one of Slack's: if a proxy answers instead of Slack, none of its text gets into a log or a message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from http import HTTPStatus
from http.client import HTTPException
from typing import Final

from slack_sdk.errors import SlackApiError, SlackClientError

from bot.slack.retry_after import read_retry_after
from core.errors import InvalidInput

UNREACHABLE: Final = (SlackClientError, OSError, HTTPException, ValueError)
"""All that a slack_sdk call raises: its own errors, network errors, and ValueError for an answer that isn't JSON."""
UNREADABLE: Final = (*UNREACHABLE, LookupError, TypeError, AttributeError)
"""The same, plus what reading a malformed answer raises. For a block that makes a call and reads its answer, and does
nothing else."""
MAX_PAUSE: Final = timedelta(minutes=5)
"""Slack asks for a minute at most; a longer Retry-After is cut to this."""
_CODE = re.compile(r"[a-z][a-z0-9_.:]{0,79}")


class ErrorKind(Enum):
    """How an error ends."""

    TEMPORARY = "it passes"
    OPERATOR = "an operator must fix it"
    PERSON = "the person must do something"
    FINAL = "trying again can't help"


class SlackToken(Enum):
    """Which token a call was made with, by the setting that holds it."""

    BOT = "SLACK_BOT_TOKEN"
    APP = "SLACK_APP_TOKEN"


@dataclass(frozen=True, slots=True)
class SlackError:
    """What an error means. `is_general`: every other call with the same token would fail with it too.

    `scope` is the missing one, and `retry_after` the pause that Slack asks for, if it names them.
    """

    code: str
    kind: ErrorKind
    fix: str
    is_general: bool = False
    scope: str = ""
    retry_after: timedelta | None = None

    @property
    def label(self) -> str:
        """The code, and the missing scope if there is one."""
        return f"{self.code} ({self.scope})" if self.scope else self.code


TOKEN_CODES: Final = frozenset(
    {"account_inactive", "invalid_auth", "is_bot", "not_allowed_token_type", "not_authed", "team_disabled",
     "token_expired", "token_revoked", "user_removed_from_team"}
)  # fmt: skip
"""The token itself is wrong or no longer valid."""
NO_SUCH_PERSON: Final = frozenset({"user_not_found", "user_not_visible", "users_not_found"})
NO_SUCH_GROUP: Final = "no_such_subteam"
INVALID_BLOCKS: Final = "invalid_blocks"
HASH_CONFLICT: Final = "hash_conflict"
"""What Slack answers to a drawing of a view that somebody redrew in the meantime."""
MESSAGE_GONE: Final = frozenset({"cant_update_message", "edit_window_closed", "message_not_found", "thread_not_found"})
"""This message can never be rewritten; a new one takes its place."""
CHANNEL_CLOSED: Final = frozenset({"channel_not_found", "is_archived", "is_inactive", "not_in_channel"})
"""Nothing can be written in this channel."""
RATE_LIMITED: Final = frozenset({"ratelimited", "rate_limited"})

_NEW_BOT: Final = (
    "Set SLACK_BOT_TOKEN to the token under OAuth & Permissions (install the app again if it was removed), and restart "
    "Countersign."
)
_NEW_APP: Final = (
    "Generate a token with the scope connections:write under Basic Information, App-Level Tokens, set SLACK_APP_TOKEN "
    "to it, and restart Countersign."
)
_ADMIN: Final = "Ask an admin of the Slack workspace to allow this app."
_WORKSPACE: Final = "Ask an admin of the Slack organization to add this app to the workspace."
_MIGRATION: Final = "The workspace is moving to an Enterprise organization: wait for the end of the migration."
_NETWORK: Final = "Ask an admin of the Slack workspace to allow access from this network."
_TWO_FACTOR: Final = "Set up two-factor authentication for the account that installed the app."
_SCOPE: Final = "Add the missing scope to the app, install it again, and set SLACK_BOT_TOKEN to its new token."
_CHANNEL: Final = "Correct the channel in the policy, or, if it is private, type /invite @Countersign in it."
_INVITE: Final = "Type /invite @Countersign in the channel."
_ARCHIVED: Final = "Unarchive the channel, or name another one in the policy."
_RESTRICTED: Final = "Let apps post messages and replies in the channel, or name another one in the policy."
_MESSAGES_TAB: Final = "Turn on the Messages tab in the app's settings, under App Home."
_HOME_TAB: Final = "Turn on the Home tab in the app's settings, under App Home."
_PLAN: Final = "User groups need a paid Slack plan: upgrade, or name people instead of user groups in the policy."
_GROUP: Final = "Correct the user group in the policy."
_SOCKET_MODE: Final = "Turn on Socket Mode in the app's settings."
_TOO_MANY: Final = "Slack allows ten connections for each app: run fewer instances, or use HTTP."
_NOBODY: Final = "Slack can't deliver to this account. Contact the person another way."
_BUG: Final = "This is a bug in Countersign: please report it."
_SLACK_DOWN: Final = "Slack has a problem; it usually passes within minutes."
_BUSY: Final = "Slack is rate-limiting this app; it usually passes within a minute."
_GONE: Final = "The message is gone; a new one takes its place."
_AGAIN: Final = "Run the command or press the button again."
_CLOSED: Final = "The form was closed meanwhile."
_CHANGED: Final = "The view was changed meanwhile; the newer one stays."
_REFRESH: Final = "Slack refreshes its connections every few hours."
_NO_ANSWER: Final = "Slack can't be reached. If it lasts, check the network and the proxy between here and Slack."
_NOT_SLACK: Final = "Slack is down, or a proxy answers in its place. If it lasts, check that proxy."
_UNKNOWN: Final = "Countersign doesn't know this error. If it lasts, look it up in Slack's documentation."


def _rows(codes: str, kind: ErrorKind, fix: str, *, is_general: bool = False) -> dict[str, SlackError]:
    return {code: SlackError(code, kind, fix, is_general) for code in codes.split()}


_OPERATOR, _FINAL = ErrorKind.OPERATOR, ErrorKind.FINAL
_TEMPORARY, _PERSON = ErrorKind.TEMPORARY, ErrorKind.PERSON

ERRORS: Final[dict[str, SlackError]] = {
    # https://docs.slack.dev/reference/methods, for the methods in app_surface.py: first the errors of every method.
    **_rows(" ".join(TOKEN_CODES), _OPERATOR, _NEW_BOT, is_general=True),
    **_rows(
        "access_denied ekm_access_denied enterprise_is_restricted forbidden_team no_permission",
        _OPERATOR, _ADMIN, is_general=True,
    ),
    **_rows("team_access_not_granted", _OPERATOR, _WORKSPACE, is_general=True),
    **_rows("org_login_required", _OPERATOR, _MIGRATION, is_general=True),
    **_rows("accesslimited", _OPERATOR, _NETWORK, is_general=True),
    **_rows("two_factor_setup_required", _OPERATOR, _TWO_FACTOR, is_general=True),
    **_rows("missing_scope", _OPERATOR, _SCOPE),
    **_rows("fatal_error internal_error request_timeout service_unavailable", _TEMPORARY, _SLACK_DOWN, is_general=True),
    **_rows("team_added_to_org external_channel_migrating", _TEMPORARY, _SLACK_DOWN, is_general=True),
    **_rows("update_failed", _TEMPORARY, _SLACK_DOWN),
    **_rows("ratelimited rate_limited message_limit_exceeded", _TEMPORARY, _BUSY),
    **_rows("unknown_method method_deprecated deprecated_endpoint insecure_request", _FINAL, _BUG),
    **_rows("invalid_arguments invalid_arg_name invalid_array_arg invalid_charset invalid_cursor", _FINAL, _BUG),
    **_rows("invalid_form_data invalid_post_type missing_args missing_argument missing_post_type", _FINAL, _BUG),
    # Messages: chat.postMessage and chat.update.
    **_rows("channel_not_found", _OPERATOR, _CHANNEL),
    **_rows("not_in_channel", _OPERATOR, _INVITE),
    **_rows("user_not_in_channel", _PERSON, _NOBODY),
    **_rows("is_archived is_inactive", _OPERATOR, _ARCHIVED),
    **_rows("invalid_team team_not_found", _OPERATOR, _WORKSPACE),
    **_rows("restricted_action restricted_action_read_only_channel", _OPERATOR, _RESTRICTED),
    **_rows("restricted_action_thread_only_channel restricted_action_non_threadable_channel", _OPERATOR, _RESTRICTED),
    **_rows("restricted_action_thread_locked slack_connect_lists_sharing_blocked", _OPERATOR, _RESTRICTED),
    **_rows("slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked", _OPERATOR, _RESTRICTED),
    **_rows("messages_tab_disabled im_disabled", _OPERATOR, _MESSAGES_TAB),
    **_rows(" ".join(MESSAGE_GONE), _TEMPORARY, _GONE),
    **_rows("msg_too_long msg_blocks_too_long no_text markdown_text_conflict cannot_reply_to_message", _FINAL, _BUG),
    **_rows(INVALID_BLOCKS, _FINAL, _BUG),
    **_rows("invalid_blocks_format block_mismatch invalid_attachments", _FINAL, _BUG),
    **_rows("attachment_payload_limit_exceeded too_many_attachments too_many_contact_cards", _FINAL, _BUG),
    **_rows("invalid_metadata_format invalid_metadata_schema metadata_too_large", _FINAL, _BUG),
    **_rows("metadata_must_be_sent_from_app as_user_not_supported cant_broadcast_message", _FINAL, _BUG),
    **_rows("no_dual_broadcast_content_update streaming_state_conflict", _FINAL, _BUG),
    **_rows("duplicate_channel_not_found duplicate_message_not_found missing_file_data", _FINAL, _BUG),
    **_rows("draft_already_deleted draft_already_sent draft_has_conflict draft_not_found", _FINAL, _BUG),
    # The picture of the monthly summary, which goes without it then.
    **_rows("file_upload_size_restricted file_uploads_disabled file_uploads_except_images_disabled", _OPERATOR, _ADMIN),
    **_rows("alt_txt_too_large file_not_found invalid_channel posting_to_channel_denied", _FINAL, _BUG),
    # People, user groups and conversations.
    **_rows(" ".join(NO_SUCH_PERSON), _FINAL, _NOBODY),
    **_rows("cannot_dm_bot user_disabled invalid_user_combination", _FINAL, _NOBODY),
    **_rows("invalid_limit invalid_types limit_required", _FINAL, _BUG),
    **_rows("not_enough_users too_many_users users_list_not_supplied", _FINAL, _BUG),
    **_rows("method_not_supported_for_channel_type", _FINAL, _BUG),
    **_rows("plan_upgrade_required", _OPERATOR, _PLAN),
    **_rows(NO_SUCH_GROUP, _OPERATOR, _GROUP),
    # Views.
    **_rows("expired_trigger_id exchanged_trigger_id invalid_trigger_id", _PERSON, _AGAIN),
    **_rows("not_found", _PERSON, _CLOSED),
    **_rows(HASH_CONFLICT, _TEMPORARY, _CHANGED),
    **_rows("not_enabled", _OPERATOR, _HOME_TAB),
    **_rows("duplicate_external_id view_too_large missing_profile_id not_implemented", _FINAL, _BUG),
}  # fmt: skip

_APP_TOKEN_ERRORS: Final = {
    # The same codes with another fix for the app-level token: its one scope is granted when it is generated.
    **_rows(" ".join(TOKEN_CODES), _OPERATOR, _NEW_APP, is_general=True),
    **_rows("missing_args missing_scope no_permission", _OPERATOR, _NEW_APP, is_general=True),
}

_DISCONNECTS: Final = {
    # https://docs.slack.dev/apis/events-api/using-socket-mode: why Slack closes a websocket.
    **_rows("warning refresh_requested", _TEMPORARY, _REFRESH),
    **_rows("link_disabled", _OPERATOR, _SOCKET_MODE),
    **_rows("too_many_websockets", _OPERATOR, _TOO_MANY),
}


def read_error(error: Exception, now: datetime | None = None, token: SlackToken = SlackToken.BOT) -> SlackError:
    """What an UNREADABLE error means. Without `now`, a Retry-After date is ignored."""
    if not isinstance(error, SlackApiError):
        # Only its type: its text may quote the answer or the URL.
        return SlackError(type(error).__name__, _TEMPORARY, _NO_ANSWER, is_general=True)
    answer, status = error.response.data, error.response.status_code
    code = str(answer.get("error", "")) if isinstance(answer, dict) else ""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        code = "ratelimited"
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR or not _CODE.fullmatch(code):
        return SlackError(f"HTTP {status}", _TEMPORARY, _NOT_SLACK, is_general=True)
    found = ERRORS.get(code) or SlackError(code, _TEMPORARY, _UNKNOWN)
    if token is SlackToken.APP:
        found = _APP_TOKEN_ERRORS.get(code, found)
    if code in RATE_LIMITED:
        pause = read_retry_after(_header(error, "retry-after"), now)
        return replace(found, retry_after=pause and min(pause, MAX_PAUSE))
    needed = str(answer.get("needed") or "") if isinstance(answer, dict) else ""
    return replace(found, scope=needed) if code == "missing_scope" and _CODE.fullmatch(needed) else found


def read_disconnect(reason: str) -> SlackError:
    """What Slack's reason for closing a websocket means."""
    known = reason if _CODE.fullmatch(reason) else "no reason"
    return _DISCONNECTS.get(known) or SlackError(known, _TEMPORARY, _REFRESH)


def refuse_token(error: SlackError, token: SlackToken) -> InvalidInput:
    """The error that stops the start because of this token: the setting's name, Slack's code, and the fix."""
    return InvalidInput(token.value, f"Slack refuses it ({error.label})", error.fix)


def _header(error: SlackApiError, name: str) -> str | None:
    # A proxy may change the case of the header's name.
    found = (str(value) for key, value in error.response.headers.items() if str(key).lower() == name)
    return next(found, None)
