"""One call of the HTTP API: what its handler gets, and how its parts are read.

Invariant: a handler gets values that were checked: a body that fits its model, and parameters that fit the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeAlias

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from bot.api.bodies import RequestBody
from bot.api.endpoints import Endpoint, Parameter
from bot.api.problems import Problem, ProblemCode
from bot.api.refusals import ApiRefusal, not_found
from core.access.device import DeviceUser
from core.errors import InvalidInput

_NOTHING: Final = "Nothing was changed."


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `user` is whose device it comes from; None where none is needed."""

    address: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: RequestBody | None = field(default=None, repr=False)
    user: DeviceUser | None = None

    @property
    def caller(self) -> DeviceUser:
        """The device that calls. An endpoint that needs one never runs without it."""
        if self.user is None:
            raise AssertionError("an endpoint that needs a device ran without one")
        return self.user

    def get(self, name: str) -> str | None:
        """A parameter; None if it was left out."""
        return self.parameters.get(name)


Handler: TypeAlias = Callable[[Call], BaseModel]
"""Does one endpoint's work, on a thread of its lane. May raise CountersignError."""


def read_parameters(endpoint: Endpoint, request: Request) -> dict[str, str]:
    """The parameters of the table. Raises ApiRefusal for one that doesn't fit, or that isn't in the table."""
    names = {each.name for each in endpoint.parameters if each.where == "query"}
    for unknown in sorted(request.query_params.keys() - names):
        raise _invalid(f"{unknown[:40]!r}", "there is no such parameter here", "Leave it out.")
    found: dict[str, str] = {}
    for each in endpoint.parameters:
        values = _values(each, request)
        if len(values) > 1:
            raise _invalid(each.name, "it is there twice", "Give it once.")
        if values:
            found[each.name] = _checked(each, values[0])
    return found


def read_body(endpoint: Endpoint, content: bytes) -> RequestBody | None:
    """The body as the endpoint's model. Raises ApiRefusal."""
    if endpoint.body is None:
        return None
    try:
        read = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _invalid("body", "it isn't JSON", "Send a JSON object.", HTTPStatus.BAD_REQUEST) from error
    if not isinstance(read, dict):
        raise _invalid("body", "it isn't an object", "Send a JSON object.")
    try:
        return endpoint.body.model_validate(read)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"]) or "body"
        raise _invalid(where, first["msg"], "See the OpenAPI document.") from error
    except InvalidInput as error:
        raise _invalid(error.field, error.problem, error.fix) from error


def _values(parameter: Parameter, request: Request) -> list[str]:
    if parameter.where == "path":
        return [str(request.path_params[parameter.name])]
    if parameter.where == "query":
        return request.query_params.getlist(parameter.name)
    return request.headers.getlist(parameter.name)


def _checked(parameter: Parameter, text: str) -> str:
    schema = parameter.schema
    if schema["type"] == "integer":
        return _check_number(parameter, text)
    pattern, least, most = schema.get("pattern"), schema.get("minLength", 0), schema.get("maxLength", len(text))
    is_short_enough = isinstance(least, int) and isinstance(most, int) and least <= len(text) <= most
    if is_short_enough and (not isinstance(pattern, str) or re.search(pattern.replace("$", r"\Z"), text)):
        return text
    if parameter.where == "path":
        # A name that nothing can have.
        raise ApiRefusal(not_found())
    raise _invalid(parameter.name, "it doesn't have the right form", parameter.description)


def _check_number(parameter: Parameter, text: str) -> str:
    least, most = parameter.schema["minimum"], parameter.schema["maximum"]
    is_number = text.isascii() and text.isdecimal() and len(text) <= 4  # noqa: PLR2004 - more digits than any needs
    if not (is_number and isinstance(least, int) and isinstance(most, int) and least <= int(text) <= most):
        raise _invalid(parameter.name, "it isn't a number in its bounds", f"Give {least} to {most}.")
    return text


def _invalid(name: str, problem: str, fix: str, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY) -> ApiRefusal:
    detail = f"{problem}. {fix} {_NOTHING}"
    return ApiRefusal(Problem.of(ProblemCode.INVALID_INPUT, f"{name} can't be used", detail, status=status, field=name))
