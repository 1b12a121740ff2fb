"""Reads the acknowledgement of an interaction as Slack does, and makes its effects seen.

Invariant: an acknowledgement that Slack would not understand changes nothing and counts as a failure; a late one too,
although the app may have acted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from localslack import limits
from localslack.answer import Answer
from localslack.api_request import ApiRequest
from localslack.backend import Backend
from localslack.block_kit import check_view
from localslack.delivery import Reply
from localslack.records import Json, View
from localslack.refusals import SlackRefusal
from localslack.response_urls import show_answer
from localslack.tickets import ResponseUrl

_REFUSED = 400
_BROKEN = 500


def failure_of(reply: Reply) -> str | None:
    """What Slack shows instead of an effect, or None for an acknowledgement in time."""
    if reply.failure is not None:
        return reply.failure
    if reply.seconds > limits.ACKNOWLEDGE_SECONDS:
        return "operation_timeout"
    status = reply.status or _BROKEN
    if status >= _BROKEN:
        return "http_service_error"
    return "http_client_error" if status >= _REFUSED else None


@dataclass(frozen=True, slots=True)
class Acknowledgements:
    """Turns a reply into an Answer."""

    backend: Backend

    def plain(self, answer: Answer, reply: Reply) -> Answer:
        """A button, a shortcut, a closed view or an event: what the acknowledgement says is not looked at."""
        failure = failure_of(reply)
        return replace(
            answer,
            status=reply.status,
            body=reply.body,
            seconds=reply.seconds,
            was_late=failure == "operation_timeout",
            failure=failure,
        )

    def command(self, answer: Answer, reply: Reply) -> Answer:
        """A slash command: text or a message comes back, for the person alone or for the channel."""
        answer = self.plain(answer, reply)
        if answer.failure is not None or not reply.body:
            return answer
        told: Json = {"text": reply.body}
        try:
            if reply.content_type == "application/json":
                told = _object(reply.body)
            place = ResponseUrl("", answer.payload["user_id"], answer.payload["channel_id"], self.backend.clock.now())
            with self.backend.journal.lock:
                message = show_answer(self.backend, ApiRequest("acknowledgement", None, told), place)
        except SlackRefusal as refusal:
            # A message with nothing in it is how some frameworks acknowledge in silence.
            if refusal.error == "no_text":
                return answer
            return replace(answer, failure=f"invalid_command_response: {refusal.problems or refusal}")
        return replace(answer, message=message)

    def submission(self, answer: Answer, reply: Reply, view: View) -> Answer:
        """A form: it closes, or shows mistakes, or turns into another view."""
        answer = self.plain(answer, reply)
        if answer.failure is not None:
            return answer
        try:
            with self.backend.journal.lock:
                errors = self._respond(view, _object(reply.body) if reply.body.strip() else {})
        except SlackRefusal as refusal:
            return replace(answer, failure=f"invalid_response_action: {refusal.problems or refusal}")
        return replace(answer, errors=errors)

    def _respond(self, view: View, told: Json) -> dict[str, str]:
        views = self.backend.views
        action = told.get("response_action")
        match action:
            case "errors":
                return _field_errors(view, told.get("errors"))
            case "clear":
                views.close(view, whole_stack=True)
            case "update":
                views.update(view, check_view(told.get("view"), "modal"))
            case "push":
                views.push(view.user, check_view(told.get("view"), "modal"))
            case None:
                views.close(view)
            case _:
                raise SlackRefusal("invalid_response_action", problems=[f"unknown response_action: {action}"])
        return {}


def _field_errors(view: View, errors: object) -> dict[str, str]:
    fields = {block["block_id"] for block in view.blocks if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors:
        raise SlackRefusal("invalid_errors", problems=["errors must name at least one block"])
    if strangers := errors.keys() - fields:
        raise SlackRefusal("invalid_errors", problems=[f"no input block has the id {name}" for name in strangers])
    return {str(block_id): str(problem) for block_id, problem in errors.items()}


def _object(body: str) -> Json:
    try:
        told = json.loads(body)
    except ValueError as error:
        raise SlackRefusal("invalid_json") from error
    if not isinstance(told, dict):
        raise SlackRefusal("json_not_object")
    return told
