"""The OpenAPI 3.1 document, built from the table of endpoints and the models.

Invariant: the document names every endpoint that is served, every status that it may answer with, and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, JsonValue
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from bot.api.endpoints import Endpoint, Parameter
from bot.api.problems import CONTENT_TYPE, STATUSES, Problem

_REF: Final = "#/components/schemas/{model}"
_SCHEME: Final = "device"
_DESCRIPTION: Final = (
    "Countersign for terminals and machines. A device is paired once, in Slack; its token is the bearer token of every "
    "other call. Errors are RFC 9457 problems: decide by `type`, show `detail`. Times are UTC. Ignore fields that you "
    "don't know. See docs/api.md."
)
EXTRA_STATUSES: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
"""Of HTTP itself: what isn't JSON, comes too slowly, or is of another type."""


def build_document(endpoints: Sequence[Endpoint], version: str, url: str | None = None) -> dict[str, JsonValue]:
    """The document of a server that serves these endpoints, at `url` if that is known."""
    paths: dict[str, dict[str, JsonValue]] = defaultdict(dict)
    for each in endpoints:
        paths[each.path][each.method.lower()] = _operation(each)
    document: dict[str, JsonValue] = {
        "openapi": "3.1.0",
        "info": {"title": "Countersign", "version": version, "description": _DESCRIPTION},
        "paths": dict(paths),
        "components": {
            "schemas": _schemas(endpoints),
            "securitySchemes": {_SCHEME: {"type": "http", "scheme": "bearer", "bearerFormat": "cst_…"}},
        },
    }
    return document if url is None else {**document, "servers": [{"url": url}]}


def _operation(endpoint: Endpoint) -> dict[str, JsonValue]:
    operation: dict[str, JsonValue] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "responses": _responses(endpoint),
        "security": [{_SCHEME: []}] if endpoint.needs_device else [],
    }
    if endpoint.parameters:
        operation["parameters"] = [_parameter(each) for each in endpoint.parameters]
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": _schema_of(endpoint.body)}}
    return operation


def _parameter(parameter: Parameter) -> dict[str, JsonValue]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }


def _responses(endpoint: Endpoint) -> dict[str, JsonValue]:
    found: dict[int, list[str]] = defaultdict(list)
    for code in endpoint.every_problem:
        found[STATUSES[code].value].append(code.value)
    for status in EXTRA_STATUSES:
        found[status.value] = found[status.value] or ["invalid_input"]
    problem: dict[str, JsonValue] = {"content": {CONTENT_TYPE: _schema_of(Problem)}}
    refusals = {str(status): {"description": ", ".join(codes), **problem} for status, codes in sorted(found.items())}
    answer: dict[str, JsonValue] = {
        "description": endpoint.status.phrase,
        "content": {"application/json": _schema_of(endpoint.answer)},
    }
    return {str(endpoint.status.value): answer, **refusals}


def _schema_of(model: type[BaseModel]) -> dict[str, JsonValue]:
    return {"schema": {"$ref": _REF.format(model=model.__name__)}}


def _schemas(endpoints: Sequence[Endpoint]) -> dict[str, JsonValue]:
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for each in endpoints:
        models[each.answer, "serialization"] = None
        if each.body is not None:
            models[each.body, "validation"] = None
    _, schemas = models_json_schema(list(models), ref_template=_REF)
    definitions: Mapping[str, JsonValue] = schemas["$defs"]
    return {name: _cleaned(schema) for name, schema in definitions.items()}


def _cleaned(schema: JsonValue) -> JsonValue:
    """Without what pydantic adds for secrets, which are given here, and without titles that repeat the names."""
    if isinstance(schema, list):
        return [_cleaned(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    is_property_title = isinstance(schema.get("title"), str)
    left_out = {"writeOnly", *(("title",) if is_property_title else ())}
    return {name: _cleaned(value) for name, value in schema.items() if name not in left_out}
