"""The payloads that Slack sends, with every key that Slack's own have.

Invariant: a payload names people and channels by their ids, and has a fresh trigger_id where Slack's has one. It has a
response_url only if there is a message or a channel to respond in.
"""

from __future__ import annotations

from dataclasses import dataclass

from localslack.backend import Backend
from localslack.records import Channel, Json, Person, SlackMessage, View
from localslack.view_methods import view_json


@dataclass(frozen=True, slots=True)
class Payloads:
    """Builds payloads. Each gets its own trigger_id and response_url."""

    backend: Backend

    def command(self, person: Person, channel: Channel, name: str, text: str) -> Json:
        """A slash command. Every value is text, because it's sent as a form."""
        team = self._team(person)
        return {
            "token": self.backend.app.verification_token,
            "team_id": team["id"],
            "team_domain": team["domain"],
            "channel_id": channel.id,
            "channel_name": channel.name_in_payloads,
            "user_id": person.id,
            "user_name": person.name,
            "command": name,
            "text": text,
            "api_app_id": self.backend.app.id,
            "is_enterprise_install": "false",
            "response_url": self._response_url(person.id, channel.id),
            "trigger_id": self.backend.interaction_tokens.new_trigger(person.id),
        }

    def shortcut(self, person: Person, callback_id: str) -> Json:
        """A global shortcut. It has no channel, and so no response_url."""
        return {
            **self._interaction("shortcut", person),
            "action_ts": self.backend.workspace.new_ts(),
            "callback_id": callback_id,
            "trigger_id": self.backend.interaction_tokens.new_trigger(person.id),
        }

    def message_action(self, person: Person, message: SlackMessage, action: Json, values: Json) -> Json:
        """Somebody used an element of a message. For an ephemeral message, the payload doesn't carry the message."""
        channel = self.backend.workspace.channel(message.channel)
        container: Json = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": message.is_ephemeral,
        }
        if message.thread_ts is not None:
            container["thread_ts"] = message.thread_ts
        payload = {
            **self._interaction("block_actions", person),
            "container": container,
            "trigger_id": self.backend.interaction_tokens.new_trigger(person.id),
            "channel": {"id": channel.id, "name": channel.name_in_payloads},
            "state": {"values": values},
            "response_url": self._response_url(person.id, channel.id, message.ts),
            "actions": [action],
        }
        return payload if message.is_ephemeral else {**payload, "message": self.backend.message_json(message)}

    def view_action(self, person: Person, view: View, action: Json) -> Json:
        """Somebody used an element of a modal or of their Home tab."""
        trigger_id = self.backend.interaction_tokens.new_trigger(person.id, view.id if view.type == "modal" else None)
        return {
            **self._interaction("block_actions", person),
            "container": {"type": "view", "view_id": view.id},
            "trigger_id": trigger_id,
            "view": view_json(self.backend, view),
            "actions": [action],
        }

    def suggestion(self, person: Person, where: View | SlackMessage, ids: tuple[str, str], query: str) -> Json:
        """Somebody opened or typed in a menu with an external data source: `ids` are those of its block and action.

        It has no trigger_id and no response_url, and the state of its view is empty, as Slack's is.
        """
        block_id, action_id = ids
        payload = {
            **self._interaction("block_suggestion", person),
            "block_id": block_id,
            "action_id": action_id,
            "value": query,
        }
        if isinstance(where, View):
            view = {**view_json(self.backend, where), "state": {"values": {}}}
            return {**payload, "container": {"type": "view", "view_id": where.id}, "view": view}
        channel = self.backend.workspace.channel(where.channel)
        container: Json = {
            "type": "message",
            "message_ts": where.ts,
            "channel_id": channel.id,
            "is_ephemeral": where.is_ephemeral,
        }
        payload |= {"container": container, "channel": {"id": channel.id, "name": channel.name_in_payloads}}
        return payload if where.is_ephemeral else {**payload, "message": self.backend.message_json(where)}

    def view_submission(self, person: Person, view: View) -> Json:
        """Somebody submitted a modal."""
        return {
            **self._interaction("view_submission", person),
            "trigger_id": self.backend.interaction_tokens.new_trigger(person.id, view.id),
            "view": view_json(self.backend, view),
            "response_urls": self._response_urls(person, view),
        }

    def view_closed(self, person: Person, view: View, *, is_cleared: bool) -> Json:
        """Somebody closed a modal that has `notify_on_close`."""
        closed = {**self._interaction("view_closed", person), "view": view_json(self.backend, view)}
        return {**closed, "is_cleared": is_cleared}

    def event(self, event: Json) -> Json:
        """An event in the envelope of the Events API."""
        app, team = self.backend.app, self.backend.workspace.team
        authorization = {
            "enterprise_id": None,
            "team_id": team.id,
            "user_id": app.bot_user,
            "is_bot": True,
            "is_enterprise_install": False,
        }
        return {
            "token": app.verification_token,
            "team_id": team.id,
            "api_app_id": app.id,
            "event": event,
            "type": "event_callback",
            "event_id": self.backend.workspace.new_id("Ev"),
            "event_time": int(self.backend.clock.now().timestamp()),
            "authorizations": [authorization],
            "is_ext_shared_channel": False,
            "event_context": f"4-{self.backend.workspace.new_id('local')}",
        }

    def app_home_opened(self, person: Person) -> Json:
        """Somebody opened the Home tab. The event carries the view if one was published."""
        event: Json = {
            "type": "app_home_opened",
            "user": person.id,
            "channel": self.backend.workspace.direct(person.id).id,
            "tab": "home",
            "event_ts": self.backend.workspace.new_ts(),
        }
        if (home := self.backend.workspace.home(person.id)) is not None:
            event["view"] = view_json(self.backend, home)
        return self.event(event)

    def url_verification(self, challenge: str) -> Json:
        """The challenge that Slack sends when a request URL is entered."""
        return {"token": self.backend.app.verification_token, "challenge": challenge, "type": "url_verification"}

    def _interaction(self, kind: str, person: Person) -> Json:
        team = self._team(person)
        user = {"id": person.id, "username": person.name, "name": person.name, "team_id": team["id"]}
        return {
            "type": kind,
            "user": user,
            "api_app_id": self.backend.app.id,
            "token": self.backend.app.verification_token,
            "team": team,
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _team(self, person: Person) -> dict[str, str]:
        team = self.backend.workspace.team
        # A person from another workspace is reported with that workspace.
        if person.team_id is not None and person.team_id != team.id:
            return {"id": person.team_id, "domain": "elsewhere"}
        return {"id": team.id, "domain": team.domain}

    def _response_url(self, user: str, channel: str, source: str | None = None) -> str:
        return f"{self.backend.url}/response/{self.backend.interaction_tokens.new_response_url(user, channel, source)}"

    def _response_urls(self, person: Person, view: View) -> list[Json]:
        urls = []
        for block in (block for block in view.blocks if block["type"] == "input"):
            element = block["element"]
            value = view.values[block["block_id"]][element["action_id"]]
            channel = value.get("selected_conversation") or value.get("selected_channel")
            if element.get("response_url_enabled") and channel:
                source = {"block_id": block["block_id"], "action_id": element["action_id"], "channel_id": channel}
                urls.append({**source, "response_url": self._response_url(person.id, channel)})
        return urls
