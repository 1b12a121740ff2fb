"""Validates the blocks and views that the app sends, as Slack does, and fills in the ids that Slack fills in.

Invariant: in what passes, every `block_id` and `action_id` is unique where Slack requires it, and `complete` sets the
missing ones. What doesn't pass is refused with all its problems.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

from localslack import limits
from localslack.block_rules import ListRule, Report, TypedRule
from localslack.block_schema import BLOCKS, HOME, MODAL
from localslack.records import Json
from localslack.refusals import SlackRefusal

_STATIC = frozenset({"image", "plain_text", "mrkdwn"})
"""Elements that can't be used and have no action_id."""


def check_message_blocks(blocks: object) -> list[Json]:
    """The blocks of a message. Raises SlackRefusal invalid_blocks_format, invalid_blocks or msg_blocks_too_long."""
    if not isinstance(blocks, list):
        raise SlackRefusal("invalid_blocks_format")
    report = Report("message")
    ListRule(BLOCKS, limits.MESSAGE_BLOCKS, min_items=0).check(blocks, "/blocks", report)
    if not report.problems:
        _check_ids(blocks, "/blocks", report)
    if report.problems:
        raise SlackRefusal("invalid_blocks", problems=report.problems)
    if len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) > limits.ALL_BLOCKS:
        raise SlackRefusal("msg_blocks_too_long")
    return blocks


def check_attachments(attachments: object) -> list[Json]:
    """The attachments of a message, with their blocks. Raises SlackRefusal invalid_ or too_many_attachments."""
    if not isinstance(attachments, list) or not all(isinstance(attached, dict) for attached in attachments):
        raise SlackRefusal("invalid_attachments")
    if len(attachments) > limits.MESSAGE_ATTACHMENTS:
        raise SlackRefusal("too_many_attachments")
    for attached in attachments:
        if "blocks" in attached:
            try:
                check_message_blocks(attached["blocks"])
            except SlackRefusal as refusal:
                raise SlackRefusal("invalid_attachments", problems=refusal.problems) from refusal
    return attachments


def check_view(view: object, kind: str, at: str = "/view") -> Json:
    """A view of this kind, `modal` or `home`. Raises SlackRefusal invalid_arguments or view_too_large."""
    report = Report(kind)
    TypedRule({"home": HOME} if kind == "home" else {"modal": MODAL}).check(view, at, report)
    if isinstance(view, dict) and not report.problems:
        _check_ids(view["blocks"], f"{at}/blocks", report)
        if len(json.dumps(view, ensure_ascii=False).encode()) > limits.VIEW_BYTES:
            raise SlackRefusal("view_too_large")
    if report.problems or not isinstance(view, dict):
        schemas = f"failed to match all allowed schemas [json-pointer:{at}]"
        raise SlackRefusal("invalid_arguments", problems=[schemas, *report.problems])
    return view


def elements_of(block: Json) -> Iterator[Json]:
    """The interactive elements of a block."""
    candidates = [*block.get("elements", []), block.get("accessory"), block.get("element")]
    if block["type"] != "rich_text":
        yield from (element for element in candidates if element and element["type"] not in _STATIC)


def complete(blocks: list[Json], new_id: Callable[[], str]) -> list[Json]:
    """The blocks with what Slack adds: missing ids, and the defaults of text objects."""
    return [_complete_block(block, new_id) for block in blocks]


def _complete_block(block: Json, new_id: Callable[[], str]) -> Json:
    completed: Json = {"type": block["type"], "block_id": block.get("block_id") or new_id()}
    for key, value in block.items():
        completed.setdefault(key, _complete_value(value))
    for element in elements_of(completed):
        element.setdefault("action_id", new_id())
    return completed


def _complete_value(value: object) -> object:
    if isinstance(value, list):
        return [_complete_value(item) for item in value]
    if not isinstance(value, dict):
        return value
    completed = {key: _complete_value(inner) for key, inner in value.items()}
    if completed.get("type") == "plain_text":
        completed.setdefault("emoji", True)
    elif completed.get("type") == "mrkdwn":
        completed.setdefault("verbatim", False)
    return completed


def _check_ids(blocks: list[Json], at: str, report: Report) -> None:
    seen: set[str] = set()
    focused = 0
    for position, block in enumerate(blocks):
        here = f"{at}/{position}"
        block_id = block.get("block_id")
        if block_id in seen:
            report.add(f"`block_id` already exists: {block_id}", here)
        elif block_id is not None:
            seen.add(block_id)
        actions = Counter(element["action_id"] for element in elements_of(block) if "action_id" in element)
        for action_id in (action_id for action_id, times in actions.items() if times > 1):
            report.add(f"`action_id` already exists in this block: {action_id}", here)
        focused += sum(element.get("focus_on_load") is True for element in elements_of(block))
    if focused > 1:
        report.add("only one element can have `focus_on_load`", at)
