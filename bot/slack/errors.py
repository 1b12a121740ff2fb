"""Slack's errors: the one table of what each of them means for somebody who has to be told.

Invariant: every error has one of three ends. What passes by itself is tried again with the outbox's growing pauses;
what an operator can mend is tried again every ten minutes, so that it goes on by itself once it is mended; what cannot
help however often it is tried is parked at once. After a hundred tries, everything is parked. Nothing is dropped, and
each problem names what could not be told and how to mend it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from http import HTTPStatus
from typing import Final

from slack_sdk.errors import SlackApiError

from bot.slack.retry_after import FIX_PAUSE, read_retry_after
from core.errors import DeliveryFailed

_WORD = re.compile(r"[a-z][a-z0-9_.:]{0,79}")


class End(Enum):
    """What becomes of an entry that met an error."""

    AGAIN = "it passes by itself"
    MEND = "an operator can mend it"
    PARK = "trying again cannot help"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error means: its end, how to mend it, and whether every other call would meet it too."""

    end: End
    fix: str
    is_general: bool = False


class SlackFailed(DeliveryFailed):
    """Slack did not do it. `code` is Slack's own word where it gave one; `is_general`: no other call would fare better.

    The sink acts on both: it posts a card anew that is gone, and does not ask further where nothing is answered.
    """

    def __init__(self, problem: str, code: str, meaning: Meaning, retry_after: timedelta | None = None) -> None:
        pause = FIX_PAUSE if meaning.end is End.MEND else retry_after
        super().__init__(problem, is_final=meaning.end is End.PARK, retry_after=pause)
        self.code = code
        self.is_general = meaning.is_general


_TOKEN: Final = Meaning(
    End.MEND,
    "Set SLACK_BOT_TOKEN to the token of an app that is installed, and start Countersign again.",
    is_general=True,
)
_ADMIN: Final = Meaning(End.MEND, "Ask an admin of the Slack workspace to let this app post.", is_general=True)
_SCOPE: Final = Meaning(End.MEND, "Add the missing scope to the app, install it again, and take over its new token.")
_CHANNEL: Final = Meaning(
    End.MEND, "Correct the channel in the policy, or, if it is private, type /invite @Countersign in it."
)
_INVITE: Final = Meaning(End.MEND, "Type /invite @Countersign in the channel.")
_ARCHIVED: Final = Meaning(End.MEND, "Unarchive the channel, or name another one in the policy.")
_RESTRICTED: Final = Meaning(End.MEND, "Let apps post messages and replies in the channel, or name another one.")
_MESSAGES_TAB: Final = Meaning(End.MEND, "Switch on the Messages tab in the app's settings, under App Home.")
_NOBODY: Final = Meaning(End.PARK, "Slack delivers nothing to this account any more. Tell them another way.")
_OURS: Final = Meaning(End.PARK, "This is a bug in Countersign: please report it.")
_SLACKS: Final = Meaning(End.AGAIN, "Slack has a problem; this is tried again by itself.", is_general=True)
_BUSY: Final = Meaning(End.AGAIN, "Slack asks for a pause; this is tried again by itself.")
_GONE: Final = Meaning(End.AGAIN, "The message is gone; it is posted anew with the next try.")
_UNKNOWN: Final = Meaning(End.AGAIN, "Countersign does not know this error; it is tried again, then parked.")
_OUT_OF_TIME: Final = Meaning(End.AGAIN, "Slack is slow to answer; this goes on with the next try.", is_general=True)

MEANINGS: Final[dict[str, Meaning]] = {
    # https://docs.slack.dev/reference/methods: chat.postMessage, chat.update, conversations.open, and what all share.
    **dict.fromkeys(("account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"), _TOKEN),
    **dict.fromkeys(("not_allowed_token_type", "team_not_found", "org_login_required"), _TOKEN),
    **dict.fromkeys(("access_denied", "accesslimited", "ekm_access_denied", "enterprise_is_restricted"), _ADMIN),
    **dict.fromkeys(("no_permission", "team_access_not_granted", "two_factor_setup_required"), _ADMIN),
    "missing_scope": _SCOPE,
    "channel_not_found": _CHANNEL,
    "not_in_channel": _INVITE,
    "is_archived": _ARCHIVED,
    "restricted_action": _RESTRICTED,
    **dict.fromkeys(("restricted_action_read_only_channel", "restricted_action_thread_only_channel"), _RESTRICTED),
    **dict.fromkeys(("restricted_action_non_threadable_channel", "restricted_action_thread_locked"), _RESTRICTED),
    **dict.fromkeys(("messages_tab_disabled", "im_disabled"), _MESSAGES_TAB),
    **dict.fromkeys(("cannot_dm_bot", "user_disabled", "user_not_found", "user_not_visible"), _NOBODY),
    **dict.fromkeys(("users_not_found", "invalid_user_combination", "is_inactive"), _NOBODY),
    **dict.fromkeys(("msg_too_long", "msg_blocks_too_long", "no_text", "markdown_text_conflict"), _OURS),
    **dict.fromkeys(("invalid_blocks", "invalid_blocks_format", "invalid_arguments", "invalid_arg_name"), _OURS),
    **dict.fromkeys(("invalid_form_data", "invalid_charset", "invalid_array_arg", "invalid_post_type"), _OURS),
    **dict.fromkeys(("unknown_method", "method_deprecated", "deprecated_endpoint"), _OURS),
    **dict.fromkeys(("fatal_error", "internal_error", "request_timeout", "service_unavailable"), _SLACKS),
    **dict.fromkeys(("team_added_to_org", "external_channel_migrating"), _SLACKS),
    **dict.fromkeys(("ratelimited", "rate_limited", "message_limit_exceeded"), _BUSY),
    **dict.fromkeys(("message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"), _GONE),
}


def refused(doing: str, error: SlackApiError, now: datetime) -> SlackFailed:
    """What Slack's answer means. `doing` says what could not be told, and where."""
    status, code = error.response.status_code, _code(error)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        pause = read_retry_after(_header(error, "retry-after"), now)
        return SlackFailed(_problem(doing, "ratelimited", _BUSY), "ratelimited", _BUSY, pause)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not _WORD.fullmatch(code):
        # Not Slack's JSON: something on the way answered, say a proxy with a page of its own. Its text is not ours.
        word = f"HTTP {status}"
        return SlackFailed(_problem(doing, word, _SLACKS), word, _SLACKS)
    meaning = MEANINGS.get(code, _UNKNOWN)
    return SlackFailed(_problem(doing, f"{code}{_needed(error)}", meaning), code, meaning)


def unanswered(doing: str, error: Exception) -> SlackFailed:
    """No answer at all: a timeout, a connection that broke, or something that does not look like Slack."""
    word = type(error).__name__
    return SlackFailed(_problem(doing, word, _SLACKS), word, _SLACKS)


def out_of_time(doing: str) -> SlackFailed:
    """The time of one delivery was used up before this call."""
    return SlackFailed(_problem(doing, "no time left", _OUT_OF_TIME), "out_of_time", _OUT_OF_TIME)


def _problem(doing: str, word: str, meaning: Meaning) -> str:
    return f"{doing}: {word}. {meaning.fix}"


def _code(error: SlackApiError) -> str:
    answer = error.response.data
    return str(answer.get("error", "")) if isinstance(answer, dict) else ""


def _needed(error: SlackApiError) -> str:
    """Which scope is missing, where Slack says so."""
    needed = str(error.response.get("needed") or "")
    return f" ({needed})" if _WORD.fullmatch(needed) else ""


def _header(error: SlackApiError, name: str) -> str | None:
    # A proxy may spell the header's name in its own way.
    found = (str(value) for key, value in error.response.headers.items() if str(key).lower() == name)
    return next(found, None)
