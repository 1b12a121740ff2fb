"""The API as `serve` and `broker` run it: on an address of its own, or beside Slack's door, by the real services."""

from __future__ import annotations

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bot.settings import read_api_settings, read_settings, read_slack_settings
from bot.wiring.broker import open_broker
from bot.wiring.instance import open_instance
from core.actor import Actor, UserId
from core.errors import InvalidInput
from core.request import RequestId
from localslack.records import Person
from tests.end_to_end.harness import JON, MIRA, WHY
from tests.harness.served_bot import PATIENCE, environment, free_port, new_slack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bot.wiring.instance import Instance
    from localslack.server import LocalSlack

THE_ONE = Actor(id=UserId(MIRA))


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with new_slack() as slack:
        yield slack


def ask(url: str, method: str, path: str, token: str | None = None, body: object = None) -> tuple[int, Any]:
    """One call: the status, and the body."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    content = json.dumps(body).encode() if body is not None else None
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)) as connection:
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@contextmanager
def running(slack: LocalSlack, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: str) -> Iterator[Instance]:
    for name, value in environment(slack, folder, **more).items():
        monkeypatch.setenv(name, value)
    instance = open_instance(read_settings(), read_slack_settings(), read_api_settings())
    instance.lifecycle.start()
    try:
        yield instance
    finally:
        instance.lifecycle.stop()


def pair(instance: Instance, url: str) -> str:
    """Pair a machine of Mira's, as a terminal and Slack do it. Returns its token."""
    status, started = ask(url, "POST", "/v1/pairings", body={"name": "laptop", "agent": "test"})
    assert status == 201, started
    code = {"device_code": started["device_code"]}
    instance.services.pairing.confirm(started["user_code"], THE_ONE)
    status, issued = ask(url, "POST", "/v1/pairings/token", body=code)
    assert status == 200, issued
    # Nobody gets it twice: it was fetched, and it is asked for again too early.
    assert ask(url, "POST", "/v1/pairings/token", body=code)[0] == 400
    return str(issued["token"])


def wait_for_decision(instance: Instance, url: str, token: str) -> Any:  # noqa: ANN401 - JSON
    body = {"profile": "prod", "duration": "1h", "justification": WHY}
    status, made = ask(url, "POST", "/v1/requests", token, body)
    assert (status, made["device"]) == (201, "laptop"), made
    with ThreadPoolExecutor(1) as thread:
        path = f"/v1/requests/{made['id']}?wait=25&seen={made['version']}"
        waiting = thread.submit(ask, url, "GET", path, token)
        instance.services.requests.approve(RequestId(made["id"]), Actor(id=UserId(JON)))
        return waiting.result(PATIENCE)[1]


@pytest.mark.parametrize("is_beside", [True, False])
def test_paired_machine_asks_and_waits_for_a_decision_in_slack(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_beside: bool
) -> None:
    before, own, slacks = set(threading.enumerate()), f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    listen = {"COUNTERSIGN_API_LISTEN": slacks if is_beside else own, "COUNTERSIGN_LISTEN": slacks}
    url = f"http://{listen['COUNTERSIGN_API_LISTEN']}"
    with running(slack, tmp_path, monkeypatch, **listen) as instance:
        slack.use_http(f"http://{slacks}/slack/events")
        token = pair(instance, url)
        decided = wait_for_decision(instance, url, token)
        assert (decided["status"], decided["decided_by"]) == ("approved", JON)
        assert slack.run_command(MIRA, "C0ACCESS", "/access", "mine").failure is None
        # Slack confirms the person at every call, from here on with another answer.
        slack.edit_person(Person(id=MIRA, name="mira", deleted=True))
        slack.wait_until(lambda: ask(url, "GET", "/v1/profiles", token)[0] in {401, 403})
    slack.wait_until(lambda: not set(threading.enumerate()) - before)


def test_broker_serves_credentials_and_nothing_else(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, brokers = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    listen = {"COUNTERSIGN_API_LISTEN": where, "COUNTERSIGN_BROKER_LISTEN": brokers}
    with running(slack, tmp_path, monkeypatch, **listen, COUNTERSIGN_BROKER_URL=f"http://{brokers}") as instance:
        token = pair(instance, f"http://{where}")
        assert ask(f"http://{where}", "GET", "/v1/me", token)[1]["credentials_url"] == f"http://{brokers}"
        broker = open_broker(read_settings(), read_slack_settings(), read_api_settings())
        broker.lifecycle.start()
        try:
            assert ask(broker.url, "GET", "/v1/me", token)[1]["person"]["id"] == MIRA
            status, refused = ask(broker.url, "POST", "/v1/credentials/prod", token)
            assert (status, refused["type"]) == (403, "urn:countersign:not_allowed")
            for path in ("/v1/requests", "/v1/access", "/v1/devices", "/v1/profiles", "/v1/pairings"):
                assert ask(broker.url, "GET", path, token)[0] == 404
            documented = ask(broker.url, "GET", "/v1/openapi.json")[1]["paths"]
            assert sorted(documented) == ["/v1/credentials/{profile}", "/v1/health", "/v1/me", "/v1/openapi.json"]
            # Nobody can say whether she is a member: she gets nothing.
            slack.edit_person(Person(id=MIRA, name="mira", deleted=True))
            slack.wait_until(lambda: ask(broker.url, "POST", "/v1/credentials/prod", token)[0] in {401, 403})
        finally:
            broker.lifecycle.stop()


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("COUNTERSIGN_API_LISTEN", "8787", "COUNTERSIGN_API_LISTEN"),
        ("COUNTERSIGN_API_LISTEN", "0.0.0.0:8787", "COUNTERSIGN_API_URL"),
        ("COUNTERSIGN_API_URL", "http://countersign.example.com", "COUNTERSIGN_API_URL"),
        ("COUNTERSIGN_API_PROXIES", "10.0.0.0/99", "COUNTERSIGN_API_PROXIES"),
        ("COUNTERSIGN_BROKER_URL", "broker", "COUNTERSIGN_BROKER_URL"),
    ],
)
def test_bad_setting_of_the_api_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInput) as error:
        read_api_settings().require_api_url()
    assert error.value.field == named


def test_broker_needs_an_address_of_its_own() -> None:
    with pytest.raises(InvalidInput, match="COUNTERSIGN_BROKER_LISTEN"):
        read_api_settings().require_broker_listen()
