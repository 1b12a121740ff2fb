"""The JSON Schema of the policy file, with which editors complete keys and underline mistakes while you type.

Invariant: it is made from the models that the file is checked against, so it never promises another format. A file
that passes it may still have the mistakes that only `lint` finds.
"""

from __future__ import annotations

import json
from typing import Final

from pydantic import JsonValue

from core.policy.rules import PolicyDocument

_NULL: Final[JsonValue] = {"type": "null"}
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> dict[str, JsonValue]:
    """The JSON Schema (draft 2020-12) of a policy file."""
    schema = _tidy(PolicyDocument.model_json_schema())
    if not isinstance(schema, dict):
        raise TypeError("the schema of a model is a mapping")
    return {"$schema": _DIALECT, "title": "Countersign policy", **schema}


def write_schema() -> str:
    """The schema as the text of `policy.schema.json`."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(node: JsonValue) -> JsonValue:
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    # A key of the file may be left out but may not be empty: in Python, None means that it was left out.
    choices = node.get("anyOf")
    if isinstance(choices, list) and _NULL in choices:
        present = next(each for each in choices if each != _NULL)
        node = {**(present if isinstance(present, dict) else {}), **node}
        del node["anyOf"]
    if "patternProperties" in node:
        node = {**node, "additionalProperties": False}
    return {key: _tidy(value) for key, value in node.items() if not _is_noise(key, value)}


def _is_noise(key: str, value: JsonValue) -> bool:
    # Titles only repeat the keys, and defaults are Python values here; the descriptions give them as the file writes
    # them.
    return (key == "title" and isinstance(value, str)) or (key == "default" and not isinstance(value, dict))
