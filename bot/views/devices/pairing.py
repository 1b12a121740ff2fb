"""The forms to pair a terminal: one asks for its code, the other shows the machine and asks whose it is.

Invariant: what the second form shows comes from the store, and it carries the code alone. It pairs nothing unless the
person says that they started this login; saying that they didn't refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.block_kit import Block, code, context, countdown, label, length, moment, mrkdwn, plain
from bot.views.devices.facts import machine_block, seen_from
from bot.views.inputs import ANSWER, MAX_OPTION_TEXT, chosen, field, text_box, typed
from core.access.pairing import Pairing
from core.errors import InvalidInput

CODE_CALLBACK: Final = "device:code_form"
PAIR_CALLBACK: Final = "device:pair_form"
CODE: Final = "code"
WHOSE: Final = "whose"
OWN: Final = "own"
FOREIGN: Final = "foreign"
_TYPED_LENGTH: Final = (1, 40)
_WARNING: Final = (
    ":warning: *Only pair a terminal that you started yourself just now.* Nobody from IT will ever ask you to type a "
    "code. If somebody sent you this code, refuse it, and tell your security team."
)


@dataclass(frozen=True, slots=True)
class PairingAnswer:
    """What a person answered. `is_own`: they started this login themselves."""

    code: str
    is_own: bool


def code_form() -> Block:
    """Asks for the code that a terminal shows."""
    box = text_box(_TYPED_LENGTH, is_long=False, example="WDJB-MJHT", checks_least=False)
    hint = "Run countersign login in your terminal: it shows the code."
    return _modal(
        CODE_CALLBACK, "", "Next", [field(CODE, "The code in your terminal", box, hint=hint), mrkdwn(_WARNING)]
    )


def pair_form(pairing: Pairing, max_age: timedelta) -> Block:
    """Shows the machine that asks, and asks whether it is the person's own. A device lives for `max_age` at most."""
    asked = context(
        f"Code {code(pairing.user_code)} · from {seen_from(pairing)} · asked {moment(pairing.asked_at)} "
        f"({countdown(pairing.asked_at)}) · the code ends {countdown(pairing.expires_at)}"
    )
    blocks = [
        mrkdwn("A terminal asks to act for you. This is what it says of itself:"),
        machine_block(pairing),
        asked,
        *_service(pairing.service),
        mrkdwn(_WARNING),
        field(WHOSE, "Did you start this login yourself, just now?", _choice()),
        context(
            f"A paired terminal can request access for you and use the access you have, for {length(max_age)} at most. "
            "You get a message about it, with a button to end it."
        ),
    ]
    return _modal(PAIR_CALLBACK, pairing.user_code, "Confirm", blocks)


def read_code_form(view: Payload) -> str:
    """What was typed as the code."""
    return typed(get_dict(view, "state", "values"), CODE)


def read_pair_form(view: Payload) -> PairingAnswer:
    """What was answered, about which code. Raises InvalidInput when nothing was chosen."""
    answer = chosen(get_dict(view, "state", "values"), WHOSE)
    if answer not in {OWN, FOREIGN}:
        raise InvalidInput(WHOSE, "nothing was chosen", "Say whether you started this login yourself.")
    return PairingAnswer(get_str(view, "private_metadata") or "", answer == OWN)


def _service(service: str | None) -> list[Block]:
    if service is None:
        return []
    return [
        mrkdwn(
            f"It will act for the service {code(service)}, which you own, and not for you: it can request only what "
            "the policy lets this service have. You can't approve its requests."
        )
    ]


def _choice() -> Block:
    choices = ((OWN, "Yes, I started it: pair it"), (FOREIGN, "No: refuse it"))
    options = [{"text": plain(text, MAX_OPTION_TEXT), "value": value} for value, text in choices]
    return {"type": "radio_buttons", "action_id": ANSWER, "options": options}


def _modal(callback: str, metadata: str, submit: str, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": metadata,
        "title": label("Pair a terminal", 24),
        "submit": label(submit, 24),
        "close": label("Cancel", 24),
        "blocks": blocks,
    }
