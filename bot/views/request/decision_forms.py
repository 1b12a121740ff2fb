"""The forms in which an approver confirms an approval, or gives a reason for a denial, each beside its reader.

Invariant: the approval form shows the record as it is stored, and nothing of the message whose button was pressed. It
carries the request's id and the digest of what it shows; what is decided is decided from the record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.acting import request_blocks
from bot.views.block_kit import Block, code, context, divider, label, moment
from bot.views.inputs import code_box, field, text_box, typed
from bot.views.request.votes import count_missing, vote_blocks
from core import mfa
from core.errors import InvalidInput
from core.policy.decision import ApprovalNeeds
from core.record import check_record_id
from core.request import COMMENT_LENGTH, Request, RequestId

DENY_CALLBACK: Final = "request:deny_form"
APPROVE_CALLBACK: Final = "request:approve_form"
REASON: Final = "reason"
COMMENT: Final = "comment"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ApprovalDraft:
    """What an approver confirmed: the digest of what the form showed, and what they typed into it.

    `shown` is None in a form of an older version, which showed nothing of the request.
    """

    request_id: RequestId
    shown: str | None
    comment: str
    code: str | None


def deny_form(request_id: RequestId) -> Block:
    """Asks for the reason, which the requester reads."""
    reason = field(REASON, "Why are you denying this request?", text_box(COMMENT_LENGTH, checks_least=False))
    small_print = context(f"Request {code(request_id)}. The requester and auditors see this.")
    return _modal(DENY_CALLBACK, request_id, "Deny request", "Deny", [reason, small_print])


def approve_form(request: Request, needs: ApprovalNeeds, *, begun: str = "") -> Block:
    """Shows the request as it is recorded, and asks for what the rule wants. `begun` is a comment typed already."""
    blocks = [*_facts(request), *vote_blocks(request), divider(), _comment_field(needs, begun)]
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
    )


def fields_of(view: Payload) -> tuple[str, ...]:
    """The fields that this approval form has: Slack refuses an error of a field that is not there.

    An error of no field of its own is shown under the first one.
    """
    return (mfa.FIELD, COMMENT) if mfa.FIELD in _values(view) else (COMMENT,)


def _facts(request: Request) -> list[Block]:
    missing, since, until = count_missing(request), moment(request.created_at), moment(request.expires_at)
    needs = "one approval" if missing == 1 else f"{missing} approvals"
    return [
        *request_blocks(request, is_open=True),
        context(
            f"Needs {needs} by {until} · requested {since} · rule {code(request.rule)} · {code(request.id)}",
        ),
    ]


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
