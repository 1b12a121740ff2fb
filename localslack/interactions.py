"""What people do in Slack: run a command, press a button, submit a modal, open the Home tab.

Invariant: every interaction goes through a signed request or a websocket to the real app, and its outcome comes back
as an Answer. No lock is held while waiting for the app, so interactions in several threads really race.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from localslack import limits
from localslack.acknowledgements import Acknowledgements
from localslack.answer import Answer
from localslack.app_transport import AppTransport, PayloadKind, Reply
from localslack.backend import Backend
from localslack.directory_methods import group_json, person_json
from localslack.elements import EnteredValues, build_action, build_state, client_errors, find_element
from localslack.payloads import Payloads
from localslack.records import Json, Person, SlackMessage, UserGroup, View
from localslack.refusals import NotOnScreen, SlackRefusal
from localslack.suggestions import OfferedOptions, check_query

_MENTION = re.compile(r"(?<![\w<])([@#])([\w.-]+)")
_ReadReply: TypeAlias = Callable[[Answer, Reply], Answer]


class Interactions:
    """One method for each kind of interaction. `user` and `channel` are ids; an unknown one raises SlackRefusal.

    `transport` returns the current way to the app.
    """

    def __init__(
        self,
        backend: Backend,
        transport: Callable[[], AppTransport],
        options: Callable[[], AppTransport | None],
        timeout_seconds: float,
    ) -> None:
        """`options` returns the way on which menus are filled, if the app has one."""
        self._backend = backend
        self._transport = transport
        self._options = options
        self._offered = OfferedOptions()
        self._payloads = Payloads(backend)
        self._acknowledgements = Acknowledgements(backend, timeout_seconds)

    def run_command(self, user: str, channel: str, command: str, text: str = "") -> Answer:
        """Type `/command text` in a channel. Raises NotOnScreen for a command that isn't in the manifest."""
        person, where = self._backend.workspace.person(user), self._backend.workspace.channel(channel)
        declared = self._backend.app.command(command)
        if declared is None:
            raise NotOnScreen(f"{command} is not a valid command")
        if declared.should_escape:
            text = _MENTION.sub(self._escaped, text)
        payload = self._payloads.command(person, where, command, text)
        return self._send("slash_commands", payload, self._acknowledgements.command)

    def shortcut(self, user: str, callback_id: str) -> Answer:
        """Choose a global shortcut. Raises NotOnScreen for one that isn't in the manifest."""
        known = self._backend.app.shortcuts
        if known is not None and callback_id not in known:
            raise NotOnScreen(f"no shortcut {callback_id!r}; there are: {sorted(known)}")
        payload = self._payloads.shortcut(self._backend.workspace.person(user), callback_id)
        return self._send("interactive", payload)

    def press(
        self,
        user: str,
        where: SlackMessage | View,
        action_id: str,
        value: object = None,
        *,
        block_id: str | None = None,
        typed: EnteredValues | None = None,
    ) -> Answer:
        """Press a button, or choose `value` in a menu, in this copy of a message, a modal or the Home tab.

        Pass an old copy to act as somebody whose screen is out of date. If several buttons share an action_id, say
        which one with `value` or `block_id`. `typed` is what has been entered in the fields so far. Raises NotOnScreen
        for what isn't there.
        """
        person = self._backend.workspace.person(user)
        blocks = self._blocks(user, where)
        block, element = find_element(blocks, action_id, value, block_id)
        if block["type"] == "input" and not block.get("dispatch_action"):
            raise NotOnScreen(f"the field {block['block_id']} has no dispatch_action: using it sends nothing")
        action = build_action(block, element, value, self._backend.workspace.new_ts())
        holds = element["type"] not in {"button", "overflow"}
        now = {**(typed or {})}
        if holds:
            now[block["block_id"]] = {**now.get(block["block_id"], {}), action_id: value}
        if isinstance(where, View):
            payload = self._payloads.view_action(person, self._backend.views.enter(where, now, blocks), action)
        else:
            if where.to not in {None, user}:
                raise NotOnScreen("this ephemeral message is for somebody else")
            payload = self._payloads.message_action(person, where, action, build_state(blocks, {}, now))
        return self._send("interactive", payload)

    def search(
        self, user: str, where: SlackMessage | View, action_id: str, query: str = "", *, block_id: str | None = None
    ) -> Answer:
        """Open a menu with an external data source, or type in it. The answer carries the options that it shows.

        Raises NotOnScreen for another menu, and for a query that is too short.
        """
        person = self._backend.workspace.person(user)
        blocks = where.blocks if isinstance(where, View) else where.all_blocks
        block, element = find_element(blocks, action_id, None, block_id)
        check_query(element, query)
        payload = self._payloads.suggestion(person, where, (block["block_id"], action_id), query)
        transport = self._options()
        if transport is None:
            return Answer("interactive", payload, was_sent=False, failure="no_options_load_url")
        answer = self._send("interactive", payload, self._acknowledgements.suggestion, transport=transport)
        self._offered.add((user, _place(where), block["block_id"], action_id), list(answer.options))
        return answer

    def _blocks(self, user: str, where: SlackMessage | View) -> list[Json]:
        """The blocks as this person can use them, with the options that they were offered."""
        if isinstance(where, View):
            return self._offered.fill(where.blocks, user, _place(where), where.values)
        return self._offered.fill(where.all_blocks, user, _place(where), {})

    def submit(self, user: str, view: View, typed: EnteredValues | None = None) -> Answer:
        """Fill in a modal and submit it. `typed` is `{block_id: {action_id: value}}`; other fields keep their values.

        If the client itself rejects a field, the answer carries `errors` and nothing is sent. Raises NotOnScreen for
        fields and options that aren't there, and SlackRefusal view_not_found if the modal is closed.
        """
        person = self._backend.workspace.person(user)
        if "submit" not in view.content:
            raise NotOnScreen("this modal has no submit button")
        filled = self._backend.views.enter(view, typed or {}, self._blocks(user, view))
        payload = self._payloads.view_submission(person, filled)
        if errors := client_errors(filled.blocks, filled.values):
            top = self._backend.workspace.top_modal(user)
            return Answer("interactive", payload, was_sent=False, errors=errors, view=top)
        return self._send(
            "interactive", payload, lambda answer, reply: self._acknowledgements.submission(answer, reply, filled)
        )

    def close(self, user: str, view: View, *, whole_stack: bool = False) -> list[Answer]:
        """Close a modal, or the whole stack. Returns an answer for each view that set `notify_on_close`."""
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
        """Send any event of the Events API, for example member_joined_channel. The envelope is added."""
        return self._send_event(self._payloads.event(event))

    def edit_group(self, group: UserGroup) -> list[Answer]:
        """Create, edit or disable a user group, which sends subteam_updated; and what changed in its members."""
        workspace = self._backend.workspace
        before = next((each for each in workspace.groups if each.id == group.id), None)
        workspace.add(group)
        edited = next(each for each in workspace.groups if each.id == group.id)
        subteam = group_json(self._backend, edited)
        # Slack cuts the members here, and says how many there are.
        subteam = {**subteam, "users": subteam["users"][: limits.USERS_IN_EVENT], "user_count": len(edited.users)}
        answers = [self.send_event({"type": "subteam_updated", "subteam": subteam})]
        old, new = set(before.users if before is not None else ()), set(edited.users)
        if before is not None and old != new:
            change: Json = {
                "type": "subteam_members_changed",
                "subteam_id": edited.id,
                "team_id": workspace.team.id,
                "date_previous_update": before.date_update,
                "date_update": edited.date_update,
            }
            for name, users in (("added_users", new - old), ("removed_users", old - new)):
                change |= {name: sorted(users), f"{name}_count": str(len(users))} if users else {}
            answers.append(self.send_event(change))
        return answers

    def edit_person(self, person: Person) -> Answer:
        """Change a person's account or profile, which sends user_change; team_join for a new one."""
        workspace = self._backend.workspace
        is_new = all(each.id != person.id for each in workspace.people)
        workspace.add(person)
        kind = "team_join" if is_new else "user_change"
        return self.send_event({"type": kind, "user": person_json(self._backend, person), "cache_ts": 0})

    def send_forged(self, kind: PayloadKind, payload: Json) -> Answer:
        """Send any payload, correctly signed: what no client sends, but somebody who has the secret could."""
        return self._send(kind, payload)

    def redeliver(self, answer: Answer) -> Answer:
        """Send the same payload again, with the same trigger_id and response_url. An event is marked as a retry."""
        retry = (answer.deliveries, "http_timeout" if answer.was_late else "http_error")
        is_event = answer.kind == "events_api"
        again = self._send(answer.kind, answer.payload, retry=retry if is_event else None)
        return replace(again, deliveries=answer.deliveries + 1)

    def verify_request_url(self, challenge: str = "challenge") -> bool:
        """Send the challenge, as Slack does when a request URL is entered. True if the app answered it correctly."""
        reply = self._transport().send("events_api", self._payloads.url_verification(challenge))
        return reply.status == 200 and challenge in reply.body  # noqa: PLR2004  OK.

    def _send_event(self, payload: Json) -> Answer:
        kind = payload["event"]["type"]
        if self._backend.app.events is not None and kind not in self._backend.app.events:
            # Slack sends only the events that the app subscribed to.
            return Answer("events_api", payload, was_sent=False)
        return self._send("events_api", payload)

    def _send(
        self,
        kind: PayloadKind,
        payload: Json,
        read: _ReadReply | None = None,
        retry: tuple[int, str] | None = None,
        transport: AppTransport | None = None,
    ) -> Answer:
        reply = (transport or self._transport()).send(kind, payload, retry)
        answer = (read or self._acknowledgements.plain)(Answer(kind, payload), reply)
        # A forged payload may have any shape.
        user = _find_str(payload, "user_id") or _find_str(payload, "user", "id") or _find_str(payload, "event", "user")
        answer = replace(answer, view=self._backend.workspace.top_modal(user) if user else None)
        outcome = {"status": answer.status, "body": answer.body, "seconds": answer.seconds, "failure": answer.failure}
        self._backend.journal.publish(
            "interaction", {"kind": kind, "payload": payload, "errors": answer.errors, **outcome}
        )
        return answer

    def _escaped(self, mention: re.Match[str]) -> str:
        sign, name = mention.groups()
        try:
            if sign == "#":
                return f"<#{self._backend.workspace.channel_named(name).id}|{name}>"
        except SlackRefusal:
            return mention.group()
        people = [person for person in self._backend.workspace.people if person.name == name]
        return f"<@{people[0].id}|{name}>" if people else mention.group()


def _place(where: SlackMessage | View) -> str:
    return where.id if isinstance(where, View) else f"{where.channel}/{where.ts}"


def _find_str(payload: object, *path: str) -> str | None:
    for key in path:
        payload = payload.get(key) if isinstance(payload, dict) else None
    return payload if isinstance(payload, str) else None
