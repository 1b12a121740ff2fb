"""The form to request access, and the function that reads it back.

Invariant: what the form offers is what the policy would allow this person, and what comes back is judged
again. A mistake is shown under its field, and what was typed stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bot.slack.payloads import Payload
from bot.views.block_kit import Block, code, context, label, length, moment, people
from bot.views.inputs import chosen, durations, field, menu, option, text_box, typed
from core.actor import ProfileName
from core.duration import parse_duration
from core.errors import InvalidInput
from core.request import DEFAULT_DURATION, JUSTIFICATION_LENGTH, Request

CALLBACK: Final = "request:form"
FIELDS: Final = ("profile", "duration", "justification")
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


@dataclass(frozen=True, slots=True)
class RequestDraft:
    """What a person filled in."""

    profile: str
    duration: timedelta
    justification: str


@dataclass(frozen=True, slots=True)
class BegunRequest:
    """What is filled in already. `extended` is the request whose access is to go on, which ends at `until`.

    Where nothing else was typed, the form has its duration and its justification.
    """

    profile: str | None = None
    duration: timedelta | None = None
    justification: str = ""
    extended: Request | None = None
    until: datetime | None = None


NOTHING_BEGUN: Final = BegunRequest()


def request_form(offers: Sequence[Offer], begun: BegunRequest = NOTHING_BEGUN) -> Block:
    """The form as a modal view. It offers the first hundred profiles; `/access profile …` reaches the others."""
    longest = max((offer.max_duration for offer in offers), default=timedelta(hours=1))
    first = begun.extended
    words = begun.justification or (first.justification if first is not None else "")
    duration = begun.duration or (first.duration if first is not None else DEFAULT_DURATION)
    blocks: list[Block] = [
        *_introduction(begun),
        field("profile", "What do you need?", _profile_menu(offers, begun.profile)),
        field("duration", "For how long?", durations(longest, duration)),
        field(
            "justification",
            "Why?",
            text_box(JUSTIFICATION_LENGTH, typed=words, example="Deploy the fix for INC-12"),
            hint=f"{_whose_words(begun)}Approvers and auditors see this.",
        ),
        context(*_approvers(offers)),
    ]
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "title": label("Request access", 24),
        "submit": label("Request", 24),
        "close": label("Not now", 24),
        "blocks": blocks,
    }


def read_request_form(values: Payload) -> RequestDraft:
    """What was filled in. Raises InvalidInput, naming the field, for what Slack's own checks let through."""
    profile = chosen(values, "profile")
    if profile is None:
        raise InvalidInput("profile", "no profile is selected", "Select the one you need.")
    return RequestDraft(profile, parse_duration(chosen(values, "duration")), typed(values, "justification"))


def _introduction(begun: BegunRequest) -> list[Block]:
    if begun.extended is None:
        return []
    until = f" ends {moment(begun.until)}" if begun.until is not None else " ends soon"
    which = f"Your access to {code(begun.extended.profile)} from request {code(begun.extended.id)}{until}."
    return [context(f"{which} This is a new request: if it's approved before that, your access goes on without a gap.")]


def _whose_words(begun: BegunRequest) -> str:
    if begun.extended is None or begun.justification:
        return ""
    return f"These are the words of your request {begun.extended.id}: change them if they no longer fit. "


def _profile_menu(offers: Sequence[Offer], wanted: str | None) -> Block:
    return menu([option(offer.profile, offer.profile, _about(offer)) for offer in offers], wanted)


def _about(offer: Offer) -> str:
    votes = "1 approval" if offer.required_approvals == 1 else f"{offer.required_approvals} approvals"
    about = f"up to {length(offer.max_duration)}, {votes}"
    return f"{about} · {offer.description}" if offer.description else about


def _approvers(offers: Sequence[Offer]) -> list[str]:
    by_approvers: dict[tuple[str, ...], list[str]] = {}
    for offer in offers:
        by_approvers.setdefault(offer.approvers, []).append(code(offer.profile))
    return [
        f"Approvers for {_some(profiles)}: {_some([people(each) for each in approvers])}"
        for approvers, profiles in list(by_approvers.items())[:_MAX_IN_CONTEXT]
    ]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MAX_NAMES])
    return f"{shown} and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else shown
