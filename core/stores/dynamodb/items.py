"""Plain JSON values to DynamoDB's typed attributes and back.

Invariant: what is read equals what was written. Numbers are ints: DynamoDB keeps 38 digits, a float would not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from core.errors import MalformedRecord

Item = dict[str, Any]
"""An item as boto3's client accepts and returns it: attribute name to a dict with one type letter."""


def to_attributes(item: Mapping[str, JsonValue]) -> Item:
    """Plain values to typed attributes, leaving out None: DynamoDB Local of 2020 refuses some empty values."""
    return {name: to_attribute(value) for name, value in item.items() if value is not None}


def to_attribute(value: JsonValue) -> dict[str, Any]:
    """One plain value as a typed attribute. Raises TypeError for a float."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, list):
        return {"L": [to_attribute(each) for each in value]}
    if isinstance(value, dict):
        return {"M": {name: to_attribute(each) for name, each in value.items()}}
    raise TypeError(f"a {type(value).__name__} cannot be stored exactly")


def from_attributes(item: Item, record: str) -> dict[str, JsonValue]:
    """Typed attributes to plain values. Raises MalformedRecord, naming `record`, for a type that is never written."""
    try:
        return {name: _from_attribute(name, value) for name, value in item.items()}
    except ValueError as error:
        raise MalformedRecord(record, str(error)) from error


def _from_attribute(name: str, attribute: dict[str, Any]) -> JsonValue:
    ((letter, value),) = attribute.items()
    match letter:
        case "S" | "BOOL":
            plain: JsonValue = value
        case "N":
            try:
                plain = int(value)
            except ValueError:
                raise ValueError(f"{name}: {value} is not a whole number") from None
        case "NULL":
            plain = None
        case "L":
            plain = [_from_attribute(name, each) for each in value]
        case "M":
            plain = {key: _from_attribute(key, each) for key, each in value.items()}
        case _:
            raise ValueError(f"{name}: it has the type {letter}, which is not used here")
    return plain
