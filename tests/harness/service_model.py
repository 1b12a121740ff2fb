"""Judges what is sent to a fake AWS service, and what it answers, by botocore's model of that service.

Invariant: every member is judged: its name, type, length, number, pattern and enumeration, and whether it is required.
botocore itself sends what breaks a pattern, so that only AWS would say so.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session

_CATEGORY = re.compile(r"\\p\{([A-Z])\}")


class ModelViolationError(Exception):
    """What was sent or answered isn't what the model of the service allows."""


class ServiceModel:
    """The operations of one service. `has_prefix`: it has the JSON protocol, which names the operation in a header."""

    def __init__(self, service: str, *, has_prefix: bool = True) -> None:
        self._model = botocore.session.get_session().get_service_model(service)
        self.prefix: str = self._model.metadata["targetPrefix"] if has_prefix else ""

    def check_input(self, operation: str, body: dict[str, Any]) -> None:
        """Raises ModelViolationError."""
        _check(self._model.operation_model(operation).input_shape, body, operation)

    def check_output(self, operation: str, body: dict[str, Any]) -> None:
        """Raises ModelViolationError."""
        _check(self._model.operation_model(operation).output_shape, body, operation)

    def check_error(self, operation: str, code: str) -> None:
        """Raises ModelViolationError for an error that the operation doesn't have."""
        known = {shape.name for shape in self._model.operation_model(operation).error_shapes}
        if code not in known:
            raise ModelViolationError(f"{operation} never answers {code}")


def _check(shape: Any, value: Any, where: str) -> None:  # noqa: ANN401  botocore's shapes, and JSON
    checks = {
        "structure": _check_structure,
        "list": _check_list,
        "string": _check_string,
        "integer": _check_integer,
        "timestamp": _check_timestamp,
        "boolean": _check_boolean,
    }
    if getattr(shape, "is_document_type", False):
        return
    checks[shape.type_name](shape, value, where)


def _check_structure(shape: Any, value: Any, where: str) -> None:  # noqa: ANN401
    _require(isinstance(value, dict), where, "isn't an object")
    _require(set(value) <= set(shape.members), where, f"has unknown members: {sorted(set(value) - set(shape.members))}")
    missing = sorted(set(shape.required_members) - set(value))
    _require(not missing, where, f"lacks {missing}")
    if getattr(shape, "is_tagged_union", False):
        _require(len(value) == 1, where, "needs exactly one member")
    for name, member in value.items():
        _check(shape.members[name], member, f"{where}.{name}")


def _check_list(shape: Any, value: Any, where: str) -> None:  # noqa: ANN401
    _require(isinstance(value, list), where, "isn't a list")
    _check_bounds(shape, len(value), where)
    for each in value:
        _check(shape.member, each, f"{where}[]")


def _check_string(shape: Any, value: Any, where: str) -> None:  # noqa: ANN401
    _require(isinstance(value, str), where, "isn't text")
    _check_bounds(shape, len(value), where)
    enum = shape.metadata.get("enum")
    _require(not enum or value in enum, where, f"isn't one of {enum}")
    pattern = shape.metadata.get("pattern")
    _require(not pattern or _compiled(pattern).fullmatch(value) is not None, where, f"doesn't match {pattern}")


def _check_integer(shape: Any, value: Any, where: str) -> None:  # noqa: ANN401
    _require(isinstance(value, int) and not isinstance(value, bool), where, "isn't a whole number")
    _check_bounds(shape, value, where)


def _check_boolean(_: Any, value: Any, where: str) -> None:  # noqa: ANN401
    _require(isinstance(value, bool), where, "isn't true or false")


def _check_timestamp(_: Any, value: Any, where: str) -> None:  # noqa: ANN401
    _require(isinstance(value, int | float | datetime), where, "isn't a time")


def _check_bounds(shape: Any, count: int, where: str) -> None:  # noqa: ANN401
    _require(shape.metadata.get("min", count) <= count <= shape.metadata.get("max", count), where, "is out of bounds")


def _require(condition: bool, where: str, problem: str) -> None:  # noqa: FBT001
    if not condition:
        raise ModelViolationError(f"{where} {problem}")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Python's `re` has no \\p{…}. Inside of brackets it becomes its characters; outside, it needs its own.
    parts = re.split(r"(\[(?:\\.|[^\]\\])*\])", pattern)
    inside = [_CATEGORY.sub(lambda found: _characters(found[1]), part) for part in parts[1::2]]
    outside = [_CATEGORY.sub(lambda found: f"[{_characters(found[1])}]", part) for part in parts[::2]]
    return re.compile("".join(text for pair in zip(outside, [*inside, ""], strict=True) for text in pair))


@cache
def _characters(kind: str) -> str:
    points = [each for each in range(0x10000) if unicodedata.category(chr(each))[0] == kind]
    ranges: list[list[int]] = []
    for each in points:
        if ranges and ranges[-1][1] == each - 1:
            ranges[-1][1] = each
        else:
            ranges.append([each, each])
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in ranges)
