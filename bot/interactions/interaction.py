"""Who did what in Slack, read from the payload of an action, a view submission, a command or a shortcut.

Invariant: nothing here is trusted about records or rights. An interaction is a person's id and the ways to reply; a
payload that doesn't say who it is from is refused before anything is decided.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import ValidationError

from bot.slack.payloads import Payload, get_dict, get_str, is_true
from bot.views.home_state import HomeState, read_home_state
from bot.views.pagination import ListPlace, read_list_place
from core.access.grant import SOURCE_PATTERN
from core.actor import check_channel_id
from core.errors import InvalidInput
from core.record import check_record_id
from core.stores.messages import MessageRef

RECEIVED_AT: Final = "countersign_received_at"
"""Where a transport notes, by the monotonic clock, when the payload came in."""
TRIGGER_SECONDS: Final = 3.0
"""Slack opens a form for a trigger that is at most this old, once."""
_RECORD_ID: Final = re.compile(r"[0-9a-f]{16}")
_SOURCE: Final = re.compile(SOURCE_PATTERN)
_NAME: Final = re.compile(r"/?[a-z_]{2,30}(?::[a-z_]{2,30}){0,2}")
OTHER: Final = "other"


class Surface(StrEnum):
    """Where a button was clicked."""

    CARD = "card"
    EPHEMERAL = "ephemeral"
    HOME = "home"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class HomeClick:
    """Where in the Home tab something was clicked, and which version of the tab it was: for redrawing it, only."""

    block_id: str
    state: HomeState
    hash: str | None


@dataclass(frozen=True, slots=True)
class Interaction:
    """What one person did. `received_at` is monotonic seconds; a reply by `response_url` reaches only that person.

    `message` is the one whose button was clicked: it is used to refresh that message, and for nothing else.
    `is_emergency` is for break-glass and closing: it waits for nothing else. `channel` is where it was, `record` the
    chain that the button or the form names, `listed` the page of a list on which the button is. `name` says what it
    was, in our own words: the button, the form or the command.
    """

    user_id: str
    team_id: str | None
    received_at: float
    trigger_id: str = ""
    response_url: str | None = None
    surface: Surface = Surface.ELSEWHERE
    message: MessageRef | None = None
    view_id: str | None = None
    view_hash: str | None = None
    is_emergency: bool = False
    channel: str | None = None
    record: str | None = None
    listed: ListPlace | None = None
    external_id: str | None = None
    home: HomeClick | None = None
    name: str = OTHER

    @property
    def can_open_form(self) -> bool:
        """False when Slack would no longer open a form for it."""
        return bool(self.trigger_id) and time.monotonic() - self.received_at < TRIGGER_SECONDS


def read_interaction(body: Payload, context: Payload, *, is_emergency: bool = False) -> Interaction:
    """Read any payload that a person causes. Raises InvalidInput when it doesn't say who, or names two people."""
    user_id = _read_user_id(body)
    team_id = get_str(body, "user", "team_id") or get_str(body, "team_id") or get_str(body, "team", "id")
    received_at = context.get(RECEIVED_AT)
    return Interaction(
        user_id=user_id,
        team_id=team_id,
        received_at=received_at if isinstance(received_at, float) else time.monotonic(),
        trigger_id=get_str(body, "trigger_id") or "",
        response_url=get_str(body, "response_url"),
        surface=_read_surface(body),
        message=_read_message(body),
        view_id=get_str(body, "view", "id"),
        view_hash=get_str(body, "view", "hash"),
        is_emergency=is_emergency,
        channel=_read_channel(body),
        record=_read_record(body),
        listed=read_list_place(get_str(_pressed(body), "block_id")),
        external_id=get_str(body, "view", "external_id"),
        home=_read_home(body),
        name=_read_name(body),
    )


def read_pressed_id(action: Payload) -> str:
    """The record's id behind a button or a menu's option. Raises InvalidInput when there is none."""
    value = get_str(action, "selected_option", "value") or get_str(action, "value")
    try:
        return check_record_id((value or "").rpartition(":")[2])
    except InvalidInput as error:
        fix = "Use the newest message."
        raise InvalidInput("button", "this button doesn't name a record", fix) from error


def read_pressed_source(action: Payload) -> str:
    """The chain of the decision behind a button about its access. Raises InvalidInput when there is none."""
    value = get_str(action, "value") or ""
    if not _SOURCE.fullmatch(value):
        raise InvalidInput("button", "this button doesn't name any access", "Use the newest message.")
    return value


def _read_user_id(body: Payload) -> str:
    # A command has the first, everything else the second. One that has both must mean the same person.
    named = {each for each in (get_str(body, "user_id"), get_str(body, "user", "id")) if each}
    if len(named) > 1:
        raise InvalidInput("user", "Slack named two people for one click", "Try again from Slack.")
    if not named:
        raise InvalidInput("user", "Slack didn't say who did this", "Try again from Slack.")
    return named.pop()


def _read_surface(body: Payload) -> Surface:
    if is_true(body, "container", "is_ephemeral"):
        return Surface.EPHEMERAL
    match get_str(body, "container", "type"), get_str(body, "view", "type"):
        case "message", _:
            return Surface.CARD
        case "view", "home":
            return Surface.HOME
    return Surface.ELSEWHERE


def _pressed(body: Payload) -> Payload:
    pressed = body.get("actions")
    return pressed[0] if isinstance(pressed, list) and pressed and isinstance(pressed[0], Mapping) else {}


def _read_name(body: Payload) -> str:
    """The id of the button or the form, or the command. Words of ours, whatever the payload says."""
    pressed = get_str(_pressed(body), "action_id")
    name = pressed or get_str(body, "view", "callback_id") or get_str(body, "command") or ""
    return name if _NAME.fullmatch(name) else OTHER


def _read_channel(body: Payload) -> str | None:
    channel = get_str(body, "container", "channel_id") or get_str(body, "channel", "id") or get_str(body, "channel_id")
    try:
        return check_channel_id(channel) if channel else None
    except InvalidInput:
        return None


def _read_record(body: Payload) -> str | None:
    """The chain that a button or a form names: only for a link to its card."""
    pressed = _pressed(body)
    value = get_str(pressed, "selected_option", "value") or get_str(pressed, "value") or ""
    about = get_str(pressed, "action_id") or ""
    if not pressed:
        value, about = get_str(body, "view", "private_metadata") or "", get_str(body, "view", "callback_id") or ""
        # An approval has a digest behind the id, an answer the question's number before it.
        value = next((part for part in value.split(":") if _RECORD_ID.fullmatch(part)), value)
    if _SOURCE.fullmatch(value):
        return value
    kind = {"request": "REQUEST", "break_glass": "BREAKGLASS"}.get(about.partition(":")[0])
    record_id = value.rpartition(":")[2]
    return f"{kind}#{record_id}" if kind is not None and _RECORD_ID.fullmatch(record_id) else None


def _read_home(body: Payload) -> HomeClick | None:
    if _read_surface(body) is not Surface.HOME:
        return None
    clicked = body.get("actions")
    block_id = get_str(clicked[0], "block_id") if isinstance(clicked, list) and clicked else None
    state = read_home_state(get_str(body, "view", "private_metadata"))
    return HomeClick(block_id or "", state, get_str(body, "view", "hash"))


def _read_message(body: Payload) -> MessageRef | None:
    container = get_dict(body, "container")
    channel, ts = get_str(container, "channel_id"), get_str(container, "message_ts")
    if not channel or not ts or is_true(container, "is_ephemeral"):
        return None
    try:
        return MessageRef(channel=channel, ts=ts)
    except ValidationError:
        # Only used to refresh that message: a decision doesn't depend on where its button was.
        return None
