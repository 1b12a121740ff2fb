"""The elements of every message: text, people, times and buttons, within Slack's limits.

Invariant: what a person typed is shown as `plain_text`, which Slack neither formats nor links; what we write in mrkdwn
holds only our own words, ids that were checked, and `escape`d text. No element is ever longer than Slack takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from core.actor import OPERATOR, SLACK, DeciderId, is_person, is_user_group
from core.duration import format_duration
from core.duty import OnCallName, is_on_call_name, schedule_of

Block = dict[str, Any]
"""A block or an element as Slack's API takes it."""

MAX_SECTION_TEXT: Final = 3000
MAX_BUTTON_TEXT: Final = 75
MAX_UPDATE_TEXT: Final = 4000
"""`chat.update` refuses text beyond this; `chat.postMessage` would take ten times as much."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to Slack. `text` is what notifications and screen readers say instead of the blocks."""

    text: str
    blocks: tuple[Block, ...]


def escape(text: str) -> str:
    """Text for mrkdwn in which nothing can mention anybody or become a link: Slack's three control characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shorten(text: str, most: int) -> str:
    """At most this many characters, the last one an ellipsis where something was cut off."""
    return text if len(text) <= most else text[: most - 1] + "…"


def plain(text: str, most: int = MAX_SECTION_TEXT) -> Block:
    """A `plain_text` object: shown as it is, colons included."""
    return {"type": "plain_text", "text": shorten(text, most), "emoji": False}


def label(text: str, most: int = MAX_BUTTON_TEXT) -> Block:
    """A `plain_text` object for our own words, in which an emoji's name becomes the emoji."""
    return {"type": "plain_text", "text": shorten(text, most), "emoji": True}


def user_text(text: str, lead: str = "") -> Block:
    """A section with what a person typed, after our own words that say what it is, such as `Why:`.

    Where it is sent, links in it to hosts that the policy trusts can be clicked; see bot.views.links.
    """
    return {"type": "section", "text": plain(f"{lead} {text}" if lead else text)}


def mrkdwn(text: str) -> Block:
    """A section with our own words."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": shorten(text, MAX_SECTION_TEXT), "verbatim": True}}


def context(*parts: str) -> Block:
    """A line of small print, our own words in mrkdwn."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": part, "verbatim": True} for part in parts]}


def heading(text: str) -> Block:
    """A headline, our own words."""
    return {"type": "header", "text": label(text, 150)}


def divider() -> Block:
    """A thin line."""
    return {"type": "divider"}


def button(text: str, action_id: str, value: str, *, style: str | None = None, confirm: Block | None = None) -> Block:
    """A button. Its value is an id and nothing else: what it means is decided from the record."""
    element: Block = {"type": "button", "text": label(text), "action_id": action_id, "value": value}
    if style is not None:
        element["style"] = style
    if confirm is not None:
        element["confirm"] = confirm
    return element


def actions(block_id: str, *elements: Block) -> Block:
    """A row of buttons."""
    return {"type": "actions", "block_id": block_id, "elements": list(elements)}


def mention(decider: str) -> str:
    """A person as a mention, which shows their name and notifies nobody who is not in the channel; a rule by name."""
    if is_person(decider):
        return f"<@{decider}>"
    kind, _, rule = decider.partition(":")
    if kind == "policy":
        return f"the policy (rule {code(rule)})"
    return {SLACK: "somebody in Slack", OPERATOR: "an operator"}.get(DeciderId(decider), "the clock")


def people(selector: str) -> str:
    """A person or a user group as a mention; anything else that names people, such as an e-mail address, as text."""
    if is_person(selector):
        return f"<@{selector}>"
    if is_on_call_name(selector):
        return f"on call in {code(schedule_of(OnCallName(selector)))}"
    return f"<!subteam^{selector}>" if is_user_group(selector) else escape(selector)


def code(text: str) -> str:
    """A name as code. A backtick would end it, and no name of ours has one."""
    return f"`{escape(text).replace('`', '')}`"


def code_line(*words: str) -> str:
    """A command as code on one line, ready to be copied, with a person's own words in it."""
    return code(" ".join(" ".join(words).split()))


def moment(at: datetime, *, form: str = "{date_short_pretty} at {time}") -> str:
    """A moment in the reader's own zone, by Slack's date format; the fallback is UTC."""
    return f"<!date^{int(at.timestamp())}^{form}|{at:%Y-%m-%d %H:%M} UTC>"


def countdown(at: datetime) -> str:
    """How long until a moment, or since, which Slack keeps counting: `in 42 minutes`."""
    return moment(at, form="{ago}")


def relative_time(at: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that fits: `2 minutes ago`."""
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        count = seconds // size
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def length(duration: timedelta) -> str:
    """A duration as people write it."""
    return format_duration(duration)
