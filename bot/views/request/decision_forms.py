"""The forms in which an approver confirms an approval, or gives a reason for a denial, each beside its reader.

Invariant: a form shows the record as it is stored, and nothing of the message whose button was pressed. The one to
approve carries the request's id and the digest of what it shows; what is decided is decided from the record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.acting import request_blocks
from bot.views.asking.question import questions_so_far
from bot.views.block_kit import Block, context, divider, label, length, moment
from bot.views.inputs import CHOICES, chosen, code_box, field, menu, option, text_box, typed
from bot.views.request.votes import needed, vote_blocks
from bot.views.request.window import needed_by
from core import mfa
from core.duration import parse_duration
from core.errors import InvalidInput
from core.policy.decision import ApprovalNeeds
from core.record import check_record_id
from core.request import COMMENT_LENGTH, Request, RequestId

DENY_CALLBACK: Final = "request:deny_form"
APPROVE_CALLBACK: Final = "request:approve_form"
REASON: Final = "reason"
COMMENT: Final = "comment"
DURATION: Final = "duration"
_ALL: Final = "all"
"""The choice to give as much as was asked."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ApprovalDraft:
    """What an approver confirmed: the digest of what the form showed, and what they entered into it.

    `shown` is None in a form of an older version, which showed nothing of the request. `duration` is how long they give
    access; None for as long as was asked.
    """

    request_id: RequestId
    shown: str | None
    comment: str
    code: str | None
    duration: timedelta | None = None


def deny_form(request: Request) -> Block:
    """Shows the request as it is recorded, and asks for the reason, which the requester reads."""
    reason = field(
        REASON,
        "Why are you denying this request?",
        text_box(COMMENT_LENGTH, checks_least=False),
        hint="The requester and auditors see this.",
    )
    blocks = [*_facts(request), *vote_blocks(request), divider(), reason]
    return _modal(DENY_CALLBACK, request.id, "Deny request", "Deny", blocks)


def approve_form(
    request: Request, needs: ApprovalNeeds, *, begun: str = "", duration: timedelta | None = None
) -> Block:
    """Shows the request as it is recorded, and asks for what the rule wants.

    `begun` is a comment typed already, `duration` a length chosen already: at most what was asked.
    """
    blocks = [*_facts(request), *vote_blocks(request), divider()]
    blocks += [_duration_field(request, duration), _comment_field(needs, begun)]
    if needs.code:
        blocks.append(field(mfa.FIELD, "Code from your authenticator app", code_box()))
    metadata = f"{request.id}:{request.facts_digest()}"
    return _modal(APPROVE_CALLBACK, metadata, "Approve request", "Approve", blocks)


def read_deny_form(view: Payload) -> tuple[RequestId, str]:
    """The request's id and the reason. Raises InvalidInput for an id that is none."""
    return RequestId(check_record_id(get_str(view, "private_metadata"))), typed(_values(view), REASON)


def read_approve_form(view: Payload) -> ApprovalDraft:
    """What was confirmed. Raises InvalidInput unless the form says which request, and what it showed of it."""
    written = get_str(view, "private_metadata") or ""
    request_id, has_digest, shown = written.partition(":")
    if has_digest and not _DIGEST.fullmatch(shown):
        raise InvalidInput("form", "this form doesn't say what it showed", "Press Approve again.")
    values = _values(view)
    return ApprovalDraft(
        RequestId(check_record_id(request_id)),
        shown or None,
        typed(values, COMMENT),
        typed(values, mfa.FIELD).strip() or None,
        _read_duration(values),
    )


def fields_of(view: Payload) -> tuple[str, ...]:
    """The fields that this approval form has: Slack refuses an error of a field that is not there.

    An error of no field of its own is shown under the first one.
    """
    values = _values(view)
    return tuple(name for name in (mfa.FIELD, COMMENT, DURATION) if name == COMMENT or name in values)


def _read_duration(values: Payload) -> timedelta | None:
    """How long to give access; None for as long as was asked, and in a form of an older version, without this field."""
    picked = chosen(values, DURATION)
    if picked in {None, _ALL}:
        return None
    try:
        return parse_duration(picked)
    except InvalidInput as error:
        raise InvalidInput(DURATION, error.problem, error.fix) from error


def _facts(request: Request) -> list[Block]:
    since = moment(request.created_at)
    return [
        *request_blocks(request, is_open=True),
        *questions_so_far(request),
        context(f"Needs {needed(request)} {needed_by(request)} · requested {since}"),
    ]


def _duration_field(request: Request, picked: timedelta | None) -> Block:
    shorter = [option(length(each), length(each)) for each in CHOICES if each < request.duration]
    options = [option(_ALL, f"{length(request.duration)}, as requested"), *reversed(shorter)]
    hint = "You can approve it for less time. With several approvals, the shortest one holds."
    return field(DURATION, "For how long?", menu(options, length(picked) if picked else _ALL), hint=hint)


def _comment_field(needs: ApprovalNeeds, begun: str) -> Block:
    return field(
        COMMENT,
        "Comment for the requester",
        text_box(COMMENT_LENGTH, typed=begun, checks_least=False),
        hint="The requester and auditors see this.",
        is_optional=not needs.comment,
    )


def _modal(callback: str, metadata: str, title: str, submit: str, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": metadata,
        "title": label(title, 24),
        "submit": label(submit, 24),
        "close": label("Not now", 24),
        "blocks": blocks,
    }


def _values(view: Payload) -> Payload:
    return get_dict(view, "state", "values")
