"""The endpoint /api/<method>: checks the token and its scopes, then carries out the method.

Invariant: every call is logged once, with its answer and without its token. A refused call changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localslack.api_method import ApiMethod
from localslack.api_request import ApiRequest, read_request
from localslack.backend import Backend
from localslack.chat_methods import CHAT_METHODS
from localslack.directory_methods import DIRECTORY_METHODS
from localslack.faults import Delay, Fault, RateLimited, Refuse, ServerError, Stall
from localslack.file_methods import FILE_METHODS
from localslack.journal import ApiCall
from localslack.rate_limits import FREE, TIER_1
from localslack.records import Json
from localslack.refusals import SlackRefusal
from localslack.view_methods import VIEW_METHODS

_OK = 200
_TOO_MANY = 429
DropConnection = Callable[[Request], Awaitable[None]]


def _auth_test(backend: Backend, request: ApiRequest) -> Json:
    app, team = backend.app, backend.workspace.team
    if request.token == app.app_token:
        return {"app_name": app.name, "app_id": app.id}
    return {
        "url": f"https://{team.domain}.slack.com/",
        "team": team.name,
        "user": backend.workspace.person(app.bot_user).name,
        "team_id": team.id,
        "user_id": app.bot_user,
        "bot_id": app.bot_id,
        "is_enterprise_install": False,
    }


@dataclass(slots=True)
class WebApi:
    """Serves all methods. `new_socket_url` returns a URL for one Socket Mode connection."""

    backend: Backend
    drop_connection: DropConnection
    new_socket_url: Callable[[], str]
    _methods: dict[str, ApiMethod] = field(init=False)

    def __post_init__(self) -> None:
        self._methods = {
            **CHAT_METHODS,
            **DIRECTORY_METHODS,
            **FILE_METHODS,
            **VIEW_METHODS,
            "auth.test": ApiMethod(_auth_test, (), FREE),
            "api.test": ApiMethod(lambda _, request: {"args": request.arguments}, (), FREE),
            "apps.connections.open": ApiMethod(
                lambda _backend, _request: {"url": self.new_socket_url()}, (), TIER_1, for_app_token=True
            ),
        }

    async def serve(self, request: Request) -> Response:
        """Answer one call, or fail as a scripted fault says."""
        method = request.path_params["method"]
        body = await request.body()
        try:
            call = read_request(method, dict(request.headers), body, request.url.query)
        except SlackRefusal as refusal:
            return self._log(ApiRequest(method, None, {}), JSONResponse(refusal.to_json()))
        fault = self.backend.faults.take(method, call.arguments)
        if fault is None:
            return self._log(call, self._answer(call))
        return await self._answer_with_fault(request, call, fault)

    async def _answer_with_fault(self, request: Request, call: ApiRequest, fault: Fault) -> Response:
        if isinstance(fault, Refuse):
            return self._log(call, JSONResponse({"ok": False, "error": fault.error}))
        if isinstance(fault, RateLimited):
            return self._log(call, _rate_limited(fault.retry_after))
        if isinstance(fault, Delay):
            await fault.wait()
            return await self._drop(request, call) if fault.is_lost else self._log(call, self._answer(call))
        answer = self._answer(call) if fault.after_effect else None
        if isinstance(fault, ServerError):
            return self._log(call, Response("upstream connect error", fault.status))
        if isinstance(fault, Stall):
            await fault.wait()
            return self._log(call, answer or self._answer(call))
        return await self._drop(request, call)

    async def _drop(self, request: Request, call: ApiRequest) -> Response:
        self._log(call, None)
        await self.drop_connection(request)
        return Response()

    def _answer(self, call: ApiRequest) -> Response:
        with self.backend.journal.lock:
            try:
                method = self._find_permitted_method(call)
                channel = call.text("channel") or "" if method.is_limited_per_channel else ""
                if wait := self.backend.limits.seconds_to_wait(call.method, method.tier, channel):
                    return _rate_limited(wait)
                body = {"ok": True, **method.handler(self.backend, call)}
            except SlackRefusal as refusal:
                body = refusal.to_json()
            headers = {"date": format_datetime(self.backend.clock.now(), usegmt=True)}
            if call.token == self.backend.app.bot_token:
                headers["x-oauth-scopes"] = ",".join(sorted(self.backend.app.scopes))
            return JSONResponse(body, headers=headers)

    def _find_permitted_method(self, call: ApiRequest) -> ApiMethod:
        app, method = self.backend.app, self._methods.get(call.method)
        if method is None:
            raise SlackRefusal("unknown_method", req_method=call.method)
        if call.token is None:
            raise SlackRefusal("not_authed")
        if call.token not in {app.bot_token, app.app_token}:
            raise SlackRefusal("invalid_auth")
        if app.is_revoked:
            raise SlackRefusal("token_revoked")
        if call.method not in {"auth.test", "api.test"} and method.for_app_token != (call.token == app.app_token):
            raise SlackRefusal("not_allowed_token_type")
        if method.scopes and not app.scopes.intersection(method.scopes):
            needed, provided = ",".join(method.scopes), ",".join(sorted(app.scopes))
            raise SlackRefusal("missing_scope", needed=needed, provided=provided)
        return method

    def _log(self, call: ApiRequest, answer: Response | None) -> Response:
        status, body = (None, None) if answer is None else (answer.status_code, _response_json(answer))
        at = self.backend.clock.now()
        self.backend.journal.record_call(ApiCall(at, call.method, call.arguments, status, body))
        return answer or Response()


def _response_json(answer: Response) -> Json | None:
    if answer.status_code not in {_OK, _TOO_MANY}:
        return None
    body: Json = json.loads(bytes(answer.body))
    return body


def _rate_limited(retry_after: int) -> Response:
    return JSONResponse({"ok": False, "error": "ratelimited"}, _TOO_MANY, {"Retry-After": str(retry_after)})
