"""The form to request access, and the function that reads it back.

Invariant: what the form offers is what the policy would allow this person, and what comes back is judged
again. A mistake is shown under its field, and what was typed stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.slack.payloads import Payload
from bot.views.block_kit import Block, code, context, label, length, people
from bot.views.inputs import chosen, durations, field, menu, option, text_box, typed
from core.actor import ProfileName
from core.duration import parse_duration
from core.errors import InvalidInput
from core.request import DEFAULT_DURATION, JUSTIFICATION_LENGTH

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


def request_form(offers: Sequence[Offer]) -> Block:
    """The form as a modal view. It offers the first hundred profiles; `/access profile …` reaches the others."""
    longest = max((offer.max_duration for offer in offers), default=timedelta(hours=1))
    blocks: list[Block] = [
        field("profile", "What do you need?", _profile_menu(offers)),
        field("duration", "For how long?", durations(longest, DEFAULT_DURATION)),
        field(
            "justification",
            "Why?",
            text_box(JUSTIFICATION_LENGTH, example="Deploy the fix for INC-12"),
            hint="Approvers and auditors see this.",
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


def _profile_menu(offers: Sequence[Offer]) -> Block:
    return menu([option(offer.profile, offer.profile, _about(offer)) for offer in offers])


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
