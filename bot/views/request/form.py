"""The form to request access, and the function that reads it back.

Invariant: what the form offers is what the policy would allow this person, and what comes back is judged
again. A mistake is shown under its field, and what was typed stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.block_kit import Block, code, context, label, length, moment, people
from bot.views.inputs import (
    MAX_OPTIONS,
    MAX_TYPED_TEXT,
    all_chosen,
    chosen,
    chosen_moment,
    chosen_person,
    durations,
    field,
    moment_menu,
    option,
    person_menu,
    profile_menu,
    text_box,
    typed,
)
from bot.views.request.ticket import TICKET, ticket_field
from bot.views.unread import read_unread, unread_note, write_unread
from core.actor import ProfileName
from core.duration import parse_duration
from core.errors import InvalidInput
from core.request import DEFAULT_DURATION, JUSTIFICATION_LENGTH, Request
from core.services.bundle import MAX_PROFILES
from core.written_time import STARTS_AT, WrittenTime

CALLBACK: Final = "request:form"
PROFILE: Final = "request:profile"
"""The menu of profiles: what it offers is searched, and choosing in it draws the fields below it again."""
ON_BEHALF_OF: Final = "on_behalf_of"
FIELDS: Final = ("profile", "duration", "justification", STARTS_AT, TICKET, ON_BEHALF_OF)
"""The form's blocks; an error of one of these fields is shown under it."""
_MAX_IN_CONTEXT: Final = 10
_MAX_NAMES: Final = 5


@dataclass(frozen=True, slots=True)
class Offer:
    """A profile as the form offers it to one person."""

    profile: ProfileName
    description: str
    max_duration: timedelta
    required_approvals: int
    approvers: tuple[str, ...]
    starts_within: timedelta | None = None
    ticket: str | None = None
    """A ticket, as its rule asks for one."""


@dataclass(frozen=True, slots=True)
class RequestDraft:
    """What a person filled in, or typed in one line. `on_behalf_of` is the person who gets the access.

    `starts` is when it is to start, as it was chosen or written; None: with the approval.
    """

    profiles: tuple[str, ...]
    duration: timedelta
    justification: str
    on_behalf_of: str | None = None
    starts: WrittenTime | datetime | None = None
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class BegunRequest:
    """What is filled in already. `unread` are the words of a typed line that nothing could be made of.

    `extended` is the request whose access is to go on, which ends at `until`: where nothing else was typed, the form
    has its duration and its justification. `is_redrawn`: the person has chosen in this form.
    """

    profiles: tuple[str, ...] = ()
    duration: timedelta | None = None
    justification: str = ""
    on_behalf_of: str | None = None
    unread: tuple[str, ...] = ()
    extended: Request | None = None
    until: datetime | None = None
    is_redrawn: bool = False
    starts: WrittenTime | datetime | None = None
    ticket: str = ""


NOTHING_BEGUN: Final = BegunRequest()


def request_form(offers: Sequence[Offer], begun: BegunRequest = NOTHING_BEGUN) -> Block:
    """The form as a modal view. More than a hundred offers are searched: then any part of them is enough here.

    What is chosen already has to be among the offers.
    """
    chosen_now = [offer for offer in offers if offer.profile in begun.profiles] or list(offers[: len(offers) == 1])
    ticket = _ticket(offers, chosen_now, begun)
    blocks: list[Block] = [
        *_introduction(begun),
        *_refused(offers, begun),
        *unread_note(begun.unread),
        _profile_field(offers, chosen_now),
        _duration_field(chosen_now or offers, begun),
        *_starts(offers, chosen_now, begun),
        field(
            "justification",
            "Why?",
            _justification_box(begun, begun.ticket if not ticket else ""),
            hint=f"{_whose_words(begun)}Approvers and auditors see this.",
        ),
        *ticket,
        *_on_behalf_of(begun),
        *_approvers(chosen_now or offers),
    ]
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "title": label("Request access", 24),
        "submit": label("Request", 24),
        "close": label("Not now", 24),
        "private_metadata": write_unread(begun.unread),
        "blocks": blocks,
    }


def profile_option(offer: Offer) -> Block:
    """The offer as a choice of the menu."""
    return option(offer.profile, offer.profile, _about(offer))


def read_request_form(values: Payload) -> RequestDraft:
    """What was filled in. Raises InvalidInput, naming the field, for what Slack's own checks let through."""
    profiles = all_chosen(values, "profile")
    if not profiles:
        raise InvalidInput("profile", "no profile is selected", "Select the one you need.")
    duration = parse_duration(chosen(values, "duration"))
    words, other = typed(values, "justification"), chosen_person(values, ON_BEHALF_OF)
    return RequestDraft(
        profiles, duration, words, other, chosen_moment(values, STARTS_AT), typed(values, TICKET) or None
    )


def read_begun_form(view: Payload) -> BegunRequest:
    """What this form holds while it is being filled in, to draw it again. Raises InvalidInput."""
    values = get_dict(view, "state", "values")
    written = chosen(values, "duration")
    return BegunRequest(
        profiles=all_chosen(values, "profile"),
        duration=parse_duration(written) if written is not None else None,
        justification=typed(values, "justification"),
        on_behalf_of=chosen_person(values, ON_BEHALF_OF),
        unread=read_unread(get_str(view, "private_metadata")),
        is_redrawn=True,
        starts=chosen_moment(values, STARTS_AT),
        ticket=typed(values, TICKET),
    )


def fields_of(view: Payload) -> tuple[str, ...]:
    """The fields that this form has: Slack refuses an error of a field that is not there."""
    values = get_dict(view, "state", "values")
    return tuple(name for name in FIELDS if name not in {ON_BEHALF_OF, STARTS_AT, TICKET} or name in values)


def _refused(offers: Sequence[Offer], begun: BegunRequest) -> list[Block]:
    """Who names what they can't have reads that first; what else they typed stays."""
    offered = {offer.profile for offer in offers}
    names = [code(name) for name in begun.profiles if name not in offered]
    line = f"You can't request {' or '.join(names)}: no policy rule covers you for it. Ask a policy owner to add you."
    return [context(line)] if names else []


def _profile_field(offers: Sequence[Offer], chosen_now: Sequence[Offer]) -> Block:
    made = profile_menu(
        PROFILE,
        [profile_option(offer) for offer in offers],
        [profile_option(offer) for offer in chosen_now],
        most=MAX_PROFILES if len(offers) > 1 else 1,
    )
    hint = f"Up to {MAX_PROFILES}: each is decided separately." if len(offers) > 1 else None
    # With one offer, nothing that depends on the choice can change.
    return field("profile", "What do you need?", made, hint=hint) | (
        {"dispatch_action": True} if len(offers) > 1 else {}
    )


def _duration_field(offers: Sequence[Offer], begun: BegunRequest) -> Block:
    # What holds for each of the chosen profiles; with none chosen yet, what the form could come to.
    lengths = [offer.max_duration for offer in offers]
    is_chosen = any(offer.profile in begun.profiles for offer in offers)
    longest = (min if is_chosen else max)(lengths, default=timedelta(hours=1))
    first = begun.extended
    wanted = begun.duration or (first.duration if first is not None else DEFAULT_DURATION)
    hint = None
    if begun.duration is not None and begun.duration > longest:
        hint = f"You asked for {length(begun.duration)}. The longest here is {length(longest)}."
    menu = durations(longest, wanted, is_redrawn=begun.is_redrawn)
    return field("duration", "For how long?", menu, hint=hint)


def _starts(offers: Sequence[Offer], chosen_now: Sequence[Offer], begun: BegunRequest) -> list[Block]:
    """When it starts, where each of the chosen profiles may start later; for others, that what was asked for can't be.

    With none chosen yet, what was typed is kept where any profile could start later.
    """
    wanted = begun.starts if isinstance(begun.starts, datetime) else None
    within = [offer.starts_within for offer in chosen_now or offers if offer.starts_within is not None]
    is_offered = len(within) == len(chosen_now) if chosen_now else wanted is not None
    if within and is_offered and begun.extended is None:
        hint = f"Empty: with the approval. Up to {length(min(within))} ahead, if it is approved by then."
        return [field(STARTS_AT, "Starts later?", moment_menu(wanted), hint=hint, is_optional=True)]
    if wanted is None:
        return []
    names = " and ".join(code(offer.profile) for offer in chosen_now if offer.starts_within is None)
    line = f"You asked for access from {moment(wanted)}. {names or 'What you can request'} can't start later"
    return [context(f"{line}: it opens as soon as it's approved.")]


def _justification_box(begun: BegunRequest, ticket: str) -> Block:
    """The field of the reason. A `ticket` that was typed and has no field of its own is a word of it."""
    words = begun.justification or (begun.extended.own_words if begun.extended is not None else "")
    words = f"{ticket} {words}".strip()
    least, most = JUSTIFICATION_LENGTH
    # What is too long is shown whole, for its writer to shorten: cut off, it would be lost.
    bounds = (least, most if len(words) <= most else MAX_TYPED_TEXT)
    return text_box(bounds, typed=words, example="Deploy the fix for INC-12")


def _ticket(offers: Sequence[Offer], chosen_now: Sequence[Offer], begun: BegunRequest) -> list[Block]:
    named = begun.ticket or (begun.extended.ticket if begun.extended is not None else None) or ""
    examples = [offer.ticket for offer in chosen_now if offer.ticket is not None]
    # What was typed stays, until it is known that nothing asks for it: what isn't chosen yet may.
    may_ask = begun.is_redrawn or (not chosen_now and any(offer.ticket is not None for offer in offers))
    return ticket_field(examples, named if examples or may_ask else "")


def _on_behalf_of(begun: BegunRequest) -> list[Block]:
    if begun.extended is not None:
        return []
    hint = "They get the access, and confirm it first. Neither of you can approve it."
    menu = person_menu(begun.on_behalf_of, "Choose who gets the access")
    return [field(ON_BEHALF_OF, "For somebody else?", menu, hint=hint, is_optional=True)]


def _introduction(begun: BegunRequest) -> list[Block]:
    if begun.extended is None:
        return []
    until = f" ends {moment(begun.until)}" if begun.until is not None else " ends soon"
    which = f"Your access to {code(begun.extended.profile)} from request {code(begun.extended.id)}{until}."
    return [context(f"{which} This is a new request: if it's approved before that, your access goes on without a gap.")]


def _whose_words(begun: BegunRequest) -> str:
    if begun.extended is None or begun.justification or not begun.extended.own_words:
        return ""
    return f"These are the words of your request {begun.extended.id}: change them if they no longer fit. "


def _about(offer: Offer) -> str:
    votes = "1 approval" if offer.required_approvals == 1 else f"{offer.required_approvals} approvals"
    about = f"up to {length(offer.max_duration)}, {votes}"
    return f"{about} · {offer.description}" if offer.description else about


def _approvers(offers: Sequence[Offer]) -> list[Block]:
    by_approvers: dict[tuple[str, ...], list[str]] = {}
    for offer in offers[:MAX_OPTIONS]:
        by_approvers.setdefault(offer.approvers, []).append(code(offer.profile))
    lines = [
        f"Approvers for {_some(profiles)}: {_some([people(each) for each in approvers])}"
        for approvers, profiles in by_approvers.items()
    ]
    # Some of many would read as all of them: then the profile has to be chosen first.
    return [context(*lines)] if lines and len(lines) <= _MAX_IN_CONTEXT else []


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MAX_NAMES])
    return f"{shown} and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else shown
