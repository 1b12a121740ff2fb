"""What the page asks to be done, and how it is answered.

Invariant: each act is one of the local Slack's own, done as the person whom the page names; what the page sends is
checked whole before anything is done. Nothing here knows the bot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from localslack.answer import Answer
from localslack.records import Json, Message, View
from localslack.refusals import NotOnScreen
from localslack.server import LocalSlack
from playground.action_log import ActionLog

Typed: TypeAlias = dict[str, dict[str, Any]]
_Text = Annotated[str, Field(max_length=8000)]


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    person: str


class Command(_Asked):
    """A line that begins with a slash."""

    act: Literal["command"]
    channel: str
    text: _Text


class Say(_Asked):
    """A line to everybody in the channel, or in a thread of it."""

    act: Literal["say"]
    channel: str
    text: Annotated[_Text, Field(min_length=1)]
    thread_ts: str | None = None


class Press(_Asked):
    """A button, or a choice in a menu, of a message or of a view."""

    act: Literal["press"]
    channel: str | None = None
    ts: str | None = None
    view: str | None = None
    block_id: str
    action_id: str
    value: Any = None
    typed: Typed = {}


class Submit(_Asked):
    """A form."""

    act: Literal["submit"]
    view: str
    typed: Typed = {}


class Close(_Asked):
    """The modal on top."""

    act: Literal["close"]
    view: str


class Home(_Asked):
    """The bot's Home tab."""

    act: Literal["home"]


class Shortcut(_Asked):
    """A global shortcut."""

    act: Literal["shortcut"]
    callback_id: str


class Dismiss(_Asked):
    """An ephemeral message that was read."""

    act: Literal["dismiss"]
    channel: str
    ts: str


RequestDraft: TypeAlias = Annotated[
    Command | Say | Press | Submit | Close | Home | Shortcut | Dismiss, Field(discriminator="act")
]
_ASKED: TypeAdapter[RequestDraft] = TypeAdapter(RequestDraft)


class PageActs:
    """Does what the page asks for. Raises NotOnScreen and SlackRefusal for what is not there any more."""

    def __init__(self, slack: LocalSlack, log: ActionLog) -> None:
        self._slack = slack
        self._log = log

    def do(self, asked: object) -> Json:
        """Do it, and say what came of it. Raises pydantic's ValidationError for what is no act."""
        act = _ASKED.validate_python(asked)
        match act:
            case Say():
                return self._say(act)
            case Dismiss():
                return self._dismiss(act)
            case Close():
                return self._close(act)
        title, work = self._plan(act)
        with self._log.doing(self._log.begin(title, act.person)):
            return told(work())

    def _plan(self, act: Command | Press | Submit | Home | Shortcut) -> tuple[str, Callable[[], Answer]]:
        """What an act that reaches the app is called, and how it is done. Raises NotOnScreen."""
        slack = self._slack
        match act:
            case Command():
                name, _, text = act.text.strip().partition(" ")
                return act.text.strip(), lambda: slack.run_command(act.person, act.channel, name, text.strip())
            case Press():
                where = self.where(act)
                return _label(where, act), lambda: slack.press(
                    act.person, where, act.action_id, act.value, block_id=act.block_id, typed=act.typed
                )
            case Submit():
                view = self._view(act.person, act.view)
                label = view.content.get("submit", {}).get("text", "Send")
                return f"{label} (form)", lambda: slack.submit(act.person, view, act.typed)
            case Shortcut():
                return "Shortcut", lambda: slack.shortcut(act.person, act.callback_id)
        return "Open the Home tab", lambda: slack.open_home(act.person)

    def where(self, press: Press) -> Message | View:
        """The message or view that the page shows, as it is now. Raises NotOnScreen."""
        if press.view is not None:
            return self._view(press.person, press.view)
        found = self._slack.workspace.find_message(press.channel or "", press.ts or "")
        if found is None:
            raise NotOnScreen("this message is not there any more")
        return found

    def _close(self, act: Close) -> Json:
        view = self._view(act.person, act.view)
        if not view.content.get("notify_on_close"):
            # The app hears nothing of it, so it is nothing to show as the last action.
            self._slack.close(act.person, view)
            return {}
        with self._log.doing(self._log.begin("Close (form)", act.person)):
            answers = self._slack.close(act.person, view)
        return told(answers[0]) if answers else {}

    def _say(self, act: Say) -> Json:
        workspace = self._slack.workspace
        person, channel = workspace.person(act.person), workspace.channel(act.channel)
        safe = act.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        workspace.say(
            Message(ts=workspace.new_ts(), channel=channel.id, user=person.id, text=safe, thread_ts=act.thread_ts)
        )
        return {}

    def _dismiss(self, act: Dismiss) -> Json:
        message = self._slack.workspace.find_message(act.channel, act.ts)
        if message is not None and message.to == act.person:
            self._slack.workspace.unsay(message)
        return {}

    def _view(self, person: str, view_id: str) -> View:
        home = self._slack.home(person)
        shown = [*self._slack.workspace.modals(person), *([home] if home is not None else [])]
        found = next((view for view in shown if view.id == view_id), None)
        if found is None:
            raise NotOnScreen("this form is not open any more")
        return found


def told(answer: Answer) -> Json:
    """What the person's client makes of an acknowledgement."""
    return {
        "failure": answer.failure,
        "errors": answer.errors,
        "was_sent": answer.was_sent,
        "status": answer.status,
        "seconds": answer.seconds,
    }


def _label(where: Message | View, press: Press) -> str:
    blocks = where.blocks if isinstance(where, View) else where.all_blocks
    for block in blocks:
        if block["block_id"] == press.block_id:
            found = [*block.get("elements", []), block.get("accessory") or {}, block.get("element") or {}]
            for element in found:
                if element.get("action_id") == press.action_id and element.get("type") == "button":
                    return str(element["text"]["text"])
    return "Choose in a menu"
