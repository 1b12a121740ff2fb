"""The methods views.*, and the JSON of a view in their answers and in payloads.

Invariant: only a call that opened a view uses up its trigger_id.
"""

from __future__ import annotations

from localslack.api_method import ApiMethod
from localslack.api_request import ApiRequest
from localslack.backend import Backend
from localslack.block_kit import check_view
from localslack.rate_limits import TIER_4
from localslack.records import Json, View
from localslack.refusals import SlackRefusal


def view_json(backend: Backend, view: View) -> Json:
    """A view as Slack returns it, with everything that Slack fills in."""
    team = backend.workspace.team.id
    content = {"private_metadata": "", "callback_id": "", "external_id": "", **view.content}
    if view.type == "modal":
        content = {"submit": None, "close": None, "clear_on_close": False, "notify_on_close": False, **content}
    return {
        "id": view.id,
        "team_id": team,
        **content,
        "state": {"values": view.values},
        "hash": view.hash,
        "previous_view_id": view.previous_view_id,
        "root_view_id": view.root_view_id,
        "app_id": backend.app.id,
        "app_installed_team_id": team,
        "bot_id": backend.app.bot_id,
    }


def _open(backend: Backend, request: ApiRequest) -> Json:
    return _with_trigger(backend, request, is_push=False)


def _push(backend: Backend, request: ApiRequest) -> Json:
    return _with_trigger(backend, request, is_push=True)


def _with_trigger(backend: Backend, request: ApiRequest, *, is_push: bool) -> Json:
    # Two names for the same token; outside workflows, payloads carry trigger_id only.
    trigger = backend.interaction_tokens.check_trigger(
        request.text("interactivity_pointer") or request.required("trigger_id")
    )
    content = check_view(request.structure("view", "invalid_arguments"), "modal")
    if is_push and trigger.view_id is None:
        raise SlackRefusal("not_found")
    show = backend.views.push if is_push else backend.views.open
    view = show(trigger.user, content)
    backend.interaction_tokens.exchange(trigger)
    return {"view": view_json(backend, view)}


def _update(backend: Backend, request: ApiRequest) -> Json:
    content = request.structure("view", "invalid_arguments")
    kind = content.get("type") if isinstance(content, dict) else "modal"
    checked = check_view(content, "home" if kind == "home" else "modal")
    view_id, external_id = request.text("view_id"), request.text("external_id")
    if view_id is None and external_id is None:
        request.required("view_id")
    view = backend.views.find(view_id, external_id)
    return {"view": view_json(backend, backend.views.update(view, checked, request.text("hash")))}


def _publish(backend: Backend, request: ApiRequest) -> Json:
    user = request.required("user_id")
    content = check_view(request.structure("view", "invalid_arguments"), "home")
    if not backend.app.has_home_tab:
        raise SlackRefusal("not_enabled")
    backend.workspace.person(user)
    return {"view": view_json(backend, backend.views.publish(user, content, request.text("hash")))}


VIEW_METHODS = {
    "views.open": ApiMethod(_open, (), TIER_4),
    "views.push": ApiMethod(_push, (), TIER_4),
    "views.update": ApiMethod(_update, (), TIER_4),
    "views.publish": ApiMethod(_publish, (), TIER_4),
}
