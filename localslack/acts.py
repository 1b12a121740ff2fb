"""What people do in Slack, as methods: run a command, press a button, fill in a form, open the Home tab.

Invariant: every act goes the whole way, through a signed request or a websocket into the real app, and comes back as
an Answer. The lock is never held while the app is waited for, so acts of several threads truly race.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from localslack.acknowledgements import Acknowledgements
from localslack.answer import Answer
from localslack.backend import Backend
from localslack.delivery import Delivery, Kind, Reply
from localslack.elements import Typed, action_of, find, mistakes, state_of
from localslack.payloads import Payloads
from localslack.records import Json, Message, View
from localslack.refusals import NotOnScreen, SlackRefusal

_MENTION = re.compile(r"(?<![\w<])([@#])([\w.-]+)")
_Read: TypeAlias = Callable[[Answer, Reply], Answer]


class Acts:
    """Acts of people. `user` and `channel` are ids; an unknown one raises SlackRefusal."""

    def __init__(self, backend: Backend, delivery: Callable[[], Delivery]) -> None:
        self._backend = backend
        self._delivery = delivery
        self._payloads = Payloads(backend)
        self._acknowledgements = Acknowledgements(backend)

    def run_command(self, user: str, channel: str, command: str, text: str = "") -> Answer:
        """Type `/command text` in a channel. Raises NotOnScreen for a command that the manifest does not have."""
        person, place = self._backend.workspace.person(user), self._backend.workspace.channel(channel)
        declared = self._backend.app.command(command)
        if declared is None:
            raise NotOnScreen(f"{command} is not a valid command")
        if declared.should_escape:
            text = _MENTION.sub(self._escaped, text)
        payload = self._payloads.command(person, place, command, text)
        return self._send("slash_commands", payload, self._acknowledgements.command)

    def shortcut(self, user: str, callback_id: str) -> Answer:
        """Choose a global shortcut. Raises NotOnScreen for one that the manifest does not have."""
        known = self._backend.app.shortcuts
        if known is not None and callback_id not in known:
            raise NotOnScreen(f"no shortcut {callback_id!r}; there are: {sorted(known)}")
        payload = self._payloads.shortcut(self._backend.workspace.person(user), callback_id)
        return self._send("interactive", payload)

    def press(
        self,
        user: str,
        where: Message | View,
        action_id: str,
        value: object = None,
        *,
        block_id: str | None = None,
        typed: Typed | None = None,
    ) -> Answer:
        """Press a button, or choose `value` in a menu, in a message, a modal or the Home tab, as it is given here.

        An old copy is what somebody sees whose screen is not up to date. Buttons that share an action_id are told apart
        by `value` or `block_id`. `typed` is what stands in the fields by now. Raises NotOnScreen for what is not there.
        """
        person = self._backend.workspace.person(user)
        blocks = where.blocks if isinstance(where, View) else where.all_blocks
        block, element = find(blocks, action_id, value, block_id)
        action = action_of(block, element, value, self._backend.workspace.new_ts())
        holds = element["type"] not in {"button", "overflow"}
        now = {**(typed or {})}
        if holds:
            now[block["block_id"]] = {**now.get(block["block_id"], {}), action_id: value}
        if isinstance(where, View):
            payload = self._payloads.view_action(person, self._backend.views.enter(where, now), action)
        else:
            if where.to not in {None, user}:
                raise NotOnScreen("only its addressee sees an ephemeral message")
            payload = self._payloads.message_action(person, where, action, state_of(blocks, {}, now))
        return self._send("interactive", payload)

    def submit(self, user: str, view: View, typed: Typed | None = None) -> Answer:
        """Fill in a modal and send it: `{block_id: {action_id: value}}`; what is not named stays as it is.

        Fields that the client itself objects to come back as `errors`, and nothing is sent. Raises NotOnScreen for
        fields and options that are not there, and SlackRefusal view_not_found when the modal is closed.
        """
        person = self._backend.workspace.person(user)
        if "submit" not in view.content:
            raise NotOnScreen("this modal has no submit button")
        entered = self._backend.views.enter(view, typed or {})
        payload = self._payloads.view_submission(person, entered)
        if wrong := mistakes(entered.blocks, entered.values):
            return Answer("interactive", payload, was_sent=False, errors=wrong, view=self._top(user))
        return self._send(
            "interactive", payload, lambda answer, reply: self._acknowledgements.submission(answer, reply, entered)
        )

    def close(self, user: str, view: View, *, whole_stack: bool = False) -> list[Answer]:
        """Close a modal, or the whole stack. Returns an answer for each view that asked to be told of it."""
        person = self._backend.workspace.person(user)
        cleared = whole_stack or bool(view.content.get("clear_on_close"))
        closed = self._backend.views.close(view, whole_stack=cleared)
        return [
            self._send("interactive", self._payloads.view_closed(person, shown, is_cleared=cleared))
            for shown in closed
            if shown.content.get("notify_on_close")
        ]

    def open_home(self, user: str) -> Answer:
        """Open the bot's Home tab, which sends app_home_opened."""
        if not self._backend.app.has_home_tab:
            raise NotOnScreen("the app has no Home tab")
        return self._send_event(self._payloads.app_home_opened(self._backend.workspace.person(user)))

    def send_event(self, event: Json) -> Answer:
        """Send any event of the Events API, say member_joined_channel; its envelope is put around it."""
        return self._send_event(self._payloads.event(event))

    def send_forged(self, kind: Kind, payload: Json) -> Answer:
        """Send any payload at all, well signed: what no client would, but a bug or somebody with the secret might."""
        return self._send(kind, payload)

    def redeliver(self, answer: Answer) -> Answer:
        """Send the same payload again, with the same trigger_id and response_url; an event says that it is a retry."""
        retry = (answer.deliveries, "http_timeout" if answer.was_late else "http_error")
        is_event = answer.kind == "events_api"
        again = self._send(answer.kind, answer.payload, retry=retry if is_event else None)
        return replace(again, deliveries=answer.deliveries + 1)

    def verify_request_url(self, challenge: str = "challenge") -> bool:
        """Ask the app for the challenge, as Slack does when its URL is entered. True if it gave the right answer."""
        reply = self._delivery().send("events_api", self._payloads.url_verification(challenge))
        return reply.status == 200 and challenge in reply.body  # noqa: PLR2004  OK.

    def _send_event(self, payload: Json) -> Answer:
        kind = payload["event"]["type"]
        if self._backend.app.events is not None and kind not in self._backend.app.events:
            # Slack sends only what the app subscribed to; the person notices nothing.
            return Answer("events_api", payload, was_sent=False)
        return self._send("events_api", payload)

    def _send(
        self, kind: Kind, payload: Json, read: _Read | None = None, retry: tuple[int, str] | None = None
    ) -> Answer:
        reply = self._delivery().send(kind, payload, retry)
        answer = (read or self._acknowledgements.plain)(Answer(kind, payload), reply)
        # A forged payload may have any shape.
        user = _find_str(payload, "user_id") or _find_str(payload, "user", "id") or _find_str(payload, "event", "user")
        answer = replace(answer, view=self._top(user) if user else None)
        told = {"status": answer.status, "body": answer.body, "seconds": answer.seconds, "failure": answer.failure}
        self._backend.journal.publish(
            "interaction", {"kind": kind, "payload": payload, "errors": answer.errors, **told}
        )
        return answer

    def _top(self, user: str) -> View | None:
        stack = self._backend.workspace.modals(user)
        return stack[-1] if stack else None

    def _escaped(self, mention: re.Match[str]) -> str:
        sign, name = mention.groups()
        try:
            if sign == "#":
                return f"<#{self._backend.workspace.channel_named(name).id}|{name}>"
        except SlackRefusal:
            return mention.group()
        people = [person for person in self._backend.workspace.people if person.name == name]
        return f"<@{people[0].id}|{name}>" if people else mention.group()


def _find_str(payload: object, *path: str) -> str | None:
    for key in path:
        payload = payload.get(key) if isinstance(payload, dict) else None
    return payload if isinstance(payload, str) else None
