"""Menus with an external data source: what people type in them, and the options that the app answers with.

Invariant: a person can choose only what the app has offered them in that menu, or what was chosen there from the
beginning; an answer that Slack wouldn't take offers nothing.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping

from localslack import limits
from localslack.block_rules import ListRule, ObjectRule, Report, TextRule
from localslack.block_schema import OPTION
from localslack.records import Json
from localslack.refusals import NotOnScreen, SlackRefusal

_GROUP = ObjectRule({"label": TextRule(limits.OPTION_TEXT), "options": ListRule(OPTION, limits.OPTIONS, min_items=0)})
_Menu = tuple[str, str, str, str]


def is_external(element: Json) -> bool:
    """True for a menu whose options the app is asked for."""
    return bool(element["type"].endswith("external_select"))


def check_query(element: Json, query: str) -> None:
    """Raises NotOnScreen for a query with which Slack wouldn't ask the app."""
    if not is_external(element):
        raise NotOnScreen(f"{element['action_id']} isn't a menu with an external data source")
    least = element.get("min_query_length", limits.MIN_QUERY)
    if len(query) < least:
        raise NotOnScreen(f"this menu asks from {least} characters on")


def read_suggestions(body: str, content_type: str) -> list[Json]:
    """The options of an answer, those of its groups in turn. Raises SlackRefusal for what Slack wouldn't take."""
    if content_type != "application/json":
        raise SlackRefusal("invalid_options", problems=[f"the answer isn't JSON but {content_type or 'empty'}"])
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise SlackRefusal("invalid_json") from error
    if not isinstance(answer, dict) or len({"options", "option_groups"} & answer.keys()) != 1:
        raise SlackRefusal("invalid_options", problems=["must provide either `options` or `option_groups`"])
    report = Report("message")
    key = "options" if "options" in answer else "option_groups"
    rule = ListRule(OPTION if key == "options" else _GROUP, limits.OPTIONS, min_items=0)
    rule.check(answer[key], f"/{key}", report)
    if report.problems:
        raise SlackRefusal("invalid_options", problems=report.problems)
    found: list[Json] = answer[key]
    return found if key == "options" else [option for group in found for option in group["options"]]


class OfferedOptions:
    """What the app has offered, by person, place and menu. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offered: dict[_Menu, dict[str, Json]] = {}

    def add(self, menu: _Menu, options: list[Json]) -> None:
        """These were offered in this menu: to a person, in a view or message, in a block, under an action_id."""
        with self._lock:
            self._offered.setdefault(menu, {}).update({option["value"]: option for option in options})

    def fill(self, blocks: list[Json], person: str, place: str, values: Mapping[str, Json]) -> list[Json]:
        """The blocks with the options that this person was offered there, and those that are chosen already."""
        return [self._fill_block(block, person, place, values.get(block["block_id"], {})) for block in blocks]

    def _fill_block(self, block: Json, person: str, place: str, state: Json) -> Json:
        filled = dict(block)
        for key in ("element", "accessory"):
            if block.get(key):
                filled[key] = self._fill(block[key], (person, place, block["block_id"]), state)
        if block["type"] == "actions":
            menu = (person, place, block["block_id"])
            filled["elements"] = [self._fill(element, menu, state) for element in block["elements"]]
        return filled

    def _fill(self, element: Json, menu: tuple[str, str, str], state: Json) -> Json:
        if not is_external(element):
            return element
        with self._lock:
            offered = dict(self._offered.get((*menu, element["action_id"]), {}))
        chosen = state.get(element["action_id"], {})
        for source in (element.get("initial_options"), chosen.get("selected_options")):
            offered |= {option["value"]: option for option in source or ()}
        for option in (element.get("initial_option"), chosen.get("selected_option")):
            offered |= {option["value"]: option} if option else {}
        return {**element, "options": list(offered.values())}
