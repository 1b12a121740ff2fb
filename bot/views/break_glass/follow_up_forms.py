"""The forms in which an event is closed and reviewed, each beside its reader.

Invariant: a form shows the record as it is stored, and carries the event's id and nothing else; what is decided is
decided from the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.access.cloudtrail import activity_blocks
from bot.views.acting import WHY
from bot.views.block_kit import (
    Block,
    code,
    countdown,
    divider,
    label,
    length,
    mention,
    moment,
    mrkdwn,
    user_text,
)
from bot.views.break_glass.card import VERDICTS, end_blocks
from bot.views.inputs import chosen, field, menu, option, text_box, typed
from core.break_glass import REASON_LENGTH, BreakGlassEvent, EventId
from core.errors import InvalidInput
from core.record import check_record_id
from core.review import LINK_LENGTH, NOTES_LENGTH, Verdict
from core.services.activity import GrantActivity

CLOSE_CALLBACK: Final = "break_glass:close_form"
REVIEW_CALLBACK: Final = "break_glass:review_form"
CLOSE_FIELDS: Final = ("reason",)
REVIEW_FIELDS: Final = ("verdict", "notes", "follow-up link")
"""The last name is the one that core uses in its errors."""
_ABOUT: Final = {
    Verdict.JUSTIFIED: "There was no other way in time",
    Verdict.PARTLY_JUSTIFIED: "Only part of the access, or part of the time",
    Verdict.NOT_JUSTIFIED: "A normal request would have been enough",
}


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a reviewer filled in."""

    verdict: Verdict
    notes: str
    follow_up: str | None


def close_form(event: BreakGlassEvent) -> Block:
    """Shows the event, and asks how it ended, which everyone in the channel reads."""
    box = text_box(REASON_LENGTH, example="The checkout is back up", checks_least=False)
    hint = "Everyone in the channel and auditors see this."
    question = field("reason", "How did it end?", box, hint=hint)
    until = f"\nUntil {moment(event.expires_at)} · ends {countdown(event.expires_at)}"
    blocks = [*_facts(event, until), divider(), question]
    return _form(CLOSE_CALLBACK, event, "Close break-glass", "Close", blocks)


def review_form(event: BreakGlassEvent, activity: Sequence[GrantActivity] = ()) -> Block:
    """Shows the event and how it ended, and asks what was found. `activity` says where to see what was done."""
    verdicts = menu([option(each, VERDICTS[each].capitalize(), _ABOUT[each]) for each in Verdict])
    notes = text_box(NOTES_LENGTH, example="What happened, how the access was used, what should change")
    link = text_box(LINK_LENGTH, is_long=False, example="https://…/INC-12", checks_least=False)
    fields = [
        field("verdict", "Was it justified?", verdicts),
        field("notes", "What did you find?", notes, hint="Everyone in the channel and auditors see this."),
        field("follow-up link", "Where is the follow-up?", link, is_optional=True),
    ]
    started = f"\nStarted {moment(event.created_at)}, for up to {length(event.duration)}"
    facts = [*_facts(event, started), *end_blocks(event), *activity_blocks(activity, event.id)]
    return _form(REVIEW_CALLBACK, event, "Review break-glass", "Submit review", [*facts, divider(), *fields])


def read_close_form(view: Payload) -> tuple[EventId, str]:
    """The event's id, and why it is closed. Raises InvalidInput for an id that is none."""
    return _read_id(view), typed(get_dict(view, "state", "values"), "reason")


def read_review_form(view: Payload) -> tuple[EventId, Reviewed]:
    """The event's id, and what was found. Raises InvalidInput, naming the field."""
    values = get_dict(view, "state", "values")
    try:
        verdict = Verdict(chosen(values, "verdict") or "")
    except ValueError as error:
        raise InvalidInput("verdict", "no verdict is selected", "Select one.") from error
    return _read_id(view), Reviewed(verdict, typed(values, "notes"), typed(values, "follow-up link") or None)


def _read_id(view: Payload) -> EventId:
    return EventId(check_record_id(get_str(view, "private_metadata")))


def _facts(event: BreakGlassEvent, when: str) -> list[Block]:
    """Who broke the glass for what, when, and why."""
    line = f"{mention(event.invoker)} broke the glass for {code(event.profile)} · *{event.reason_code}*{when}"
    return [mrkdwn(line), user_text(event.justification, WHY)]


def _form(callback: str, event: BreakGlassEvent, title: str, submit: str, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": event.id,
        "title": label(title, 24),
        "submit": label(submit, 24),
        "close": label("Not now", 24),
        "blocks": blocks,
    }
