"""The form in which a person chooses their direct messages, and what it says after they did.

Invariant: it names what is always sent, so nobody expects silence that they won't get. Every choice is a kind of
core/preferences.py; the form of another version changes only the kinds that it shows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from bot.slack.app_surface import ACCESS
from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.block_kit import Block, Message, context, label, mrkdwn
from bot.views.inputs import ANSWER, field
from bot.views.replies import reply
from core.errors import InvalidInput
from core.preferences import DmKind

CALLBACK: Final = "notify:form"
KINDS: Final = "kinds"
"""The field of the form."""
ALWAYS_SENT: Final = (
    "You always get what needs your answer, what went wrong with your access or was ended by somebody else, and "
    "what concerns your security. Cards and threads in channels stay as they are."
)
DM_KINDS: Final[Mapping[DmKind, tuple[str, str]]] = {
    DmKind.DECISIONS: ("Decisions on my requests", "Approved, denied, or expired without a decision"),
    DmKind.ACCESS: ("My access, when it opens or ends", "With what you need to use it"),
    DmKind.REMINDERS: ("My access, before it ends", "With a button to ask for more time"),
    DmKind.ON_CALL: ("Requests for me to decide", "While I'm on call, and those that escalate to me"),
    DmKind.REVIEWS: ("Reviews of my break-glass events", "If they were found justified; anything else is always sent"),
}
"""What each kind is called, and what it is."""


def notify_form(muted: Collection[DmKind]) -> Block:
    """The form, with what this person gets now."""
    options = {kind: _option(kind) for kind in DM_KINDS}
    boxes: Block = {"type": "checkboxes", "action_id": ANSWER, "options": list(options.values())}
    if chosen := [each for kind, each in options.items() if kind not in muted]:
        boxes["initial_options"] = chosen
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "title": label("Notifications", 24),
        "submit": label("Save", 24),
        "close": label("Cancel", 24),
        "blocks": [
            field(KINDS, "Send me direct messages about", boxes, is_optional=True),
            context(ALWAYS_SENT),
        ],
    }


def read_notify_form(view: Payload) -> tuple[frozenset[DmKind], frozenset[DmKind]]:
    """The kinds that this form offered, and those of them that the person doesn't want.

    Raises InvalidInput for a form that offered none, or that doesn't say what was chosen.
    """
    offered = _offered(view)
    chosen = get_dict(view, "state", "values", KINDS, ANSWER).get("selected_options")
    if not offered or not isinstance(chosen, list):
        raise InvalidInput("form", "this form doesn't say what was chosen", f"Send `{ACCESS} notify` again.")
    wanted = {get_str(each, "value") for each in chosen}
    return offered, frozenset(kind for kind in offered if kind.value not in wanted)


def _offered(view: Payload) -> frozenset[DmKind]:
    blocks = view.get("blocks")
    boxes = [each for each in blocks if get_str(each, "block_id") == KINDS] if isinstance(blocks, list) else []
    options = get_dict(boxes[0], "element").get("options") if boxes else None
    values = {get_str(each, "value") for each in options} if isinstance(options, list) else set()
    return frozenset(kind for kind in DM_KINDS if kind.value in values)


def notify_saved(muted: Collection[DmKind]) -> Message:
    """What the person gets from now on."""
    if not muted:
        return reply("Saved. You get every direct message.")
    names = "\n".join(f"• {DM_KINDS[kind][0]}" for kind in DM_KINDS if kind in muted)
    text = f"Saved. You no longer get a direct message for:\n{names}"
    return Message(text=text, blocks=(mrkdwn(text), context(ALWAYS_SENT)))


def _option(kind: DmKind) -> Block:
    name, description = DM_KINDS[kind]
    return {"text": label(name), "description": label(description), "value": kind.value}
