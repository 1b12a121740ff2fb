"""Reads the acknowledgement of an interaction as Slack does, and applies it.

Invariant: an acknowledgement that is late, or that Slack wouldn't understand, changes nothing and counts as a failure,
even if the app has acted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from localslack.answer import Answer
from localslack.api_request import ApiRequest
from localslack.app_transport import Reply
from localslack.backend import Backend
from localslack.block_kit import check_view
from localslack.interaction_tokens import ResponseUrl
from localslack.records import Json, View
from localslack.refusals import SlackRefusal
from localslack.response_urls import post_response
from localslack.suggestions import read_suggestions

_REFUSED = 400
_BROKEN = 500


def failure_of(reply: Reply, timeout_seconds: float) -> str | None:
    """The failure that Slack shows, or None for an acknowledgement that came in time."""
    if reply.failure is not None:
        return reply.failure
    if reply.seconds > timeout_seconds:
        return "operation_timeout"
    status = reply.status or _BROKEN
    if status >= _BROKEN:
        return "http_service_error"
    return "http_client_error" if status >= _REFUSED else None


@dataclass(frozen=True, slots=True)
class Acknowledgements:
    """Turns replies into Answers."""

    backend: Backend
    timeout_seconds: float

    def plain(self, answer: Answer, reply: Reply) -> Answer:
        """A button, a shortcut, a closed view or an event: the body of the acknowledgement is ignored."""
        failure = failure_of(reply, self.timeout_seconds)
        return replace(
            answer,
            status=reply.status,
            body=reply.body,
            seconds=reply.seconds,
            was_late=failure == "operation_timeout",
            failure=failure,
        )

    def command(self, answer: Answer, reply: Reply) -> Answer:
        """A slash command: the body may be a message, ephemeral or for the channel."""
        answer = self.plain(answer, reply)
        if answer.failure is not None or not reply.body:
            return answer
        content: Json = {"text": reply.body}
        try:
            if reply.content_type == "application/json":
                content = _parse_object(reply.body)
            destination = ResponseUrl(
                "", answer.payload["user_id"], answer.payload["channel_id"], self.backend.clock.now()
            )
            with self.backend.journal.lock:
                message = post_response(self.backend, ApiRequest("acknowledgement", None, content), destination)
        except SlackRefusal as refusal:
            # Some frameworks acknowledge with an empty message.
            if refusal.error == "no_text":
                return answer
            return replace(answer, failure=f"invalid_command_response: {refusal.problems or refusal}")
        return replace(answer, message=message)

    def suggestion(self, answer: Answer, reply: Reply) -> Answer:
        """The options of a menu with an external data source; none where Slack wouldn't take the answer."""
        answer = self.plain(answer, reply)
        if answer.failure is not None:
            return answer
        try:
            return replace(answer, options=tuple(read_suggestions(reply.body, reply.content_type)))
        except SlackRefusal as refusal:
            return replace(answer, failure=f"invalid_options_response: {refusal.problems or refusal}")

    def submission(self, answer: Answer, reply: Reply, view: View) -> Answer:
        """A view submission: the modal closes, shows errors, or is replaced by another view."""
        answer = self.plain(answer, reply)
        if answer.failure is not None:
            return answer
        try:
            with self.backend.journal.lock:
                errors = self._apply(view, _parse_object(reply.body) if reply.body.strip() else {})
        except SlackRefusal as refusal:
            return replace(answer, failure=f"invalid_response_action: {refusal.problems or refusal}")
        return replace(answer, errors=errors)

    def _apply(self, view: View, response: Json) -> dict[str, str]:
        views = self.backend.views
        action = response.get("response_action")
        match action:
            case "errors":
                return _field_errors(view, response.get("errors"))
            case "clear":
                views.close(view, whole_stack=True)
            case "update":
                views.update(view, check_view(response.get("view"), "modal"))
            case "push":
                views.push(view.user, check_view(response.get("view"), "modal"))
            case None:
                views.close(view)
            case _:
                raise SlackRefusal("invalid_response_action", problems=[f"unknown response_action: {action}"])
        return {}


def _field_errors(view: View, errors: object) -> dict[str, str]:
    fields = {block["block_id"] for block in view.blocks if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors:
        raise SlackRefusal("invalid_errors", problems=["errors must name at least one block"])
    if unknown := errors.keys() - fields:
        raise SlackRefusal("invalid_errors", problems=[f"no input block has the id {name}" for name in unknown])
    return {str(block_id): str(problem) for block_id, problem in errors.items()}


def _parse_object(body: str) -> Json:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise SlackRefusal("invalid_json") from error
    if not isinstance(parsed, dict):
        raise SlackRefusal("json_not_object")
    return parsed
