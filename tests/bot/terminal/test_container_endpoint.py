"""The endpoint that gives a command its credentials: to nobody else, and never later than an SDK waits."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import MetadataRetrievalError
from botocore.utils import ContainerMetadataFetcher

from bot.terminal.container_endpoint import ContainerEndpoint, RenewedCredentials
from bot.terminal.credentials_cache import CachedCredentials
from bot.terminal.errors import NotPaired, ServerFailed
from tests.harness.fake_broker import SECRET_KEY, SECRETS, SESSION_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOUR = timedelta(hours=1)
STALE = timedelta(minutes=10)


def issued(name: str, lives: timedelta = HOUR) -> CachedCredentials:
    now = datetime.now(UTC)
    fields = {
        "AccessKeyId": name,
        "SecretAccessKey": SECRET_KEY,
        "SessionToken": SESSION_TOKEN,
        "Expiration": f"{now + lives:%Y-%m-%dT%H:%M:%SZ}",
    }
    return CachedCredentials(fields, now + 2 * HOUR, now, "")


def no_call() -> CachedCredentials:
    raise AssertionError("nothing has to be renewed")


def ask(
    endpoint: ContainerEndpoint, headers: Mapping[str, str], method: str = "GET", path: str = ""
) -> tuple[int, str]:
    host, _, rest = endpoint.url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request(method, path or f"/{rest}", headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def fetch(endpoint: ContainerEndpoint) -> Mapping[str, str]:
    """As botocore asks."""
    fetcher = ContainerMetadataFetcher(sleep=lambda _seconds: None)
    found: Mapping[str, str] = fetcher.retrieve_full_uri(endpoint.url, {"Authorization": endpoint.token})
    return found


def opened(ask_server: Callable[[], CachedCredentials], first: CachedCredentials) -> ContainerEndpoint:
    return ContainerEndpoint(RenewedCredentials(ask_server, first))


def test_botocore_gets_what_it_documents() -> None:
    first = issued("ASIAFIRST")
    with opened(no_call, first) as endpoint:
        assert endpoint.url.startswith("http://127.0.0.1:")
        assert fetch(endpoint) == {
            "AccessKeyId": "ASIAFIRST",
            "SecretAccessKey": SECRET_KEY,
            "Token": SESSION_TOKEN,
            "Expiration": first.fields["Expiration"],
        }


@pytest.mark.parametrize(
    ("headers", "path", "method", "status"),
    [
        ({}, "", "GET", 403),
        ({"Authorization": ""}, "", "GET", 403),
        ({"Authorization": "Bearer {token}"}, "", "GET", 403),
        ({"Authorization": "{token}é"}, "", "GET", 403),
        ({"Authorization": "{token}", "Host": "evil.example.com"}, "", "GET", 403),
        ({"Authorization": "{token}", "Host": "localhost"}, "", "GET", 403),
        ({"Authorization": "{token}"}, "/other", "GET", 404),
        ({"Authorization": "{token}"}, "", "POST", 501),
    ],
)
def test_endpoint_gives_nothing_to_anybody_else(headers: dict[str, str], path: str, method: str, status: int) -> None:
    with opened(no_call, issued("ASIAFIRST")) as endpoint:
        sent = {name: text.format(token=endpoint.token) for name, text in headers.items()}
        found = ask(endpoint, sent, method, path)

    assert found[0] == status
    assert not any(secret in found[1] for secret in (*SECRETS, endpoint.token))


def test_each_endpoint_has_a_token_of_its_own() -> None:
    credentials = RenewedCredentials(no_call, issued("ASIAFIRST"))
    with ContainerEndpoint(credentials) as one, ContainerEndpoint(credentials) as other:
        assert ask(other, {"Authorization": one.token})[0] == 403
        assert len(one.token) >= 43


def test_many_callers_make_one_call_to_the_server() -> None:
    asked: list[int] = []
    may_answer = threading.Event()

    def renew() -> CachedCredentials:
        asked.append(1)
        assert may_answer.wait(30)
        return issued("ASIASECOND")

    found: list[str] = []
    renewed = RenewedCredentials(renew, issued("ASIAFIRST", STALE))
    threads = [threading.Thread(target=lambda: found.append(renewed.get(30).fields["AccessKeyId"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    may_answer.set()
    for thread in threads:
        thread.join()

    assert found == ["ASIASECOND"] * 8
    assert len(asked) == 1


def test_slow_server_costs_nothing_while_the_last_ones_live() -> None:
    may_answer = threading.Event()

    def renew() -> CachedCredentials:
        assert may_answer.wait(30)
        return issued("ASIASECOND")

    renewed = RenewedCredentials(renew, issued("ASIAFIRST", STALE))
    assert renewed.get(0).fields["AccessKeyId"] == "ASIAFIRST"
    may_answer.set()
    assert renewed.get(30).fields["AccessKeyId"] == "ASIASECOND"
    assert renewed.get(0).fields["AccessKeyId"] == "ASIASECOND"


def test_slow_server_is_said_when_the_last_ones_are_dead() -> None:
    may_answer = threading.Event()

    def renew() -> CachedCredentials:
        may_answer.wait(30)
        return issued("ASIASECOND")

    renewed = RenewedCredentials(renew, issued("ASIAFIRST", timedelta(0)))
    with pytest.raises(ServerFailed, match="hasn't answered yet"):
        renewed.get(0)
    may_answer.set()


@pytest.mark.parametrize(
    ("error", "said"),
    [(NotPaired("This device was ended"), "403"), (ServerFailed("The server can't be reached", "Check."), "503")],
)
def test_sdk_is_shown_why_there_are_none(error: Exception, said: str) -> None:
    def renew() -> CachedCredentials:
        raise error

    with opened(renew, issued("ASIAFIRST", STALE)) as endpoint, pytest.raises(MetadataRetrievalError) as raised:
        fetch(endpoint)

    assert f"Received non 200 response {said}" in str(raised.value)
    assert json.dumps(f"countersign: {error}") in str(raised.value)


def test_error_passes_and_the_next_call_asks_again() -> None:
    answers: list[Exception | CachedCredentials] = [ServerFailed("Away", "Wait."), issued("ASIASECOND")]

    def renew() -> CachedCredentials:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    renewed = RenewedCredentials(renew, issued("ASIAFIRST", STALE))
    with pytest.raises(ServerFailed):
        renewed.get(30)
    assert renewed.get(30).fields["AccessKeyId"] == "ASIASECOND"


def test_silent_callers_leave_room_for_the_command() -> None:
    with opened(no_call, issued("ASIAFIRST")) as endpoint:
        port = int(endpoint.url.rpartition(":")[2].partition("/")[0])
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        try:
            assert fetch(endpoint)["AccessKeyId"] == "ASIAFIRST"
        finally:
            for each in silent:
                each.close()
