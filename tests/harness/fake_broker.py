"""A strict server that gives credentials, over HTTP, with the answers' models of the HTTP API.

Invariant: a call that the API doesn't have, or that lacks its token, is a violation; a test that made one fails. Every
call for credentials that came is counted, also one that gets no answer.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Self

from bot.api.models import CredentialsInfo, Me, PersonInfo, ProfileInfo, ProfileList, SessionInfo
from bot.api.pairing_models import DeviceInfo
from bot.api.problems import CONTENT_TYPE, Problem, ProblemCode

if TYPE_CHECKING:
    from types import TracebackType

    from pydantic import BaseModel

DEVICE: Final = "00112233445566aa"
TOKEN: Final = f"cst_{DEVICE}_{'s3cr3tDeviceT0ken' * 2}"
SECRET_KEY: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLESECRET"
SESSION_TOKEN: Final = "IQoJb3JpZ2luX2VjEXAMPLESESSIONTOKEN"
SECRETS: Final = (TOKEN, SECRET_KEY, SESSION_TOKEN)
_HOUR: Final = timedelta(hours=1)


@dataclass
class Broker:
    """What the server gives. `refusals` are the next answers to calls for credentials."""

    lease: timedelta = _HOUR
    access: timedelta = timedelta(hours=2)
    refusals: deque[Problem] = field(default_factory=deque)
    asked: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    profiles: tuple[ProfileInfo, ...] = ()
    credentials_url: str | None = None
    open: threading.Event = field(default_factory=threading.Event)
    """Calls for credentials wait for it."""
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released by every call for credentials that came."""

    def __post_init__(self) -> None:
        self.open.set()

    def refuse(self, code: ProblemCode, detail: str, ends_at: datetime | None = None) -> None:
        """Answer the next call for credentials with this problem."""
        self.refusals.append(Problem.of(code, "Refused", detail, ends_at=ends_at))

    def issue(self, profile: str) -> BaseModel:
        """The answer to a call for credentials."""
        self.asked.append(profile)
        number = len(self.asked)
        self.waiting.release()
        self.open.wait()
        if self.refusals:
            return self.refusals.popleft()
        now = datetime.now(UTC)
        return CredentialsInfo.model_validate(
            {
                "access_key_id": f"ASIAEXAMPLE{number:09d}",
                "secret_access_key": SECRET_KEY,
                "session_token": f"{SESSION_TOKEN}{number}",
                "expiration": now + self.lease,
                "access_ends_at": now + self.access,
                "session": SessionInfo(
                    id="a" * 16, grant="b" * 16, source=f"REQUEST#{'c' * 16}", source_identity="s", issue_count=number
                ),
            }
        )


class FakeBroker:
    """The server, on a free port of the loopback address, for as long as it is entered."""

    def __init__(self) -> None:
        self.state = Broker()
        self._server = _BrokerServer(self.state)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._server.url = self.url
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def stop(self) -> None:
        """The server is down: nothing listens any more."""
        if self._thread.is_alive():
            self.state.open.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if kind is None:
            assert self.state.violations == []


class _BrokerServer(ThreadingHTTPServer):
    daemon_threads = True
    url = ""

    def __init__(self, state: Broker) -> None:
        super().__init__(("127.0.0.1", 0), _BrokerHandler)
        self.state = state


class _BrokerHandler(BaseHTTPRequestHandler):
    server: _BrokerServer
    timeout = 60

    def do_GET(self) -> None:
        """Who asks, and what they may request."""
        state = self.server.state
        if not self._is_authorized():
            return
        if self.path == "/v1/me":
            self._answer(
                Me(
                    person=PersonInfo(id="U0RITA"),
                    device=_device(),
                    server_time=datetime.now(UTC),
                    server_version=version("countersign"),
                    credentials_url=state.credentials_url or self.server.url,
                )
            )
        elif self.path == "/v1/profiles":
            self._answer(ProfileList(profiles=state.profiles))
        else:
            self._violate(f"GET {self.path}")

    def do_POST(self) -> None:
        """Credentials for a profile."""
        length = int(self.headers.get("Content-Length", "0"))
        if not self._is_authorized():
            return
        prefix = "/v1/credentials/"
        if not self.path.startswith(prefix) or length:
            self._violate(f"POST {self.path} with {length} bytes")
            return
        self._answer(self.server.state.issue(self.path.removeprefix(prefix)))

    def do_DELETE(self) -> None:
        """The device ends itself."""
        if not self._is_authorized():
            return
        if self.path != "/v1/devices/self":
            self._violate(f"DELETE {self.path}")
        else:
            self.send_response(204)
            self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
        """Log nothing."""

    def _is_authorized(self) -> bool:
        if self.headers.get_all("Authorization") == [f"Bearer {TOKEN}"]:
            return True
        self._answer(Problem.of(ProblemCode.UNAUTHORIZED, "Unauthorized", "This token isn't known."))
        return False

    def _violate(self, what: str) -> None:
        self.server.state.violations.append(what)
        self._answer(Problem.of(ProblemCode.NOT_FOUND, "Not found", what))

    def _answer(self, answer: BaseModel) -> None:
        is_problem = isinstance(answer, Problem)
        content = answer.to_json() if isinstance(answer, Problem) else answer.model_dump_json().encode()
        json.loads(content)
        self.send_response(answer.status if isinstance(answer, Problem) else 200)
        self.send_header("Content-Type", CONTENT_TYPE if is_problem else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _device() -> DeviceInfo:
    now = datetime.now(UTC)
    return DeviceInfo(
        id=DEVICE,
        name="laptop",
        agent=f"countersign/{version('countersign')} (linux)",
        address="127.0.0.1",
        status="active",
        created_at=now,
        last_used_at=now,
        expires_at=now + _HOUR,
    )
