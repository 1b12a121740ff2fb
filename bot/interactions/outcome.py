"""What an interaction came to: an outcome to show, a form that is needed first, or why nothing was done.

Invariant: a refusal is explained once, in words for the person who acted, with a link to the card that it is about. A
mistake in a field is shown under that field, and keeps what was typed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from bot.interactions.interaction import Interaction
from bot.views.block_kit import Block, Message
from bot.views.links import with_link
from bot.views.replies import FORM, explain, explain_in_field, reply
from bot.views.request.replies import own_request
from core import mfa
from core.break_glass import BreakGlassEvent
from core.errors import (
    CodeRefused,
    CountersignError,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    NotAllowed,
    Refused,
    StoreError,
    StoreUnavailable,
)
from core.open_requests import OPEN_REQUEST
from core.policy.asking_next import ASK_NEXT
from core.request import Request, RequestId
from core.stores.messages import MessageRef
from core.usage import LIVE_EVENT

_log = logging.getLogger("countersign.bot")


@dataclass(frozen=True, slots=True)
class FormToOpen:
    """An outcome: nothing was decided, and the person has to fill in this form first."""

    view: Block


Work = Callable[[], Message]
WorkOrForm = Callable[[], Message | FormToOpen]
"""What decides, or finds that a form is needed first."""


@dataclass(frozen=True, slots=True)
class InteractionOutcome:
    """What an interaction came to. `mistake` is the name of the form's field that it is about.

    With a `form`, the message is what to say where it can't be opened. `is_done`: what was asked for is done.
    """

    message: Message
    stale_record: str | None = None
    mistake: str | None = None
    form: Block | None = None
    is_done: bool = False


def refused(
    interaction: Interaction,
    error: CountersignError,
    fields: Collection[str],
    now: datetime,
    link_to_card: Callable[[str], str | None],
) -> InteractionOutcome:
    """What an error means to the person. `fields` are those of the form, if it was a form."""
    if isinstance(error, StoreError):
        note_store_error(error)
    if (field := _field_of(error, fields)) is not None:
        return InteractionOutcome(reply(explain_in_field(error, interaction.user_id)), mistake=field)
    stale = error.record if isinstance(error, InvalidStateTransition) else None
    about = _record_of(error) or interaction.record
    message = _own_request(error, about, interaction.user_id) or explain(error, now, interaction.user_id)
    if isinstance(error, Refused) and about is not None:
        url = link_to_card(about)
        message = with_link(message, url if url is not None and not _is_on(url, interaction.message) else None)
    return InteractionOutcome(message, stale_record=stale)


def note_store_error(error: StoreError) -> None:
    """Log for the operators why a click could not be decided: the person who clicked can't fix it."""
    _log.error("a click could not be decided: %s: %s", type(error).__name__, error)


def _own_request(error: CountersignError, about: str | None, reader: str) -> Message | None:
    """The requester pressed what is for others, while their request waits: what they can do is cancel it."""
    kind, _, record_id = (about or "").partition("#")
    if not isinstance(error, NotAllowed) or "two people" not in error.unmet or kind != Request.KIND:
        return None
    ask_next = dict(zip(error.unmet, error.reasons, strict=False)).get(ASK_NEXT, "")
    return own_request(RequestId(record_id), ask_next, reader)


def _record_of(error: CountersignError) -> str | None:
    """The chain of the record that a refusal is about, where it says so."""
    match error:
        case InvalidStateTransition():
            return error.record
        case LimitReached() if error.limit == LIVE_EVENT:
            return f"{BreakGlassEvent.KIND}#{error.value}"
        case LimitReached() if error.limit == OPEN_REQUEST:
            return f"{Request.KIND}#{error.value}"
    return None


def _is_on(url: str, clicked: MessageRef | None) -> bool:
    """True for the address of the message that was clicked: the person is there already."""
    return clicked is not None and url.endswith(f"/{clicked.channel}/p{clicked.ts.replace('.', '')}")


def _field_of(error: CountersignError, fields: Collection[str]) -> str | None:
    """The field under which a form shows the mistake and keeps what was typed; None: the form can't help any more."""
    match error:
        case InvalidInput() if error.field in fields:
            return error.field
        case NotAllowed() if FORM not in error.unmet:
            return next((name for name in error.unmet if name in fields), next(iter(fields), None))
        case CodeRefused() | LimitReached(limit=mfa.LIMIT) if mfa.FIELD in fields:
            return mfa.FIELD
        case LimitReached():
            return next(iter(fields), None)
        case StoreUnavailable(is_outcome_unknown=False):
            return next(reversed(list(fields)), None)
    return None
