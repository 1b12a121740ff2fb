"""One call to the server: what goes where, and what each failure says."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from bot.api.problems import ProblemCode
from bot.terminal.client import ApiClient
from bot.terminal.errors import NotPaired, ServerFailed, ServerRefused
from bot.terminal.http_calls import MAX_ANSWER_BYTES, HttpCall, HttpServer
from tests.builders import HOUR
from tests.harness import api_answers as answers
from tests.harness.clock import A_MOMENT as NOW
from tests.harness.clock import FrozenClock
from tests.harness.scripted_server import CUT, ScriptedAnswer, ScriptedServer, as_json, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HTML = b"<html><body>Sign in to the guest network</body></html>"
TOKEN = SecretStr(answers.TOKEN)


@pytest.fixture
def client(server: ScriptedServer) -> ApiClient:
    return ApiClient(server.url, TOKEN, FrozenClock(NOW))


def _failure(client: ApiClient) -> ServerFailed:
    with pytest.raises(ServerFailed) as caught:
        client.me()
    error = caught.value
    assert answers.TOKEN not in str(error)
    assert "\n" not in str(error)
    return error


def test_a_call_carries_the_token_and_the_program(server: ScriptedServer, client: ApiClient) -> None:
    server.expect("GET /v1/me", answers.me())
    assert client.me().person.name == "Mira"
    (call,) = server.calls
    assert call.headers["Authorization"] == f"Bearer {answers.TOKEN}"
    assert call.headers["User-Agent"].startswith("countersign/")


def test_pairing_carries_no_token(server: ScriptedServer) -> None:
    server.expect("POST /v1/pairings", answers.started_pairing())
    ApiClient(server.url).start_pairing("mira-laptop")
    assert "Authorization" not in server.calls[0].headers


def test_fields_of_a_newer_server_are_ignored(server: ScriptedServer, client: ApiClient) -> None:
    found = json.loads(answers.me().model_dump_json())
    found["device"]["colour"] = "blue"
    server.expect("GET /v1/me", ScriptedAnswer(body=json.dumps({**found, "mood": "good"}).encode()))
    assert client.me().device.name == "mira-laptop"


def test_an_unknown_status_of_a_newer_server_says_update(server: ScriptedServer, client: ApiClient) -> None:
    found = json.loads(answers.request().model_dump_json())
    server.expect("GET /v1/requests/1", ScriptedAnswer(body=json.dumps({**found, "status": "paused"}).encode()))
    with pytest.raises(ServerFailed, match=r"\(status\).*update countersign"):
        client.request("1")


def test_a_redirect_is_not_followed(server: ScriptedServer, client: ApiClient) -> None:
    with ScriptedServer() as other:
        headers = {"Location": f"{other.url}/v1/me"}
        for status in (301, 302, 307, 308):
            server.expect("GET /v1/me", ScriptedAnswer(status, headers=headers))
            assert "redirect to 127.0.0.1; it was not followed" in str(_failure(client))
        assert other.calls == []


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
@pytest.mark.parametrize("status", [200, 403, 502])
def test_a_page_of_a_proxy_is_named(server: ScriptedServer, client: ApiClient, kind: str, status: int) -> None:
    server.expect("GET /v1/me", ScriptedAnswer(status, HTML, kind))
    assert f"isn't Countersign's (status {status}" in str(_failure(client))


def test_an_endless_answer_is_not_read_to_its_end(server: ScriptedServer, client: ApiClient) -> None:
    server.expect("GET /v1/me", ScriptedAnswer(body=as_json(answers.me()).body + b" " * MAX_ANSWER_BYTES))
    assert "isn't Countersign's" in str(_failure(client))


@pytest.mark.parametrize("sign", ["\x1b", "\x9b", "\x7f", "\r", "\u202e"])
def test_nothing_of_a_server_moves_the_cursor(server: ScriptedServer, client: ApiClient, sign: str) -> None:
    asked = answers.request().model_copy(update={"id": f"{sign}[2Ja", "justification": "two\nlines"})
    server.expect("GET /v1/requests/1", asked)
    found = client.request("1")
    assert (found.id, found.justification) == (" [2Ja", "two\nlines")


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e999", "NaN", "-1e30"])
def test_a_number_without_a_meaning_is_no_answer(server: ScriptedServer, client: ApiClient, number: str) -> None:
    body = b'{"user_code": "x", "device_code": "x", "confirm_with": "x", "interval": 5, "expires_in": %s}'
    server.expect("POST /v1/pairings", ScriptedAnswer(body=body % number.encode()))
    with pytest.raises(ServerFailed, match="isn't Countersign's"):
        client.start_pairing("laptop")


def test_a_packed_answer_is_not_unpacked(server: ScriptedServer, client: ApiClient) -> None:
    packed = gzip.compress(as_json(answers.me()).body)
    server.expect("GET /v1/me", ScriptedAnswer(body=packed, headers={"Content-Encoding": "gzip"}))
    assert "isn't Countersign's" in str(_failure(client))


def test_an_answer_of_single_bytes_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.terminal.http_calls.CONNECT_SECONDS", 0.1)
    given_up = threading.Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with closing(connection), suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not given_up.wait(0.05):
                connection.sendall(b"a")

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        try:
            server = HttpServer(f"http://127.0.0.1:{listening.getsockname()[1]}")
            with pytest.raises(ServerFailed, match="no answer in time"):
                server.call(HttpCall("GET", "/v1/me", read_seconds=0.2))
        finally:
            given_up.set()
            thread.join()


def test_a_cut_connection_leaves_a_change_unknown(server: ScriptedServer, client: ApiClient) -> None:
    server.expect("GET /v1/me", CUT)
    assert not _failure(client).is_outcome_unknown
    server.expect("POST /v1/requests/1/cancel", CUT)
    with pytest.raises(ServerFailed, match="the connection was cut") as caught:
        client.cancel("1")
    assert caught.value.is_outcome_unknown


def test_an_answer_that_is_cut_is_none(server: ScriptedServer, client: ApiClient) -> None:
    whole = as_json(answers.me())
    server.expect("GET /v1/me", ScriptedAnswer(body=whole.body, cut_after=40))
    assert "the connection was cut" in str(_failure(client))


def test_a_dead_server_is_one_line() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    error = _failure(ApiClient(f"http://127.0.0.1:{port}", TOKEN))
    assert str(error).startswith(f"http://127.0.0.1:{port} can't be reached: connection refused. ")
    assert not error.is_outcome_unknown


def test_an_unknown_name_is_one_line() -> None:
    assert "its name can't be resolved" in str(_failure(ApiClient("https://nothing.invalid", TOKEN)))


@pytest.fixture
def tls_port() -> Iterator[int]:
    """A port that speaks no TLS."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with closing(peer):
                peer.recv(1024)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_server_without_tls_is_one_line(tls_port: int) -> None:
    assert "the TLS connection failed" in str(_failure(ApiClient(f"https://127.0.0.1:{tls_port}", TOKEN)))


def test_a_certificate_of_nobody_known_is_refused(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        heard: list[bytes] = []

        def answer() -> None:
            peer, _ = listener.accept()
            try:
                with context.wrap_socket(peer, server_side=True) as wrapped:
                    heard.append(wrapped.recv(1024))
            except OSError:
                pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        error = _failure(ApiClient(f"https://localhost:{listener.getsockname()[1]}", TOKEN))
        thread.join()
    assert "its TLS certificate isn't valid: self" in str(error)
    assert heard == []


@pytest.mark.parametrize("code", [ProblemCode.UNAUTHORIZED, ProblemCode.PAIRING_EXPIRED])
def test_an_ended_pairing_says_log_in(server: ScriptedServer, client: ApiClient, code: ProblemCode) -> None:
    server.expect("GET /v1/me", refusal(code, "This device has expired."))
    with pytest.raises(NotPaired, match="Run: countersign login"):
        client.me()


def test_a_refusal_has_its_reasons_and_no_escapes(server: ScriptedServer, client: ApiClient) -> None:
    server.expect("GET /v1/me", refusal(ProblemCode.NOT_ALLOWED, "No\x1b[2J\nrule.", reasons=("not in group",)))
    with pytest.raises(ServerRefused) as caught:
        client.me()
    assert str(caught.value) == "No [2J rule."
    assert caught.value.code == ProblemCode.NOT_ALLOWED
    assert caught.value.problem.reasons == ("not in group",)


@pytest.mark.parametrize("said", ["120", format_datetime(NOW + HOUR / 30, usegmt=True), "soon", "-5"])
def test_retry_after_is_read_in_both_forms(server: ScriptedServer, client: ApiClient, said: str) -> None:
    server.expect("GET /v1/me", ScriptedAnswer(503, HTML, "text/html", {"Retry-After": said}))
    assert _failure(client).retry_after == (None if said in {"soon", "-5"} else pytest.approx(120, abs=1))


def test_an_id_cannot_lead_to_another_endpoint(server: ScriptedServer, client: ApiClient) -> None:
    server.expect("GET /v1/requests/..%2Fme%3Fa", answers.request())
    client.request("../me?a")


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    days = timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - days)
        .not_valid_after(datetime.now(UTC) + days)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    written = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "server.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + written)
    return path
