"""The item of a right in DynamoDB: what is held of it, and beside that, what makes it due.

Invariant: the sealed holding is one attribute, `holding`, and is replaced only by a commit. Beside it stand `nudge`,
`live` (the ids of the grants that aren't final), and `urgency` and `due` while something is to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic import JsonValue

from core.access.grant import Grant
from core.access.holding import Holding
from core.errors import ConcurrentModification, CountersignError, MalformedRecord
from core.stores.access import DueRight, RightState
from core.stores.due import to_row
from core.stores.dynamodb.items import Item, from_attributes, to_attributes
from core.stores.dynamodb.ledgers import HOLDING_PREFIX
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.right_state import find_kept_until
from core.stores.schema import TTL_ATTRIBUTE
from core.stores.seals import SEAL, SealedLedger

NAMES: Final = {f"#{name}": name for name in ("nudge", "live", "due", "urgency", "holding")} | {
    "#forgotten": TTL_ATTRIBUTE
}
"""The attributes of a right's item, each with an alias: some are reserved words."""


def holding_key(key: str) -> Item:
    """Where what is held of a right is stored, by the right's key."""
    return {"pk": {"S": f"{HOLDING_PREFIX}{key}"}}


def write_place(due: DueRight) -> str:
    """A moment and a right as one text, so that an index has an order that is the same on every engine."""
    return " ".join(to_row(due))


def names_of(*names: str) -> dict[str, str]:
    """The aliases of these attributes."""
    return {f"#{name}": NAMES[f"#{name}"] for name in names}


def replace_holding(
    state: RightState, changed: RightState, sealed: SealedLedger, written: Grant | None
) -> dict[str, Any]:
    """The update of a right's item, if neither its holding nor its nudge changed since `state` was read."""
    holding = changed.holding
    due_at, kept_until = holding.next_look_at, find_kept_until(changed)
    values: dict[str, JsonValue] = {
        "due": write_place(DueRight(holding.right, due_at)) if due_at is not None else None,
        "urgency": holding.urgency if due_at is not None else None,
        "forgotten": int(kept_until.timestamp()) if kept_until is not None else None,
    }
    put = to_attributes({f":{name}": value for name, value in values.items()}) | {
        ":holding": {"M": to_attributes(sealed.item)}
    }
    expression = f"SET {', '.join(f'#{name[1:]} = {name}' for name in put)}"
    removed = [f"#{name}" for name, value in values.items() if value is None]
    if removed:
        expression += f" REMOVE {', '.join(removed)}"
    names = names_of("nudge", "holding", *values)
    if written is not None and not written.is_live:
        expression += " DELETE #live :final"
        put[":final"] = {"SS": [written.id]}
        names |= names_of("live")
    if isinstance(state.damaged, dict):
        return _replace_damaged(state, state.damaged, put, removed, names)
    condition, as_read = _unchanged(state, sealed)
    nested = {"#version": "updated_at", "#seal": SEAL} if ":version" in as_read else {}
    return {
        "Key": holding_key(holding.owner),
        "UpdateExpression": expression,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names | nested,
        "ExpressionAttributeValues": put | as_read,
    }


def _replace_damaged(
    state: RightState, damaged: Item, put: Item, removed: Sequence[str], names: dict[str, str]
) -> dict[str, Any]:
    """The same over an item that can't be trusted, if it is still the one that was read; makes it whole."""
    was: Item = {name: damaged[name] for name in NAMES.values() if name in damaged and name in {"nudge", "holding"}}
    put = dict(put)
    if not _is_count(was):
        put[":nudge"] = {"N": str(state.nudge)}
    live = [grant.id for grant in state.grants if grant.is_live] + list(state.unreadable)
    if live:
        # Whatever stood there: these are the ones that were found.
        put[":live"] = {"SS": sorted(set(live))}
    expression = f"SET {', '.join(f'#{name[1:]} = {name}' for name in put)}"
    gone = [*removed, *([] if live else ["#live"])]
    if gone:
        expression += f" REMOVE {', '.join(gone)}"
    conditions = [
        f"#{name} = :was_{name}" if name in was else f"attribute_not_exists(#{name})" for name in ("nudge", "holding")
    ]
    return {
        "Key": holding_key(state.holding.owner),
        "UpdateExpression": expression,
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names | names_of("live"),
        "ExpressionAttributeValues": put | {f":was_{name}": value for name, value in was.items()},
    }


def _unchanged(state: RightState, sealed: SealedLedger) -> tuple[str, Item]:
    required = sealed.must_be_stored()
    parts = ["#nudge = :nudge" if state.nudge else "attribute_not_exists(#nudge)"]
    values: dict[str, JsonValue] = {":nudge": state.nudge or None}
    if required["updated_at"] is None:
        parts.append("attribute_not_exists(#holding)")
    else:
        seal = required[SEAL]
        is_same = "#holding.#seal = :seal" if seal is not None else "attribute_not_exists(#holding.#seal)"
        parts += ["#holding.#version = :version", is_same]
        values |= {":version": required["updated_at"], ":seal": seal}
    return " AND ".join(parts), to_attributes(values)


def holding_changed(holding: Holding) -> Callable[[ConditionFailed], CountersignError | None]:
    """What it means that this update's condition failed."""
    return lambda failure: ConcurrentModification(holding.key) if any(failure.failed) else None


def key_of(item: Item) -> str:
    """The key of the right that an item is about."""
    return str(item["pk"]["S"]).removeprefix(HOLDING_PREFIX)


def plain_holding(item: Item) -> dict[str, JsonValue]:
    """What is held, as it is stored; empty if nothing is known yet. Raises MalformedRecord."""
    name = str(item["pk"]["S"])
    stored = from_attributes({"holding": item["holding"]}, name)["holding"] if "holding" in item else {}
    if not isinstance(stored, dict):
        raise MalformedRecord(name, "what is held is not an object")
    return stored


def check_beside(key: str, item: Item) -> int:
    """How often the right was nudged. Raises MalformedRecord when that, or `live`, is of another type."""
    if not _is_live_set(item) or not _is_count(item):
        raise MalformedRecord(f"{HOLDING_PREFIX}{key}", "what stands beside it is of another type")
    return find_nudge(item)


def find_nudge(item: Item) -> int:
    """How often the right was nudged; where that can't be told, as often as it will be said to have been."""
    return int(item.get("nudge", _ZERO)["N"]) if _is_count(item) else 1


def find_live(item: Item) -> list[str]:
    """The ids of its live grants, as far as they can be read."""
    return list(item.get("live", _NONE)["SS"]) if _is_live_set(item) else []


def _is_live_set(item: Item) -> bool:
    return "SS" in item.get("live", _NONE)


def _is_count(item: Item) -> bool:
    return str(item.get("nudge", _ZERO).get("N", "")).isdecimal()


_ZERO: Final = {"N": "0"}
_NONE: Final[dict[str, list[str]]] = {"SS": []}
