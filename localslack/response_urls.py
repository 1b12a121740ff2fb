"""The door /response/<key>: answers to an interaction, without a token, for 30 minutes and five times.

Invariant: an answer through a response_url reaches only the person and the channel it was given for, and can change
only the message whose button was pressed.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from localslack.api_request import ApiRequest, read_request
from localslack.backend import Backend
from localslack.chat_methods import read_content
from localslack.faults import HangUp, RateLimited, Refuse, ServerError, Stall
from localslack.journal import ApiCall
from localslack.records import Json, Message
from localslack.refusals import SlackRefusal
from localslack.tickets import ResponseUrl
from localslack.web_api import HangUpOn

METHOD = "response_url"
"""Its name in the log of calls and in the script of faults."""
_GONE = frozenset({"no_service", "used_url", "Expired url"})
_NOT_FOUND = 404
_BAD_REQUEST = 400


def show_answer(backend: Backend, request: ApiRequest, url: ResponseUrl) -> Message | None:
    """Carry out what the app answered to an interaction. Returns the message to be seen; None if it was deleted.

    Raises SlackRefusal when the content is wrong.
    """
    workspace = backend.workspace
    original = None if url.source is None else workspace.find_message(url.channel, url.source)
    if request.flag("delete_original"):
        if original is not None:
            workspace.unsay(original)
        return None
    content = read_content(backend, request)
    if original is not None and request.flag("replace_original"):
        content["edited_ts"] = None if original.is_ephemeral else workspace.new_ts()
        return workspace.change(original.model_copy(update=content))
    to_all = request.text("response_type") == "in_channel"
    said = Message(
        ts=workspace.new_ts(),
        channel=url.channel,
        user=backend.app.bot_user,
        to=None if to_all else url.user,
        thread_ts=request.text("thread_ts"),
        **content,
    )
    return workspace.say(said)


@dataclass(slots=True)
class ResponseUrls:
    """The answers that come by response_url."""

    backend: Backend
    hang_up: HangUpOn

    async def serve(self, request: Request) -> Response:
        """Answer one call: 200 and "ok", or Slack's word for what is wrong."""
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
        drops = isinstance(fault, HangUp | ServerError) and not fault.after_effect
        answer = Response() if drops else self._answer(call, request.path_params["key"])
        if isinstance(fault, Stall) and fault.after_effect:
            await fault.wait()
        if isinstance(fault, ServerError):
            return self._log(call, Response("upstream connect error", fault.status))
        if isinstance(fault, HangUp):
            await self.hang_up(request)
        return answer

    def _answer(self, call: ApiRequest, key: str) -> Response:
        with self.backend.journal.lock:
            try:
                url = self.backend.tickets.look_at_response_url(key)
                show_answer(self.backend, call, url)
                self.backend.tickets.count_use(url)
            except SlackRefusal as refusal:
                status = _NOT_FOUND if refusal.error in _GONE else _BAD_REQUEST
                return self._log(call, JSONResponse(refusal.to_json(), status), refusal.error)
            return self._log(call, PlainTextResponse("ok"))

    def _log(self, call: ApiRequest, answer: Response, error: str | None = None) -> Response:
        told: Json = {"ok": answer.status_code == 200} | ({"error": error} if error else {})  # noqa: PLR2004  OK.
        at = self.backend.clock.now()
        self.backend.journal.record_call(ApiCall(at, call.method, call.arguments, answer.status_code, told))
        return answer
