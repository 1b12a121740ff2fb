"""Conditions of writes, as DynamoDB reads them.

Invariant: every name and every value has an alias: `status`, `duration` and many others are reserved words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from core.stores.dynamodb.items import to_attributes


def all_equal(
    facts: Mapping[str, JsonValue], statuses: frozenset[str] = frozenset(), *, inside: str | None = None
) -> dict[str, Any]:
    """A condition: each attribute has this value, or is absent for None; and the status is one of these.

    `inside` is the attribute that holds all of these; without one, they are attributes of the item.
    """
    names = {f"#a{number}": name for number, name in enumerate(facts)}
    values = to_attributes({f":a{number}": value for number, value in enumerate(facts.values())})
    path = "#inside." if inside is not None else ""
    parts = [
        f"{path}{alias} = :{alias[1:]}" if f":{alias[1:]}" in values else f"attribute_not_exists({path}{alias})"
        for alias in names
    ]
    if inside is not None:
        names["#inside"] = inside
    if statuses:
        names["#status"] = "status"
        allowed = {f":s{number}": {"S": status} for number, status in enumerate(sorted(statuses))}
        parts.append(f"{path}#status IN ({', '.join(allowed)})")
        values |= allowed
    condition = {"ConditionExpression": " AND ".join(parts), "ExpressionAttributeNames": names}
    # DynamoDB refuses an empty map of values.
    return {**condition, "ExpressionAttributeValues": values} if values else condition
