"""The forms in which an approver gives a reason for a denial or a comment on an approval, each beside its reader.

Invariant: a form carries the request's id and nothing else; what is decided is decided from the record.
"""

from __future__ import annotations

from typing import Final

from bot.slack.payloads import Payload, get_str
from bot.views.block_kit import Block, context, label
from core.record import check_record_id
from core.request import COMMENT_LENGTH, RequestId

DENY_CALLBACK: Final = "request:deny_form"
APPROVE_CALLBACK: Final = "request:approve_form"
REASON: Final = "reason"
COMMENT: Final = "comment"
_ANSWER: Final = "answer"


def deny_form(request_id: RequestId) -> Block:
    """Asks for the reason, which the requester reads."""
    return _form(
        DENY_CALLBACK,
        request_id,
        "Deny request",
        "Deny",
        _field(REASON, "Why are you denying this request?", is_optional=False),
    )


def approve_form(request_id: RequestId) -> Block:
    """Asks for a comment to the requester."""
    comment = _field(COMMENT, "Comment for the requester", is_optional=True)
    return _form(APPROVE_CALLBACK, request_id, "Approve request", "Approve", comment)


def read_decision_form(view: Payload, field: str) -> tuple[RequestId, str]:
    """The request's id and what was typed. Raises InvalidInput for an id that is none."""
    typed = get_str(view, "state", "values", field, _ANSWER, "value")
    return RequestId(check_record_id(get_str(view, "private_metadata"))), typed or ""


def _form(callback: str, request_id: RequestId, title: str, submit: str, field: Block) -> Block:
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": request_id,
        "title": label(title, 24),
        "submit": label(submit, 24),
        "close": label("Not now", 24),
        "blocks": [field, context(f"Request `{request_id}`. The requester and auditors see this.")],
    }


def _field(block_id: str, text: str, *, is_optional: bool) -> Block:
    return {
        "type": "input",
        "block_id": block_id,
        "optional": is_optional,
        "label": label(text, 2000),
        "element": {
            "type": "plain_text_input",
            "action_id": _ANSWER,
            "multiline": True,
            "max_length": COMMENT_LENGTH[1],
        },
    }
