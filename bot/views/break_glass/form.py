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

from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.block_kit import Block, code, context, label, length, moment, mrkdwn
from bot.views.inputs import MAX_OPTIONS, chosen, code_box, durations, field, menu, option, text_box, typed
from core import mfa
from core.actor import ChannelId, ProfileName, check_channel_id
from core.break_glass import DEFAULT_DURATION, JUSTIFICATION_LENGTH, ReasonCode
from core.duration import parse_duration
from core.errors import InvalidInput
from core.record import check_record_id
from core.request import Request, RequestId

CALLBACK: Final = "break_glass:form"
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
class Origin:
    """Where a declaration begins: the channel in which the form was asked for, and the request that it replaces."""

    channel: ChannelId | None = None
    instead_of: RequestId | None = None


def break_glass_form(
    offers: Sequence[BreakGlassOffer],
    origin: Origin,
    *,
    begun: BreakGlassDraft | None = None,
    replaced: Request | None = None,
) -> Block:
    """The form as a modal view. It offers the first hundred profiles; `/breakglass profile …` reaches the others.

    `begun` is what was typed already. `replaced` is the pending request; its justification is filled in, too.
    """
    longest = max((offer.max_duration for offer in offers), default=DEFAULT_DURATION)
    wanted = begun.duration if begun is not None else DEFAULT_DURATION
    blocks = [
        *_introduction(replaced),
        field("profile", "What do you need?", _profile_menu(offers, begun.profile if begun is not None else None)),
        field(
            "reason",
            "What kind of emergency is it?",
            _reason_menu(offers, begun.reason_code if begun is not None else None),
        ),
        field("duration", "For how long?", durations(longest, wanted)),
        field(
            "justification",
            "What happened?",
            text_box(JUSTIFICATION_LENGTH, typed=_begun_text(begun, replaced), example="The checkout is down, INC-12"),
            hint="Everyone in the channel, reviewers and auditors see this.",
        ),
    ]
    if any(offer.needs_code for offer in offers):
        blocks.append(_code_field(offers))
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "title": label("Break the glass", 24),
        "submit": label("Break the glass", 24),
        "close": label("Not now", 24),
        "private_metadata": _write_origin(origin),
        "blocks": blocks,
    }


def _introduction(replaced: Request | None) -> list[Block]:
    return [mrkdwn(_NOTICE), *([_replaces(replaced)] if replaced is not None else [])]


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


def fields_of(view: Payload) -> tuple[str, ...]:
    """The fields that this form has: Slack refuses an error of a field that is not there."""
    values = get_dict(view, "state", "values")
    return tuple(name for name in FIELDS if name != mfa.FIELD or name in values)


def _profile_menu(offers: Sequence[BreakGlassOffer], wanted: str | None) -> Block:
    # The profile that was typed has to be among the hundred that are shown.
    ordered = sorted(offers, key=lambda offer: offer.profile != wanted)[:MAX_OPTIONS]
    return menu([option(each.profile, each.profile, _about(each)) for each in ordered], wanted)


def _about(offer: BreakGlassOffer) -> str:
    about = f"up to {length(offer.max_duration)}" + (", needs a code" if offer.needs_code else "")
    return f"{about} · {offer.description}" if offer.description else about


def _reason_menu(offers: Sequence[BreakGlassOffer], wanted: ReasonCode | None) -> Block:
    allowed = {reason for offer in offers for reason in offer.reason_codes}
    options = [option(each, *_REASONS[each]) for each in ReasonCode if each in allowed]
    return menu(options, wanted)


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


def _begun_text(begun: BreakGlassDraft | None, replaced: Request | None) -> str:
    if begun is not None:
        return begun.justification
    return replaced.justification if replaced is not None else ""


def _replaces(request: Request) -> Block:
    which = f"{code(request.id)} for {code(request.profile)}"
    return context(f"This cancels your request {which}, made {moment(request.created_at)}.")


def _write_origin(origin: Origin) -> str:
    facts = {"channel": origin.channel, "instead_of": origin.instead_of}
    return json.dumps({name: value for name, value in facts.items() if value is not None})


def _read_origin(written: str | None) -> Origin:
    # Slack returns what we wrote. Anything else is ignored: the declaration matters more than its origin.
    try:
        facts: Any = json.loads(written or "{}")
    except ValueError:
        return Origin()
    channel, instead_of = get_str(facts, "channel"), get_str(facts, "instead_of")
    return Origin(
        check_channel_id(channel) if channel is not None else None,
        RequestId(check_record_id(instead_of)) if instead_of is not None else None,
    )
