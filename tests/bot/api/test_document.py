"""The OpenAPI document and the server agree: schemathesis calls every endpoint as the document describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bot.api.endpoints import ENDPOINTS
from bot.api.openapi import build_document
from bot.api.problems import STATUSES, Problem
from bot.api.rate_limits import CallRates, Rate
from tests.bot.api.served_api import WHY, ServedApi

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

EXAMPLES = 4
PLENTY = Rate(100_000, 1000.0)
CHECKS = (
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
)


def document() -> dict[str, Any]:
    return dict(build_document(ENDPOINTS, "1.2.3", "http://127.0.0.1:8787"))


def test_served_document_is_the_one_of_the_table(api: ServedApi) -> None:
    served = api.ask("GET", "/v1/openapi.json").body
    assert served["openapi"] == "3.1.0"
    assert served["paths"] == document()["paths"]
    operations = [each for path in served["paths"].values() for each in path.values()]
    assert sorted(each["operationId"] for each in operations) == sorted(each.name for each in ENDPOINTS)


def test_every_endpoint_answers_as_the_document_says(stores: Stores, clock: FrozenClock) -> None:
    rates = CallRates(PLENTY, PLENTY, PLENTY, PLENTY, PLENTY)
    with ServedApi(stores, clock, limits=rates) as api:
        token = api.paper.pair()
        made = api.ask("POST", "/v1/requests", token, {"profile": "prod", "justification": WHY}).body["id"]
        schema = schemathesis.openapi.from_dict(document())
        for result in schema.get_all_operations():
            assert isinstance(result, Ok)
            _call(result.ok(), api, {"Authorization": f"Bearer {api.paper.pair()}"})
        # The examples found nothing of Ann's to change.
        assert api.ask("GET", f"/v1/requests/{made}", token).body["status"] == "pending"


def _call(operation: Any, api: ServedApi, headers: dict[str, str]) -> None:  # noqa: ANN401 - schemathesis's own
    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Any) -> None:  # noqa: ANN401
        if case.path_parameters.get("id") == "self":
            return
        response = case.call(base_url=api.server.url, headers=headers)
        case.validate_response(response, checks=list(CHECKS))

    call()


def test_problems_of_every_call_fit_the_document(api: ServedApi, token: str) -> None:
    schemas = document()["components"]["schemas"]
    problem = Draft202012Validator({"$ref": "#/components/schemas/Problem", "components": {"schemas": schemas}})
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{id}", "0" * 16).replace("{source}", "0" * 16).replace("{profile}", "prod")
        headers = {"Origin": "https://evil.example"}
        problem.validate(api.ask(endpoint.method, path, token, headers=headers).body)
        if endpoint.needs_device:
            refused = api.ask(endpoint.method, path)
            problem.validate(refused.body)
            assert refused.status in {401, 415}


def test_every_code_has_one_status_and_reads_back() -> None:
    for code, status in STATUSES.items():
        made = Problem.of(code, "title", "detail")
        assert (made.status, Problem.model_validate_json(made.to_json()).code) == (status, code.value)
