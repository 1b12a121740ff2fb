"""The endpoint /response/<key>: messages through a response_url, which needs no token.

Invariant: a response_url works 5 times within 30 minutes. It reaches only its person and its channel, and can change
only the message that the interaction came from.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from localslack.api_request import ApiRequest, read_request
from localslack.backend import Backend
from localslack.chat_methods import read_content
from localslack.faults import Delay, HangUp, RateLimited, Refuse, ServerError, Stall
from localslack.interaction_tokens import ResponseUrl
from localslack.journal import ApiCall
from localslack.records import Json, SlackMessage
from localslack.refusals import SlackRefusal
from localslack.web_api import DropConnection

METHOD = "response_url"
"""The name of these calls in the log and for scripted faults."""
_GONE = frozenset({"no_service", "used_url", "Expired url"})
_NOT_FOUND = 404
_BAD_REQUEST = 400


def post_response(backend: Backend, request: ApiRequest, url: ResponseUrl) -> SlackMessage | None:
    """Post, replace or delete a message as the app's response says. Returns the message, or None if it was deleted.

    Raises SlackRefusal for invalid content.
    """
    workspace = backend.workspace
    original = None if url.source is None else workspace.find_message(url.channel, url.source)
    if request.flag("delete_original"):
        if original is not None:
            workspace.delete_message(original)
        return None
    content = read_content(backend, request)
    if original is not None and request.flag("replace_original"):
        content["edited_ts"] = None if original.is_ephemeral else workspace.new_ts()
        return workspace.update_message(original.model_copy(update=content))
    is_public = request.text("response_type") == "in_channel"
    message = SlackMessage(
        ts=workspace.new_ts(),
        channel=url.channel,
        user=backend.app.bot_user,
        to=None if is_public else url.user,
        thread_ts=request.text("thread_ts"),
        **content,
    )
    return workspace.post_message(message)


@dataclass(slots=True)
class ResponseUrls:
    """Serves response_urls."""

    backend: Backend
    drop_connection: DropConnection

    async def serve(self, request: Request) -> Response:
        """Answer one call: 200 and "ok", or Slack's error code."""
        body = await request.body()
        try:
            call = read_request(METHOD, dict(request.headers), body, "")
        except SlackRefusal as refusal:
            return PlainTextResponse(refusal.error, _BAD_REQUEST)
        fault = self.backend.faults.take(METHOD, call.arguments)
        if isinstance(fault, Refuse):
            return self._log(call, PlainTextResponse(fault.error, _BAD_REQUEST), fault.error)
        if isinstance(fault, RateLimited):
            return self._log(call, PlainTextResponse("rate_limited", 429, {"Retry-After": str(fault.retry_after)}))
        if isinstance(fault, Stall) and not fault.after_effect:
            await fault.wait()
        if isinstance(fault, Delay):
            await fault.wait()
            fault = HangUp() if fault.is_lost else None
        is_refused = isinstance(fault, HangUp | ServerError) and not fault.after_effect
        answer = Response() if is_refused else self._answer(call, request.path_params["key"])
        if isinstance(fault, Stall) and fault.after_effect:
            await fault.wait()
        if isinstance(fault, ServerError):
            return self._log(call, Response("upstream connect error", fault.status))
        if isinstance(fault, HangUp):
            await self.drop_connection(request)
        return answer

    def _answer(self, call: ApiRequest, key: str) -> Response:
        with self.backend.journal.lock:
            try:
                url = self.backend.interaction_tokens.check_response_url(key)
                post_response(self.backend, call, url)
                self.backend.interaction_tokens.count_use(url)
            except SlackRefusal as refusal:
                status = _NOT_FOUND if refusal.error in _GONE else _BAD_REQUEST
                return self._log(call, JSONResponse(refusal.to_json(), status), refusal.error)
            return self._log(call, PlainTextResponse("ok"))

    def _log(self, call: ApiRequest, answer: Response, error: str | None = None) -> Response:
        body: Json = {"ok": answer.status_code == 200} | ({"error": error} if error else {})  # noqa: PLR2004  OK.
        at = self.backend.clock.now()
        self.backend.journal.record_call(ApiCall(at, call.method, call.arguments, answer.status_code, body))
        return answer
