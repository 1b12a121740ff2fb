"""What is refused before it costs anything: strangers, web pages, floods, and what is too large or too slow."""

from __future__ import annotations

import logging
import socket
from contextlib import closing
from datetime import timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from bot.api.rate_limits import CallRates, Rate
from bot.observability.redaction import Redaction
from bot.settings.api import ApiSettings
from core.errors import NotKnown, StoreUnavailable
from tests.bot.api.served_api import ANN, PATIENCE, WHY, ServedApi

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

NEVER = 1e-9
"""Calls a second: none, within a test."""
PAIRING = {"name": "laptop", "agent": "test"}


def rates(**more: int) -> CallRates:
    """Rates with these bursts, which aren't filled again."""
    given: dict[str, Any] = {name: Rate(burst, NEVER) for name, burst in more.items()}
    return CallRates(**given)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer xoxb-1", "Basic cst_0000000000000001_x", f"Bearer cst_1_{'a' * 43}"]
)
def test_call_without_a_token_reads_no_store(api: ServedApi, header: str) -> None:
    answer = api.ask("GET", "/v1/me", headers={"Authorization": header})
    assert (answer.status, answer.code, answer.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")
    assert api.paper.authenticated == 0


def test_stolen_id_with_a_wrong_secret_is_refused(api: ServedApi, token: str) -> None:
    assert api.ask("GET", "/v1/me", token[:-1] + "x").code == "unauthorized"


def test_expired_and_revoked_tokens_are_told_apart_from_none(api: ServedApi, token: str) -> None:
    api.clock.advance(timedelta(hours=13))
    expired = api.ask("GET", "/v1/me", token)
    assert (expired.status, expired.code, expired.body["record_status"]) == (401, "pairing_expired", "expired")


def test_person_is_judged_at_every_call(api: ServedApi, token: str) -> None:
    assert api.ask("GET", "/v1/profiles", token).status == 200
    api.directory.fall_silent(ANN)
    silent = api.ask("GET", "/v1/profiles", token)
    assert (silent.status, silent.code, silent.headers["retry-after"]) == (503, "unavailable", "5")
    api.directory.answer_again()
    api.directory.leave(ANN)
    assert api.ask("GET", "/v1/profiles", token).code == "not_allowed"


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_web_page_gets_nothing(api: ServedApi, token: str, header: dict[str, str]) -> None:
    answer = api.ask("GET", "/v1/me", token, headers=header)
    assert (answer.status, answer.code) == (403, "not_allowed")
    assert not [name for name in answer.headers if name.startswith("access-control") or name == "set-cookie"]
    assert api.ask("OPTIONS", "/v1/requests", headers=header).status == 405


def test_body_of_another_type_or_form_is_refused(api: ServedApi, token: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api.ask("POST", "/v1/requests", token, raw=b"profile=prod", headers=form).status == 415
    typed = {"Content-Type": "application/json"}
    for raw in (b"{", b"", b"\xff", b"[" * 60_000):
        answer = api.ask("POST", "/v1/requests", token, raw=raw, headers=typed)
        assert (answer.status, answer.code) == (400, "invalid_input")


def test_body_that_is_too_large_is_refused_by_its_head(api: ServedApi) -> None:
    with closing(socket.create_connection(api.where, PATIENCE)) as client:
        client.sendall(b"POST /v1/pairings HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")
    chunks = b"10000\r\n" + b" " * 65_536 + b"\r\n1\r\n \r\n"
    with closing(socket.create_connection(api.where, PATIENCE)) as client:
        head = b"POST /v1/pairings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert api.paper.started == []


def test_unknown_caller_is_refused_before_its_body_comes(api: ServedApi) -> None:
    with closing(socket.create_connection(api.where, PATIENCE)) as client:
        head = (
            b"POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
        )
        client.sendall(head)
        answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer.lower()


def test_body_of_two_lengths_is_refused(api: ServedApi, token: str) -> None:
    with closing(socket.create_connection(api.where, PATIENCE)) as client:
        head = f"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 5\r\n"
        hidden = "GET /v1/devices HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}".encode())
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert (answer.count(b"HTTP/1.1 "), answer.startswith(b"HTTP/1.1 400 ")) == (1, True)


def test_prefix_itself_redirects_nowhere(api: ServedApi) -> None:
    assert api.ask("GET", "/v1", headers={"Host": "evil.example"}).status == 404


def test_slow_request_is_closed(stores: Stores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.api.server.REQUEST_SECONDS", 0.2)
    with ServedApi(stores, clock) as api, closing(socket.create_connection(api.where, PATIENCE)) as client:
        head = b"POST /v1/pairings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        client.sendall(head)
        assert client.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert api.paper.started == []


def test_strangers_that_send_slowly_keep_no_device_out(
    api: ServedApi, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.api.app.MAX_IN_FLIGHT", 1)
    monkeypatch.setattr("bot.api.app.MAX_STRANGERS", 1, raising=False)
    with closing(socket.create_connection(api.where, PATIENCE)) as client:
        head = b"POST /v1/pairings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        client.sendall(head)
        while api.ask("GET", "/v1/health").status == 200:
            pass
        assert api.ask("GET", "/v1/me", token).status == 200


def test_device_that_calls_too_often_waits_and_no_other(stores: Stores, clock: FrozenClock) -> None:
    with ServedApi(stores, clock, limits=rates(device=3)) as api:
        token, other = api.paper.pair(), api.paper.pair()
        assert [api.ask("GET", "/v1/me", token).status for _ in range(4)] == [200, 200, 200, 429]
        limited = api.ask("GET", "/v1/me", token)
        assert (limited.code, limited.body["retry_after"]) == ("rate_limited", int(limited.headers["retry-after"]))
        # It costs no look into the store.
        assert api.paper.authenticated == 3
        assert api.ask("GET", "/v1/me", other).status == 200
        counted = {"endpoint": "get_me", "answer": "rate_limited"}
        assert api.registry.get_sample_value("countersign_api_calls_total", counted) == 2


def test_guessing_tokens_ends_and_keeps_no_device_out(stores: Stores, clock: FrozenClock) -> None:
    with ServedApi(stores, clock, limits=rates(failures=2)) as api:
        token = api.paper.pair()
        assert api.ask("GET", "/v1/me", token).status == 200
        guesses = [f"cst_{number:016x}_{'a' * 43}" for number in range(4)]
        assert [api.ask("GET", "/v1/me", each).status for each in guesses] == [401, 401, 429, 429]
        assert api.paper.authenticated == 3
        assert api.ask("GET", "/v1/me", token).status == 200


def test_ended_device_that_asks_on_keeps_its_neighbours_in(stores: Stores, clock: FrozenClock) -> None:
    with ServedApi(stores, clock, limits=rates(failures=2)) as api:
        ended = api.paper.pair()
        api.ask("DELETE", "/v1/devices/self", ended)
        assert {api.ask("GET", "/v1/me", ended).code for _ in range(4)} == {"pairing_expired"}
        assert api.ask("GET", "/v1/me", api.paper.pair()).status == 200


def test_strangers_may_begin_few_pairings(stores: Stores, clock: FrozenClock) -> None:
    with ServedApi(stores, clock, limits=rates(pairing=2)) as api:
        assert [api.ask("POST", "/v1/pairings", body=PAIRING).status for _ in range(3)] == [201, 201, 429]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        ((), "203.0.113.9", "127.0.0.1"),
        ((ip_network("10.0.0.0/8"),), "203.0.113.9", "127.0.0.1"),
        ((ip_network("127.0.0.0/8"),), "203.0.113.9", "203.0.113.9"),
        ((ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")), "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ((ip_network("127.0.0.0/8"),), "203.0.113.9, nonsense", "127.0.0.1"),
        ((ip_network("127.0.0.0/8"),), "", "127.0.0.1"),
    ],
)
def test_forwarded_address_counts_only_from_our_proxies(
    stores: Stores, clock: FrozenClock, proxies: tuple[IPv4Network | IPv6Network, ...], forwarded: str, address: str
) -> None:
    settings = ApiSettings.model_construct(api_proxies=proxies)
    with ServedApi(stores, clock, settings=settings) as api:
        api.ask("POST", "/v1/pairings", body=PAIRING, headers={"X-Forwarded-For": forwarded})
        assert api.paper.started[0][2] == address


def test_failures_say_what_is_known_and_leak_nothing(
    api: ServedApi, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.paper.refusals = [StoreUnavailable("the disk at 10.0.0.5", is_outcome_unknown=True)]
    lost = api.ask("GET", "/v1/me", token)
    assert (lost.status, lost.body["outcome_unknown"]) == (503, True)
    assert "10.0.0.5" not in lost.body["detail"]
    api.paper.refusals = [RuntimeError(f"a bug with {token}")]
    broken = api.ask("GET", "/v1/me", token)
    assert (broken.status, broken.code) == (503, "unavailable")
    assert token not in str(broken.body)
    api.paper.refusals = [NotKnown("act", ("Slack is away",))]
    assert api.ask("GET", "/v1/me", token).body["reasons"] == ["Slack is away"]


def test_no_secret_of_a_call_reaches_the_log(api: ServedApi, token: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    started = api.ask("POST", "/v1/pairings", body=PAIRING).body["device_code"]
    api.paper.confirmed[started] = ANN
    given = api.ask("POST", "/v1/pairings/token", body={"device_code": started}).body["token"]
    api.ask("POST", "/v1/credentials/prod", given)
    api.ask("POST", "/v1/requests", given, {"profile": "prod", "justification": WHY})
    for secret in (started, given, token, "a-secret-key-of-aws", "a-session-token-of-aws"):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    "secret",
    [
        f"cst_0123456789abcdef_{'aZ-_' * 10}abc",
        f"csd_BCDFGHJK_{'aZ-_' * 10}abc",
        f"csd_{'aZ-_' * 10}abc",
    ],
)
@pytest.mark.parametrize("line", ["{}", "token={}", '{{"device_code": "{}"}}', "https://x/?a={}&b=1", "Bearer {}"])
def test_tokens_and_device_codes_are_hidden_in_logs(secret: str, line: str) -> None:
    hidden = Redaction().hide(line.format(secret))
    assert secret not in hidden
    assert secret[-12:] not in hidden
