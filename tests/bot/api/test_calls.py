"""Every endpoint: what it answers when all is well, and what it refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from core.actor import Actor
from core.break_glass import ReasonCode
from core.request import RequestId
from core.services import BreakGlassService
from tests.bot.api.served_api import ANN, JON, WHY, ServedApi

if TYPE_CHECKING:
    from tests.bot.api.served_api import ApiAnswer


def request_prod(api: ServedApi, token: str, key: str | None = None) -> ApiAnswer:
    body = {"profile": "prod", "duration": "2h", "justification": WHY}
    headers = {"Idempotency-Key": key} if key is not None else {}
    return api.ask("POST", "/v1/requests", token, body, headers=headers)


def test_machine_is_paired_without_a_token(api: ServedApi) -> None:
    started = api.ask("POST", "/v1/pairings", body={"name": "laptop", "agent": "countersign/1"})
    assert (started.status, started.body["confirm_with"]) == (201, "/access pair WDJB-MJHT")
    assert api.paper.started == [("laptop", "countersign/1", "127.0.0.1", None)]
    code = {"device_code": started.body["device_code"]}
    waiting = api.ask("POST", "/v1/pairings/token", body=code)
    assert (waiting.status, waiting.code) == (400, "authorization_pending")
    api.paper.confirmed[started.body["device_code"]] = ANN
    issued = api.ask("POST", "/v1/pairings/token", body=code)
    assert issued.status == 200
    assert api.ask("GET", "/v1/me", issued.body["token"]).body["person"] == {"id": ANN, "name": "Ann"}


def test_me_says_who_asks_and_where_credentials_are(api: ServedApi, token: str) -> None:
    answer = api.ask("GET", "/v1/me", token)
    assert answer.status == 200
    assert answer.body["credentials_url"] == "https://broker.example.com"
    assert answer.body["device"]["is_this"]
    assert answer.headers["cache-control"] == "no-store"


def test_devices_are_listed_and_revoked(api: ServedApi, token: str) -> None:
    other = api.paper.pair()
    strangers = api.paper.pair(JON)
    listed = api.ask("GET", "/v1/devices", token).body["devices"]
    assert [(each["name"], each["is_this"]) for each in listed] == [("laptop-1", True), ("laptop-2", False)]
    assert api.ask("DELETE", f"/v1/devices/{listed[1]['id']}", token).body["status"] == "revoked"
    assert api.ask("GET", "/v1/me", other).code == "pairing_expired"
    assert api.ask("DELETE", f"/v1/devices/{strangers[4:20]}", token).status == 404
    assert api.ask("DELETE", "/v1/devices/self", token).status == 200
    assert api.ask("GET", "/v1/me", token).code == "pairing_expired"
    # Each with its credentials.
    assert api.paper.ended == [listed[1]["id"], listed[0]["id"]]


def test_credentials_that_live_on_are_said(api: ServedApi, token: str) -> None:
    api.paper.left.append("its credentials: the store is away")
    answer = api.ask("DELETE", "/v1/devices/self", token)
    assert (answer.code, "its credentials: the store is away" in answer.body["detail"]) == ("unavailable", True)


def test_profiles_are_those_that_a_rule_gives(api: ServedApi, token: str) -> None:
    profiles = api.ask("GET", "/v1/profiles", token).body["profiles"]
    assert [(each["name"], each["has_access"]) for each in profiles] == [("prod", False), ("team/data", True)]
    assert profiles[0]["max_duration_seconds"] == 4 * 3600
    assert profiles[0]["approvers"] == [{"id": "S0SRE"}, {"id": JON, "name": "Jon"}]


def test_request_is_submitted_listed_and_cancelled(api: ServedApi, token: str) -> None:
    made = request_prod(api, token)
    assert (made.status, made.body["status"], made.body["duration_seconds"]) == (201, "pending", 7200)
    assert made.headers["etag"] == f'"{made.body["version"]}"'
    assert api.nudges == 1
    assert api.ask("GET", "/v1/requests", token).body["requests"][0]["id"] == made.body["id"]
    cancelled = api.ask("POST", f"/v1/requests/{made.body['id']}/cancel", token)
    assert cancelled.body["status"] == "cancelled"
    assert cancelled.body["version"] != made.body["version"]
    late = api.ask("POST", f"/v1/requests/{made.body['id']}/end", token)
    assert (late.status, late.code, late.body["record_status"]) == (409, "conflict", "cancelled")


def test_second_request_names_the_one_that_is_open(api: ServedApi, token: str) -> None:
    first = request_prod(api, token).body["id"]
    second = request_prod(api, token)
    assert (second.status, second.code, second.body["existing"]) == (409, "limit_reached", first)


def test_request_may_start_later(api: ServedApi, token: str) -> None:
    body = {"profile": "prod", "duration": "2h", "justification": WHY, "starts_at": "2026-01-16T23:00:00+01:00"}
    made = api.ask("POST", "/v1/requests", token, body, headers={"Idempotency-Key": "night"})
    opens = "2026-01-16T22:00:00.000000Z"
    assert (made.body["starts_at"], made.body["expires_at"]) == (opens, opens)
    other = {**body, "starts_at": "2026-01-16T23:00:00Z"}
    assert api.ask("POST", "/v1/requests", token, other, headers={"Idempotency-Key": "night"}).code == "conflict"
    api.requests.approve(RequestId(made.body["id"]), Actor(id=JON))
    approved = api.ask("GET", f"/v1/requests/{made.body['id']}", token).body
    assert (approved["access_opens_at"], approved["access_ends_at"]) == (opens, "2026-01-17T00:00:00.000000Z")
    assert api.ask("GET", "/v1/profiles", token).body["profiles"][0]["starts_within_seconds"] == 2 * 86_400
    refused = api.ask("POST", "/v1/requests", token, {**body, "starts_at": "2026-01-10T22:00:00Z"})
    assert (refused.status, refused.body["field"]) == (422, "starts_at")


def test_same_key_gives_the_same_request(api: ServedApi, token: str) -> None:
    made = request_prod(api, token, "k1")
    assert request_prod(api, token, "k1").body["id"] == made.body["id"]
    body = {"profile": "prod", "duration": "1h", "justification": WHY}
    other = api.ask("POST", "/v1/requests", token, body, headers={"Idempotency-Key": "k1"})
    assert (other.status, other.code, other.body["existing"]) == (422, "conflict", made.body["id"])
    # The key is the device's own: another device that uses it asks for something else.
    assert request_prod(api, api.paper.pair(), "k1").code == "limit_reached"


def test_ticket_is_named_and_found(api: ServedApi) -> None:
    token = api.paper.pair(JON)
    asked = {"profile": "ticketed", "duration": "1h", "justification": "Deploy the fix at once"}
    (offered,) = [each for each in api.ask("GET", "/v1/profiles", token).body["profiles"] if "ticket" in each]
    assert (offered["name"], offered["ticket"]) == ("ticketed", "INC-123")
    missing = api.ask("POST", "/v1/requests", token, asked)
    assert (missing.status, missing.body["field"]) == (422, "ticket")
    key = {"Idempotency-Key": "k1"}
    made = api.ask("POST", "/v1/requests", token, asked | {"ticket": "INC-12"}, headers=key)
    assert (made.status, made.body["ticket"]) == (201, "INC-12")
    other = api.ask("POST", "/v1/requests", token, asked | {"ticket": "INC-13"}, headers=key)
    assert (other.status, other.code) == (422, "conflict")


def test_nobody_sees_or_changes_a_strangers_request(api: ServedApi, token: str) -> None:
    made = request_prod(api, token).body["id"]
    stranger = api.paper.pair(JON)
    assert api.ask("GET", f"/v1/requests/{made}", stranger).status == 404
    assert api.ask("POST", f"/v1/requests/{made}/cancel", stranger).status == 404
    assert api.ask("POST", f"/v1/requests/{made}/end", stranger).status == 404
    assert api.ask("GET", "/v1/requests", stranger).body == {"requests": []}
    assert api.stores.requests.get(RequestId(made)).status == "pending"


def test_service_sees_only_its_own_requests(api: ServedApi, token: str) -> None:
    made = request_prod(api, token).body["id"]
    service = api.paper.pair(service="ci-deploy")
    assert api.ask("GET", f"/v1/requests/{made}", service).status == 404
    assert api.ask("POST", f"/v1/requests/{made}/cancel", service).status == 404
    assert api.ask("GET", "/v1/requests", service).body == {"requests": []}
    assert [each["service"] for each in api.ask("GET", "/v1/devices", service).body["devices"]] == ["ci-deploy"]


def test_refusal_says_every_reason(api: ServedApi, token: str) -> None:
    body = {"profile": "closed", "duration": "1h", "justification": WHY}
    refused = api.ask("POST", "/v1/requests", token, body)
    assert (refused.status, refused.code) == (403, "not_allowed")
    assert refused.body["reasons"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"profile": "nope", "duration": "1h", "justification": WHY}, 422, "profile"),
        ({"profile": "prod", "duration": "soon", "justification": WHY}, 422, "duration"),
        ({"profile": "prod", "duration": "1h", "justification": "no"}, 422, "justification"),
        ({"profile": "prod", "duration": "1h"}, 422, "justification"),
        ({"profile": "prod", "justification": WHY, "approver": ANN}, 422, "approver"),
        ({"profile": "prod", "justification": WHY, "starts_at": "2026-01-16T22:00:00"}, 422, "starts_at"),
        ({"profile": "prod", "justification": WHY, "starts_at": 1768600800}, 422, "starts_at"),
        ({"profile": "prod", "justification": WHY, "starts_at": "1768600800"}, 422, "starts_at"),
        ({"profile": "prod", "justification": WHY, "starts_at": "9999-12-31T23:59:59-01:00"}, 422, "starts_at"),
        (["prod"], 422, "body"),
    ],
)
def test_bad_body_names_the_field(api: ServedApi, token: str, body: object, status: int, field: str) -> None:
    answer = api.ask("POST", "/v1/requests", token, body)
    assert (answer.status, answer.code, answer.body["field"]) == (status, "invalid_input", field)


def test_access_is_listed_and_ended(api: ServedApi, token: str) -> None:
    made = request_prod(api, token).body["id"]
    api.requests.approve(RequestId(made), Actor(id=JON))
    assert api.ask("GET", "/v1/access", token).body == {"access": []}
    events = BreakGlassService(api.stores, api.policy, api.clock, directory=api.directory)
    api.clock.advance(timedelta(hours=3))
    event = events.invoke(Actor(id=ANN), "prod", ReasonCode.INCIDENT, f"{WHY} at night", timedelta(hours=1))
    (access,) = api.ask("GET", "/v1/access", token).body["access"]
    assert (access["source"], access["phase"], access["may_end"]) == (event.chain, "open", True)
    assert api.ask("GET", "/v1/access", api.paper.pair(service="ci-deploy")).body == {"access": []}
    stranger = api.paper.pair(JON)
    assert api.ask("POST", f"/v1/access/{quote(event.chain, safe='')}/end", stranger).status == 404
    ended = api.ask("POST", f"/v1/access/{quote(event.chain, safe='')}/end", token)
    assert (ended.status, ended.body["phase"], ended.body["may_end"]) == (200, "closed", False)
    assert api.ask("POST", f"/v1/access/{'0' * 16}/end", token).status == 404


@pytest.mark.parametrize("profile", ["prod", "team/data", "team%2Fdata"])
def test_credentials_are_given_once_open(api: ServedApi, token: str, profile: str) -> None:
    answer = api.ask("POST", f"/v1/credentials/{profile}", token)
    assert (answer.status, answer.body["secret_access_key"]) == (200, "a-secret-key-of-aws")
    assert answer.body["access_ends_at"] < answer.body["expiration"]
    assert api.ask("POST", f"/v1/credentials/{profile}?target=role", token).body["access_key_id"] == "ASIAROLE"


def test_unknown_paths_and_methods_are_problems(api: ServedApi, token: str) -> None:
    assert api.ask("GET", "/v1/nope", token).code == "not_found"
    assert api.ask("GET", "/v1/requests/../me", token).code == "not_found"
    wrong = api.ask("PUT", "/v1/requests", token, {})
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, POST")
    assert api.ask("GET", "/v1/health").body == {"status": "ok"}
