"""The JSON Schema of the policy file, with which editors complete keys and underline mistakes while one types.

Invariant: it is made from the models that the file is checked against, so it never promises another format. A file
that passes it may still have the mistakes that only `checking` finds.
"""

from __future__ import annotations

import json

from pydantic import JsonValue

from core.policy.rules import PolicyShape


def policy_schema() -> dict[str, JsonValue]:
    """The JSON Schema (draft 2020-12) of a policy file."""
    schema: dict[str, JsonValue] = PolicyShape.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Countersign policy"}


def write_schema() -> str:
    """The schema as the text of `policy.schema.json`."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"
