"""What people do on the page, carried out in the local Slack.

Invariant: a request from the page is validated as a whole before anything happens. It becomes one interaction of the
person whom it names. Nothing here knows the bot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from localslack.answer import Answer
from localslack.elements import has_element
from localslack.records import Json, SlackMessage, View
from localslack.refusals import NotOnScreen
from localslack.server import LocalSlack
from playground.action_log import ActionLog
from playground.modal_owners import ModalOwners

FieldValues: TypeAlias = dict[str, dict[str, Any]]
_Text = Annotated[str, Field(max_length=8000)]


class _PageRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    person: str
    client: Annotated[str, Field(max_length=100)] | None = None
    """The tab and the pane on the page."""


class RunCommand(_PageRequest):
    """Run a slash command."""

    act: Literal["command"]
    channel: str
    text: _Text


class PostMessage(_PageRequest):
    """Post a message in a channel or in a thread."""

    act: Literal["say"]
    channel: str
    text: Annotated[_Text, Field(min_length=1)]
    thread_ts: str | None = None


class PressElement(_PageRequest):
    """Press a button, or choose in a menu, in a message or a view."""

    act: Literal["press"]
    channel: str | None = None
    ts: str | None = None
    view: str | None = None
    block_id: str
    action_id: str
    value: Any = None
    typed: FieldValues = {}


class SearchMenu(_PageRequest):
    """Open a menu whose options the app is asked for, or type in it."""

    act: Literal["search"]
    channel: str | None = None
    ts: str | None = None
    view: str | None = None
    block_id: str
    action_id: str
    query: Annotated[str, Field(max_length=1000)] = ""


class SubmitView(_PageRequest):
    """Submit a modal."""

    act: Literal["submit"]
    view: str
    typed: FieldValues = {}


class CloseView(_PageRequest):
    """Close the top modal."""

    act: Literal["close"]
    view: str


class OpenHome(_PageRequest):
    """Open the bot's Home tab."""

    act: Literal["home"]


class RunShortcut(_PageRequest):
    """Run a global shortcut."""

    act: Literal["shortcut"]
    callback_id: str


class DismissMessage(_PageRequest):
    """Dismiss an ephemeral message."""

    act: Literal["dismiss"]
    channel: str
    ts: str


PageRequest: TypeAlias = Annotated[
    RunCommand
    | PostMessage
    | PressElement
    | SearchMenu
    | SubmitView
    | CloseView
    | OpenHome
    | RunShortcut
    | DismissMessage,
    Field(discriminator="act"),
]
_PAGE_REQUEST: TypeAdapter[PageRequest] = TypeAdapter(PageRequest)


class PageInteractions:
    """Carries out requests from the page. Raises NotOnScreen or SlackRefusal for what is no longer there."""

    def __init__(self, slack: LocalSlack, log: ActionLog, owners: ModalOwners) -> None:
        self._slack = slack
        self._owners = owners
        self._log = log

    def perform(self, body: object) -> Json:
        """Carry out a request, and return its outcome. Raises pydantic's ValidationError for an invalid one."""
        request = _PAGE_REQUEST.validate_python(body)
        match request:
            case PostMessage():
                return self._post(request)
            case DismissMessage():
                return self._dismiss(request)
            case CloseView():
                return self._close(request)
            case SearchMenu():
                return self._search(request)
        self._owners.note(request.person, request.client)
        title, perform = self._plan(request)
        with self._log.recording(self._log.begin(title, request.person)):
            return answer_json(perform())

    def _plan(
        self, request: RunCommand | PressElement | SubmitView | OpenHome | RunShortcut
    ) -> tuple[str, Callable[[], Answer]]:
        """The title of an interaction with the app, and a function that performs it. Raises NotOnScreen."""
        slack = self._slack
        match request:
            case RunCommand():
                name, _, text = request.text.strip().partition(" ")
                return request.text.strip(), lambda: slack.run_command(
                    request.person, request.channel, name, text.strip()
                )
            case PressElement():
                where = self.where(request)
                return _label(where, request), lambda: slack.press(
                    request.person,
                    where,
                    request.action_id,
                    request.value,
                    block_id=request.block_id,
                    typed=request.typed,
                )
            case SubmitView():
                view = self._view(request.person, request.view)
                label = view.content.get("submit", {}).get("text", "Send")
                return f"{label} (form)", lambda: slack.submit(request.person, view, request.typed)
            case RunShortcut():
                return "Shortcut", lambda: slack.shortcut(request.person, request.callback_id)
        return "Open the Home tab", lambda: slack.open_home(request.person)

    def where(self, press: PressElement) -> SlackMessage | View:
        """The message or view in its newest version that has what is pressed: a screen may be a moment behind.

        Raises NotOnScreen.
        """
        workspace = self._slack.workspace
        if press.view is None:
            if not (messages := workspace.message_versions(press.channel or "", press.ts or "")):
                raise NotOnScreen("this message no longer exists")
            return next((each for each in messages if _shows(each.all_blocks, press)), messages[0])
        view = self._view(press.person, press.view)
        views = [view, *(workspace.home_versions(press.person) if view.type == "home" else ())]
        return next((each for each in views if _shows(each.blocks, press)), view)

    def _close(self, request: CloseView) -> Json:
        view = self._view(request.person, request.view)
        if not view.content.get("notify_on_close"):
            # The app isn't notified, so this doesn't count as an action.
            self._slack.close(request.person, view)
            return {}
        with self._log.recording(self._log.begin("Close (form)", request.person)):
            answers = self._slack.close(request.person, view)
        return answer_json(answers[0]) if answers else {}

    def _search(self, request: SearchMenu) -> Json:
        """The options that a menu shows now. Searching changes nothing, so it isn't an action."""
        press = PressElement(act="press", **request.model_dump(exclude={"act", "query"}))
        answer = self._slack.search(
            request.person, self.where(press), request.action_id, request.query, block_id=request.block_id
        )
        return {"failure": answer.failure, "options": list(answer.options)}

    def _post(self, request: PostMessage) -> Json:
        workspace = self._slack.workspace
        person, channel = workspace.person(request.person), workspace.channel(request.channel)
        safe = request.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        workspace.post_message(
            SlackMessage(
                ts=workspace.new_ts(), channel=channel.id, user=person.id, text=safe, thread_ts=request.thread_ts
            )
        )
        return {}

    def _dismiss(self, request: DismissMessage) -> Json:
        message = self._slack.workspace.find_message(request.channel, request.ts)
        if message is not None and message.to == request.person:
            self._slack.workspace.delete_message(message)
        return {}

    def _view(self, person: str, view_id: str) -> View:
        home = self._slack.home(person)
        shown = [*self._slack.workspace.modals(person), *([home] if home is not None else [])]
        found = next((view for view in shown if view.id == view_id), None)
        if found is None:
            raise NotOnScreen("this form is no longer open")
        return found


def answer_json(answer: Answer) -> Json:
    """The outcome as the page shows it."""
    return {
        "failure": answer.failure,
        "errors": answer.errors,
        "was_sent": answer.was_sent,
        "status": answer.status,
        "seconds": answer.seconds,
    }


def _shows(blocks: list[Json], press: PressElement) -> bool:
    return has_element(blocks, press.action_id, press.value, press.block_id)


def _label(where: SlackMessage | View, press: PressElement) -> str:
    blocks = where.blocks if isinstance(where, View) else where.all_blocks
    for block in blocks:
        if block["block_id"] == press.block_id:
            found = [*block.get("elements", []), block.get("accessory") or {}, block.get("element") or {}]
            for element in found:
                if element.get("action_id") == press.action_id and element.get("type") == "button":
                    return str(element["text"]["text"])
    return "Choose in a menu"
