"""AWS's query protocol: a form in, XML out, both held to botocore's model of the service.

Invariant: the limits of lengths, ranges and patterns are the model's own, which botocore itself doesn't check.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import ListShape, OperationModel, Shape, StructureShape

from core.clock import format_time
from playground.pretend_aws.faults import PretendAwsError, validation_error

Parameters = dict[str, Any]
_REQUEST_ID: Final = "5e0b2d6e-fa4e-4e57-9d5b-000000000000"


@cache
def find_operation(service: str, name: str, version: str) -> OperationModel:
    """The model of an operation. Raises PretendAwsError for what the service doesn't have."""
    if service not in {"sts", "iam"}:
        raise PretendAwsError("InvalidAction", f"The pretend AWS has no {service}", 400)
    model = _model(service)
    if name not in model.operation_names or version != model.api_version:
        raise PretendAwsError("InvalidAction", f"Could not find operation {name} for version {version}", 400)
    found: OperationModel = model.operation_model(name)
    return found


@cache
def _model(service: str) -> Any:  # noqa: ANN401 - botocore has no types of its own.
    return botocore.session.get_session().get_service_model(service)


def read_form(body: bytes) -> dict[str, str]:
    """The parameters as they were sent: `Tags.member.1.Key`."""
    return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True))


def read_parameters(operation: OperationModel, form: dict[str, str]) -> Parameters:
    """The parameters of an operation. Raises PretendAwsError (ValidationError) with everything that is wrong."""
    shape = operation.input_shape
    if shape is None:
        return {}
    found = _read(shape, "", form) or {}
    problems = list(_problems(shape, found, ""))
    if problems:
        raise validation_error(*problems)
    return dict(found)


def render(operation: OperationModel, result: Parameters) -> bytes:
    """A success, as botocore parses it."""
    shape = operation.output_shape
    inner = _write_members(shape, result) if isinstance(shape, StructureShape) else ""
    wrapped = f"<{operation.name}Result>{inner}</{operation.name}Result>" if shape is not None else ""
    space = operation.service_model.metadata["xmlNamespace"]
    metadata = f"<ResponseMetadata><RequestId>{_REQUEST_ID}</RequestId></ResponseMetadata>"
    return f'<{operation.name}Response xmlns="{space}">{wrapped}{metadata}</{operation.name}Response>'.encode()


def render_error(error: PretendAwsError) -> bytes:
    """An error, as botocore parses it."""
    # AWS names the sender for every 4xx.
    inner = f"<Type>Sender</Type><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    return f"<ErrorResponse><Error>{inner}</Error><RequestId>{_REQUEST_ID}</RequestId></ErrorResponse>".encode()


def render_s3_error(error: PretendAwsError) -> bytes:
    """An error of S3, which has a form of its own."""
    inner = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message><RequestId>{_REQUEST_ID}</RequestId>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


def _read(shape: Shape, at: str, form: dict[str, str]) -> Any:  # noqa: ANN401 - typed by its shape.
    if isinstance(shape, StructureShape):
        members = {name: _read(each, f"{at}{name}", form) for name, each in _members_at(shape, at)}
        return {name.rpartition(".")[2]: value for name, value in members.items() if value is not None} or None
    if isinstance(shape, ListShape):
        found: list[Any] = []
        while any(key == (here := f"{at}.member.{len(found) + 1}") or key.startswith(f"{here}.") for key in form):
            found.append(_read(shape.member, here, form))
        return found or None
    text = form.get(at)
    if text is not None and shape.type_name == "integer" and not re.fullmatch(r"-?\d{1,9}", text):
        raise validation_error(
            f"Value '{text}' at '{_camel(at)}' failed to satisfy constraint: Member must be a number"
        )
    return int(text) if text is not None and shape.type_name == "integer" else text


def _members_at(shape: StructureShape, at: str) -> list[tuple[str, Shape]]:
    return [(f".{name}" if at else name, each) for name, each in shape.members.items()]


def _problems(shape: Shape, value: Any, at: str) -> list[str]:  # noqa: ANN401 - typed by its shape.
    """Rule (service model): required members, lengths, ranges and patterns."""
    if isinstance(shape, StructureShape):
        found: list[Any] = []
        for name, each in shape.members.items():
            where = f"{at}.{_camel(name)}" if at else _camel(name)
            if name not in value and name in shape.required_members:
                found.append(f"Value null at '{where}' failed to satisfy constraint: Member must not be null")
            elif name in value:
                found += _problems(each, value[name], where)
        return found
    inside: list[str] = []
    if isinstance(shape, ListShape):
        for number, each in enumerate(value, 1):
            inside += _problems(shape.member, each, f"{at}.{number}.member")
    words = _constraints(shape, value)
    if not words:
        return inside
    return [*inside, f"Value '{value}' at '{at}' failed to satisfy constraint: {words}"]


def _constraints(shape: Shape, value: Any) -> str | None:  # noqa: ANN401 - typed by its shape.
    limits = shape.metadata
    kind, size = ("value", value) if shape.type_name == "integer" else ("length", len(value))
    if "min" in limits and size < limits["min"]:
        return f"Member must have {kind} greater than or equal to {limits['min']}"
    if "max" in limits and size > limits["max"]:
        return f"Member must have {kind} less than or equal to {limits['max']}"
    pattern = limits.get("pattern") if shape.type_name == "string" else None
    if pattern is not None and not _compile(pattern).fullmatch(value):
        return f"Member must satisfy regular expression pattern: {pattern}"
    return None


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    # Java's classes and its planes above U+FFFF, in Python's words. Its \w is ASCII; its \p{L} isn't.
    if r"\p{" in pattern:
        return re.compile(pattern.replace(r"\p{L}", r"\w").replace(r"\p{Z}", r"\s").replace(r"\p{N}", r"\d"))
    return re.compile(pattern.replace(r"\u10000-\u10FFFF", r"\U00010000-\U0010FFFF"), re.ASCII)


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _write(shape: Shape, value: Any) -> str:  # noqa: ANN401 - typed by its shape.
    if isinstance(shape, StructureShape):
        return _write_members(shape, value)
    if isinstance(shape, ListShape):
        return "".join(f"<member>{_write(shape.member, each)}</member>" for each in value)
    if isinstance(value, datetime):
        return format_time(value.replace(microsecond=0))
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


def _write_members(shape: StructureShape, value: Parameters) -> str:
    unknown = set(value) - set(shape.members)
    if unknown:
        raise TypeError(f"{shape.name} has no {', '.join(sorted(unknown))}")
    return "".join(f"<{name}>{_write(shape.members[name], each)}</{name}>" for name, each in value.items())
