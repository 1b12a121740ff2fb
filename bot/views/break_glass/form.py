"""The form to break the glass, and the function that reads it back.

Invariant: what the form offers is what the policy would allow this person, and what comes back is judged
again. A mistake is shown under its field, and what was typed stays. A code is never shown again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from bot.slack.app_surface import ACCESS
from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.block_kit import Block, code, context, label, length, moment, mrkdwn
from bot.views.inputs import (
    ANSWER,
    MAX_TYPED_TEXT,
    chosen,
    code_box,
    durations,
    field,
    menu,
    option,
    profile_menu,
    text_box,
    typed,
)
from bot.views.unread import read_unread, unread_note, write_unread
from core import mfa
from core.actor import ChannelId, ProfileName, check_channel_id
from core.break_glass import DEFAULT_DURATION, JUSTIFICATION_LENGTH, ReasonCode
from core.duration import parse_duration
from core.errors import InvalidInput
from core.record import check_record_id
from core.request import Request, RequestId
from core.written_time import take_time

CALLBACK: Final = "break_glass:form"
PROFILE: Final = "break_glass:profile"
"""The menu of profiles: what it offers is searched, and choosing in it draws the fields below it again."""
FIELDS: Final = ("profile", "reason", "duration", "justification", mfa.FIELD)
"""The form's blocks; an error of one of these fields is shown under it."""
_NOTICE: Final = (
    ":rotating_light: You get access immediately. The channel is notified, and someone else reviews it afterwards."
)
_REASONS: Final[Mapping[ReasonCode, tuple[str, str]]] = {
    ReasonCode.INCIDENT: ("Incident", "Something is broken or down"),
    ReasonCode.MAINTENANCE: ("Maintenance", "Work that can't wait for approval"),
    ReasonCode.SECURITY: ("Security", "An attack, a leak, a vulnerability"),
    ReasonCode.RECOVERY: ("Recovery", "Restoring data or access"),
    ReasonCode.OTHER: ("Other", "Explain in the justification"),
}


@dataclass(frozen=True, slots=True)
class BreakGlassOffer:
    """A profile as the form offers it to one person."""

    profile: ProfileName
    description: str
    reason_codes: tuple[ReasonCode, ...]
    max_duration: timedelta
    needs_code: bool


@dataclass(frozen=True, slots=True)
class BreakGlassDraft:
    """What a person declares."""

    profile: str
    reason_code: ReasonCode
    duration: timedelta
    justification: str


@dataclass(frozen=True, slots=True)
class BegunBreakGlass:
    """What is filled in already. `unread` are the words of a typed line that nothing could be made of.

    `is_redrawn`: the person has chosen in this form already.
    """

    profile: str | None = None
    reason_code: ReasonCode | None = None
    duration: timedelta | None = None
    justification: str = ""
    unread: tuple[str, ...] = ()
    is_redrawn: bool = False


NOTHING_BEGUN: Final = BegunBreakGlass()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a declaration begins: the channel in which the form was asked for, and the request that it replaces."""

    channel: ChannelId | None = None
    instead_of: RequestId | None = None


def break_glass_form(
    offers: Sequence[BreakGlassOffer],
    origin: Origin,
    *,
    begun: BegunBreakGlass | None = None,
    replaced: Request | None = None,
) -> Block:
    """The form as a modal view. More than a hundred offers are searched: then any part of them is enough here.

    `begun` is what was typed or chosen already; a profile in it has to be among the offers. `replaced` is the pending
    request; its justification is filled in, too.
    """
    begun = begun or NOTHING_BEGUN
    chosen_now = [offer for offer in offers if offer.profile == begun.profile] or list(offers[: len(offers) == 1])
    likely = chosen_now or offers
    blocks = [
        *_introduction(replaced, begun),
        *_refused(offers, begun.profile),
        *unread_note(begun.unread),
        _profile_field(offers, chosen_now),
        field("reason", "What kind of emergency is it?", _reason_menu(likely, begun)),
        _duration_field(likely, begun),
        field(
            "justification",
            "What happened?",
            _justification_box(begun, replaced),
            hint="Everyone in the channel, reviewers and auditors see this.",
        ),
    ]
    if any(offer.needs_code for offer in likely):
        blocks.append(_code_field(likely))
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "title": label("Break the glass", 24),
        "submit": label("Break the glass", 24),
        "close": label("Not now", 24),
        "private_metadata": _write_origin(origin, begun.unread),
        "blocks": blocks,
    }


def _introduction(replaced: Request | None, begun: BegunBreakGlass) -> list[Block]:
    return [mrkdwn(_NOTICE), *([_replaces(replaced)] if replaced is not None else []), *_not_later(begun)]


def _not_later(begun: BegunBreakGlass) -> list[Block]:
    later = take_time(begun.justification)
    if later is None or later[0].day != "tomorrow":
        return []
    when = later[0].written
    return [context(f"Break-glass opens now, not {when}. For access that starts later, use {code(ACCESS)}.")]


def profile_option(offer: BreakGlassOffer) -> Block:
    """The offer as a choice of the menu."""
    return option(offer.profile, offer.profile, _about(offer))


def read_break_glass_form(view: Payload) -> tuple[BreakGlassDraft, str | None, Origin]:
    """What was filled in, the code if one was typed, and where it began.

    Raises InvalidInput, naming the field, for what Slack's own checks let through.
    """
    values = get_dict(view, "state", "values")
    profile = chosen(values, "profile")
    if profile is None:
        raise InvalidInput("profile", "no profile is selected", "Select the one you need.")
    try:
        reason_code = ReasonCode(chosen(values, "reason") or "")
    except ValueError as error:
        raise InvalidInput("reason", "no kind of emergency is selected", "Select one.") from error
    duration = parse_duration(chosen(values, "duration"))
    declared = BreakGlassDraft(profile, reason_code, duration, typed(values, "justification"))
    return (
        declared,
        typed(values, mfa.FIELD).strip() or None,
        _read_origin(get_str(view, "private_metadata")),
    )


def begun_by(draft: BreakGlassDraft) -> BegunBreakGlass:
    """A whole declaration, for the form that asks for what a line can't hold."""
    return BegunBreakGlass(draft.profile, draft.reason_code, draft.duration, draft.justification)


def read_begun_break_glass(view: Payload) -> tuple[BegunBreakGlass, Origin]:
    """What this form holds while it is being filled in, and where it began, to draw it again. Raises InvalidInput."""
    values, metadata = get_dict(view, "state", "values"), get_str(view, "private_metadata")
    written, reason = chosen(values, "duration"), chosen(values, "reason")
    begun = BegunBreakGlass(
        profile=chosen(values, "profile"),
        reason_code=ReasonCode(reason) if reason in set(ReasonCode) else None,
        duration=parse_duration(written) if written is not None else None,
        justification=typed(values, "justification"),
        unread=_read_unread(metadata),
        is_redrawn=True,
    )
    return begun, _read_origin(metadata)


def fields_of(view: Payload) -> tuple[str, ...]:
    """The fields that this form has: Slack refuses an error of a field that is not there."""
    values = get_dict(view, "state", "values")
    return tuple(name for name in FIELDS if name != mfa.FIELD or name in values)


def _refused(offers: Sequence[BreakGlassOffer], wanted: str | None) -> list[Block]:
    """Who names what they can't have reads that first; what else they typed stays."""
    if wanted is None or any(offer.profile == wanted for offer in offers):
        return []
    line = f"You can't break the glass for {code(wanted)}: no break-glass rule covers you for it."
    return [context(f"{line} If you need it now, call the person on call.")]


def _profile_field(offers: Sequence[BreakGlassOffer], chosen_now: Sequence[BreakGlassOffer]) -> Block:
    options, now = (list(map(profile_option, some)) for some in (offers, chosen_now))
    made = field("profile", "What do you need?", profile_menu(PROFILE, options, now, most=1))
    # With one offer, nothing that depends on the choice can change.
    return made | ({"dispatch_action": True} if len(offers) > 1 else {})


def _duration_field(likely: Sequence[BreakGlassOffer], begun: BegunBreakGlass) -> Block:
    longest = max((offer.max_duration for offer in likely), default=DEFAULT_DURATION)
    hint = None
    if begun.duration is not None and begun.duration > longest:
        hint = f"You asked for {length(begun.duration)}. The longest here is {length(longest)}."
    menu = durations(longest, begun.duration or DEFAULT_DURATION, is_redrawn=begun.is_redrawn)
    return field("duration", "For how long?", menu, hint=hint)


def _justification_box(begun: BegunBreakGlass, replaced: Request | None) -> Block:
    words = begun.justification or (replaced.own_words if replaced is not None else "")
    least, most = JUSTIFICATION_LENGTH
    # What is too long is shown whole, for its writer to shorten: cut off, it would be lost.
    bounds = (least, most if len(words) <= most else MAX_TYPED_TEXT)
    return text_box(bounds, typed=words, example="The checkout is down, INC-12")


def _about(offer: BreakGlassOffer) -> str:
    about = f"up to {length(offer.max_duration)}" + (", needs a code" if offer.needs_code else "")
    return f"{about} · {offer.description}" if offer.description else about


def _reason_menu(likely: Sequence[BreakGlassOffer], begun: BegunBreakGlass) -> Block:
    allowed = [each for each in ReasonCode if any(each in offer.reason_codes for offer in likely)]
    action_id = f"{ANSWER}:{','.join(allowed)}" if begun.is_redrawn else ANSWER
    return menu([option(each, *_REASONS[each]) for each in allowed], begun.reason_code, action_id=action_id)


def _code_field(offers: Sequence[BreakGlassOffer]) -> Block:
    needing = [code(offer.profile) for offer in offers if offer.needs_code]
    is_needed = len(needing) == len(offers)
    return field(
        mfa.FIELD,
        "Code from your authenticator app",
        code_box(),
        hint=None if is_needed else "Only some profiles need it. The profile menu shows which.",
        is_optional=not is_needed,
    )


def _replaces(request: Request) -> Block:
    which = f"{code(request.id)} for {code(request.profile)}"
    return context(f"This cancels your request {which}, made {moment(request.created_at)}.")


def _write_origin(origin: Origin, unread: Sequence[str]) -> str:
    facts = {"channel": origin.channel, "instead_of": origin.instead_of, "unread": write_unread(unread) or None}
    return json.dumps({name: value for name, value in facts.items() if value is not None})


def _read_unread(written: str | None) -> tuple[str, ...]:
    try:
        facts: Any = json.loads(written or "{}")
    except (ValueError, RecursionError):
        return ()
    return read_unread(get_str(facts, "unread"))


def _read_origin(written: str | None) -> Origin:
    # Slack returns what we wrote. Anything else is ignored: the declaration matters more than its origin.
    try:
        facts: Any = json.loads(written or "{}")
    except (ValueError, RecursionError):
        return Origin()
    channel, instead_of = get_str(facts, "channel"), get_str(facts, "instead_of")
    return Origin(
        check_channel_id(channel) if channel is not None else None,
        RequestId(check_record_id(instead_of)) if instead_of is not None else None,
    )
