"""Who and what every test of the local Slack knows by id, and the smallest forms and cards.

Invariant: nothing here is refused by Slack; a test that wants a refusal breaks a copy.
"""

from __future__ import annotations

from typing import Any

ANN, BEN, GUEST = "U0ANN", "U0BEN", "U0GUEST"
ACCESS, SECRET, OLD = "C0ACCESS", "C0SECRET", "C0OLD"

Json = dict[str, Any]


def words(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def button(text: str, action_id: str, value: str = "r1") -> Json:
    return {"type": "button", "text": words(text), "action_id": action_id, "value": value}


def card(text: str = "ann asks for prod") -> list[Json]:
    return [
        {"type": "section", "block_id": "what", "text": {"type": "mrkdwn", "text": text}},
        {
            "type": "actions",
            "block_id": "decide",
            "elements": [button("Approve", "approve"), button("Deny", "deny")],
        },
    ]


def option(value: str) -> Json:
    return {"text": words(value.title()), "value": value}


def form(callback_id: str = "ask", **more: object) -> Json:
    profile = {"type": "static_select", "action_id": "pick", "options": [option("prod"), option("test")]}
    why = {"type": "plain_text_input", "action_id": "text", "max_length": 500}
    return {
        "type": "modal",
        "callback_id": callback_id,
        "title": words("Ask for access"),
        "submit": words("Ask"),
        "blocks": [
            {"type": "input", "block_id": "profile", "label": words("Profile"), "element": profile},
            {"type": "input", "block_id": "why", "label": words("Why"), "element": why},
        ],
        **more,
    }


def home(text: str = "Nothing waits for you") -> Json:
    return {"type": "home", "blocks": [{"type": "section", "block_id": "hello", "text": words(text)}]}
