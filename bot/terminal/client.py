"""The client of the HTTP API: one typed method for each endpoint.

Invariant: every answer is a model of `bot.api.models`; fields that only a newer server has are left alone. No method
repeats a call: whether that is safe, the caller knows.
"""

from __future__ import annotations

from typing import Final, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, SecretStr, ValidationError

from bot.api.models import (
    IDEMPOTENCY_KEY,
    MAX_WAIT_SECONDS,
    PATH_PREFIX,
    AccessInfo,
    AccessList,
    CredentialsInfo,
    Me,
    NewRequest,
    ProfileList,
    RequestInfo,
    RequestList,
)
from bot.api.pairing_models import DeviceList, IssuedToken, NewPairing, StartedPairingInfo
from bot.terminal.errors import ServerFailed
from bot.terminal.http_calls import READ_SECONDS, HttpCall, HttpServer, user_agent
from core.clock import Clock
from core.targets.words import one_line

Answer = TypeVar("Answer", bound=BaseModel)
THIS_DEVICE: Final = "self"


class ApiClient:
    """The server, as the holder of this token sees it. Every method raises ServerFailed, ServerRefused or NotPaired."""

    def __init__(self, server: str, token: SecretStr | None = None, clock: Clock | None = None) -> None:
        self.server = server
        self._http = HttpServer(server, token, clock)

    # Pairing, without a token.

    def start_pairing(self, name: str, service: str | None = None) -> StartedPairingInfo:
        """Start a pairing of this machine. The person confirms it in Slack."""
        asked = NewPairing(name=name, agent=user_agent(), service=service)
        return self._post("/pairings", StartedPairingInfo, asked.model_dump(exclude_none=True))

    def exchange_token(self, device_code: SecretStr) -> IssuedToken:
        """The token of a confirmed pairing. ServerRefused has RFC 8628's codes while it isn't confirmed."""
        return self._post("/pairings/token", IssuedToken, {"device_code": device_code.get_secret_value()})

    # This device and its person.

    def me(self) -> Me:
        """Who the token is for."""
        return self._get("/me", Me)

    def devices(self) -> DeviceList:
        """The person's active devices."""
        return self._get("/devices", DeviceList)

    def revoke_device(self, device_id: str = THIS_DEVICE) -> None:
        """End a device, by default the one whose token this is."""
        self._http.call(HttpCall("DELETE", f"{PATH_PREFIX}/devices/{_part(device_id)}"))

    # Requests and access.

    def profiles(self) -> ProfileList:
        """What this device can request."""
        return self._get("/profiles", ProfileList)

    def submit(self, asked: NewRequest, idempotency_key: str) -> RequestInfo:
        """Make a request. With the key of an earlier call that made one, that request and no second one."""
        # An older server refuses a field that it doesn't know, even without a value.
        body = asked.model_dump(mode="json", exclude_none=True)
        return self._post("/requests", RequestInfo, body, {IDEMPOTENCY_KEY: idempotency_key})

    def requests(self) -> RequestList:
        """One's own requests, newest first."""
        return self._get("/requests", RequestList)

    def request(self, request_id: str) -> RequestInfo:
        """A request as it is now."""
        return self._get(f"/requests/{_part(request_id)}", RequestInfo)

    def wait_for_request(self, request_id: str, seen: str, wait_seconds: int = MAX_WAIT_SECONDS) -> RequestInfo:
        """The request as soon as it is no longer the version that was `seen`, or as it is after `wait_seconds`."""
        query = urlencode({"wait": wait_seconds, "seen": seen})
        path = f"{PATH_PREFIX}/requests/{_part(request_id)}?{query}"
        return self._read(HttpCall("GET", path, read_seconds=wait_seconds + READ_SECONDS), RequestInfo)

    def cancel(self, request_id: str) -> RequestInfo:
        """Cancel an own request that is pending."""
        return self._post(f"/requests/{_part(request_id)}/cancel", RequestInfo)

    def end_request(self, request_id: str) -> RequestInfo:
        """End the access that a request gave, early."""
        return self._post(f"/requests/{_part(request_id)}/end", RequestInfo)

    def access(self) -> AccessList:
        """The access that this device's person or service has now."""
        return self._get("/access", AccessList)

    def end_access(self, source: str) -> AccessInfo:
        """End the access that a decision gave, early. `source` is as AccessInfo has it."""
        return self._post(f"/access/{_part(source)}/end", AccessInfo)

    def credentials(self, profile: str, target: str | None = None) -> CredentialsInfo:
        """AWS credentials for a profile to which access is open; `target` is one of its roles, if it has several."""
        query = f"?{urlencode({'target': target})}" if target else ""
        return self._post(f"/credentials/{_part(profile)}{query}", CredentialsInfo)

    # How they are called.

    def _get(self, path: str, kind: type[Answer]) -> Answer:
        return self._read(HttpCall("GET", f"{PATH_PREFIX}{path}"), kind)

    def _post(
        self,
        path: str,
        kind: type[Answer],
        body: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        return self._read(HttpCall("POST", f"{PATH_PREFIX}{path}", body, headers), kind)

    def _read(self, call: HttpCall, kind: type[Answer]) -> Answer:
        found = self._http.call(call)
        try:
            return kind.model_validate(found)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors(include_input=False, include_url=False)[0]["loc"])
            # Without its cause, which could quote what is secret.
            raise ServerFailed(
                f"{self.server} gave an answer that this version doesn't understand ({one_line(where) or 'no object'})",
                "The server is probably newer: update countersign on this machine.",
                is_outcome_unknown=call.method != "GET",
            ) from None


def _part(text: str) -> str:
    return quote(text, safe="")
