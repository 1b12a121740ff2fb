"""The form to ask for access, and the function that reads it back.

Invariant: what the form offers is what the policy would allow this person, and what comes back is judged all over
again. A mistake is told in its own field, and what was typed stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.blocks.elements import Block, code, label, length, people, plain, small
from bot.payload import Payload, find_text
from core.actor import ProfileName
from core.duration import parse_duration
from core.errors import InvalidInput
from core.request import JUSTIFICATION_LENGTH

CALLBACK: Final = "request:form"
FIELDS: Final = ("profile", "duration", "justification")
"""The form's blocks; an error of one of these fields is shown under it."""
_ANSWER: Final = "answer"
MOST_OPTIONS: Final = 100
"""Slack shows no more options in one menu."""
_MOST_OPTION_TEXT: Final = 75
_MOST_IN_CONTEXT: Final = 10
_MOST_NAMES: Final = 5
_CHOICES: Final = tuple(timedelta(minutes=minutes) for minutes in (15, 30, 60, 120, 240, 480))


@dataclass(frozen=True, slots=True)
class Offer:
    """A profile as the form offers it to one person."""

    profile: ProfileName
    description: str
    max_duration: timedelta
    required_approvals: int
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody filled in."""

    profile: str
    duration: timedelta
    justification: str


def request_form(offers: Sequence[Offer]) -> Block:
    """The form as a modal view. It offers the first hundred profiles; `/access profile …` reaches the others."""
    longest = max((offer.max_duration for offer in offers), default=timedelta(hours=1))
    blocks: list[Block] = [
        _input("profile", "What do you need?", _profile_menu(offers)),
        _input("duration", "For how long?", _duration_menu(longest)),
        _input("justification", "Why?", _reason_field(), hint="Approvers and auditors read this."),
        small(*_who_approves(offers)),
    ]
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "title": label("Request access", 24),
        "submit": label("Ask", 24),
        "close": label("Not now", 24),
        "blocks": blocks,
    }


def read_request_form(values: Payload) -> Asked:
    """What was filled in. Raises InvalidInput, naming the field, for what Slack's own checks let through."""
    profile = find_text(values, "profile", _ANSWER, "selected_option", "value")
    if not profile:
        raise InvalidInput("profile", "nothing is chosen", "Choose what you need.")
    duration = parse_duration(find_text(values, "duration", _ANSWER, "selected_option", "value"))
    return Asked(profile, duration, find_text(values, "justification", _ANSWER, "value") or "")


def _input(block_id: str, text: str, element: Block, *, hint: str | None = None) -> Block:
    block: Block = {"type": "input", "block_id": block_id, "label": label(text, 2000), "element": element}
    if hint is not None:
        block["hint"] = label(hint, 2000)
    return block


def _profile_menu(offers: Sequence[Offer]) -> Block:
    options = [
        {
            "text": plain(offer.profile, _MOST_OPTION_TEXT),
            "value": offer.profile,
            "description": plain(_about(offer), _MOST_OPTION_TEXT),
        }
        for offer in offers[:MOST_OPTIONS]
    ]
    menu: Block = {"type": "static_select", "action_id": _ANSWER, "options": options}
    return menu | {"initial_option": options[0]} if len(options) == 1 else menu


def _about(offer: Offer) -> str:
    votes = "1 approval" if offer.required_approvals == 1 else f"{offer.required_approvals} approvals"
    about = f"up to {length(offer.max_duration)}, {votes}"
    return f"{about} · {offer.description}" if offer.description else about


def _duration_menu(longest: timedelta) -> Block:
    options = [{"text": plain(length(each)), "value": length(each)} for each in _CHOICES if each <= longest]
    options = options or [{"text": plain(length(longest)), "value": length(longest)}]
    hour = next((option for option in options if option["value"] == "1h"), options[-1])
    return {"type": "static_select", "action_id": _ANSWER, "options": options, "initial_option": hour}


def _reason_field() -> Block:
    least, most = JUSTIFICATION_LENGTH
    return {
        "type": "plain_text_input",
        "action_id": _ANSWER,
        "multiline": True,
        "min_length": least,
        "max_length": most,
        "placeholder": label("Deploy the fix for INC-12", 150),
    }


def _who_approves(offers: Sequence[Offer]) -> list[str]:
    by_approvers: dict[tuple[str, ...], list[str]] = {}
    for offer in offers:
        by_approvers.setdefault(offer.approvers, []).append(code(offer.profile))
    return [
        f"{_some(profiles)}: decided by {_some([people(each) for each in approvers])}"
        for approvers, profiles in list(by_approvers.items())[:_MOST_IN_CONTEXT]
    ]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown
