"""One incoming call of the Web API: its method, its token and its arguments, from a form or from JSON.

Invariant: reading an argument returns what Slack would understand, or raises the error that Slack would return.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

from localslack import limits
from localslack.records import Json
from localslack.refusals import SlackRefusal

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A call. `arguments` don't include the token. From a form, all of them are text."""

    method: str
    token: str | None
    arguments: Json

    def get(self, name: str) -> object:
        """The argument, or None when it is missing, null or empty text."""
        value = self.arguments.get(name)
        return None if value == "" else value

    def text(self, name: str) -> str | None:
        """The argument as text, or None. A number counts as text, as in Slack."""
        value = self.get(name)
        return None if value is None else str(value)

    def required(self, name: str) -> str:
        """The argument as text. Raises SlackRefusal invalid_arguments if it's missing."""
        value = self.text(name)
        if value is None:
            raise SlackRefusal("invalid_arguments", problems=[f"missing required field: {name} [json-pointer:/{name}]"])
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """The argument as a boolean, in any spelling that Slack accepts."""
        value = self.get(name)
        return default if value is None else str(value).lower() in {"1", "true"}

    def structure(self, name: str, refusal: str) -> object:
        """A list or an object, which a form carries as JSON. Raises SlackRefusal `refusal` for broken JSON."""
        value = self.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise SlackRefusal(refusal) from error

    def page(self, items: list[_Item], size: int = limits.PAGE) -> tuple[list[_Item], str]:
        """The requested page of `items`, and the cursor of the next page, "" at the end.

        Raises SlackRefusal invalid_cursor or invalid_limit.
        """
        try:
            start = int(base64.b64decode(self.text("cursor") or "MA==", validate=True))
        except (ValueError, binascii.Error) as error:
            raise SlackRefusal("invalid_cursor") from error
        limit = self.text("limit") or str(size)
        if not limit.isdecimal() or not 1 <= int(limit) <= limits.PAGE:
            raise SlackRefusal("invalid_limit")
        end = start + int(limit)
        return items[start:end], base64.b64encode(str(end).encode()).decode() if end < len(items) else ""


def read_request(method: str, headers: dict[str, str], body: bytes, query: str) -> ApiRequest:
    """Read a call. Raises SlackRefusal invalid_json, json_not_object or invalid_post_type."""
    arguments: Json = dict(parse_qsl(query, keep_blank_values=True))
    kind = headers.get("content-type", "").split(";")[0].strip()
    if not body:
        pass
    elif kind == "application/json":
        try:
            parsed = json.loads(body)
        except ValueError as error:
            raise SlackRefusal("invalid_json") from error
        if not isinstance(parsed, dict):
            raise SlackRefusal("json_not_object")
        arguments |= parsed
    elif kind == "application/x-www-form-urlencoded":
        arguments |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    else:
        raise SlackRefusal("invalid_post_type" if kind else "missing_post_type")
    in_body = arguments.pop("token", None)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    # Slack ignores a token in a JSON body. In a form it counts as much as one in the header.
    in_form = None if kind == "application/json" else in_body
    return ApiRequest(method, token.strip() if scheme.lower() == "bearer" else in_form, arguments)
