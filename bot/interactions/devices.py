"""Terminals in Slack: pair one by its code, list your own, end one, and say that one isn't yours.

Invariant: each listener reads an interaction and makes one service call, through the responder. A terminal is paired
only by a form that its person submitted; no message can pair one by a button. Ending has right of way.
"""

from __future__ import annotations

from slack_bolt import Ack, App

from bot.interactions.commands.devices import CODE, DeviceCommand, ShowDevices, read_code
from bot.interactions.device_queries import DeviceQueries
from bot.interactions.interaction import Interaction, read_interaction, read_pressed_id
from bot.interactions.responder import FormToOpen, Responder
from bot.observability.logs import about
from bot.slack.app_surface import ACCESS
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.block_kit import Message
from bot.views.devices.list import END_DEVICE, NEWER, OLDER, DeviceListKind
from bot.views.devices.notices import NOT_ME
from bot.views.devices.pairing import (
    CODE_CALLBACK,
    PAIR_CALLBACK,
    WHOSE,
    code_form,
    pair_form,
    read_code_form,
    read_pair_form,
)
from bot.views.devices.replies import device_disowned, device_ended, explain_pairing, pairing_refused, terminal_paired
from bot.views.pagination import one_of, read_page_button
from core.access.device import Device, DeviceId
from core.access.pairing import PairingExpired, PairingRefused, PairingUnknown
from core.actor import Actor
from core.errors import InvalidInput
from core.services.device_ending import DeviceEnding
from core.services.pairing import PairingService


class DeviceInteractions:
    """What Slack sends about paired terminals."""

    def __init__(
        self,
        responder: Responder,
        pairing: PairingService,
        ending: DeviceEnding,
        lists: DeviceQueries,
        directory: SlackDirectory,
    ) -> None:
        self._responder = responder
        self._pairing = pairing
        self._ending = ending
        self._lists = lists
        self._directory = directory

    def register(self, app: App) -> None:
        """Register our listeners with Bolt. RequestInteractions hands on the lines of `/access` that are ours."""
        app.view(CODE_CALLBACK)(self.on_code_form)
        app.view(PAIR_CALLBACK)(self.on_pair_form)
        app.action(END_DEVICE)(self.on_end)
        app.action(NOT_ME)(self.on_not_me)
        app.action(OLDER)(self.on_page)
        app.action(NEWER)(self.on_page)

    def answer(self, interaction: Interaction, typed: DeviceCommand) -> Message | FormToOpen:
        """What a line of `/access` comes to."""
        if isinstance(typed, ShowDevices):
            return self._lists.page(self._actor(interaction), typed.page)
        if typed.code is None:
            return FormToOpen(code_form())
        try:
            return self._find(typed.code, interaction)
        except (PairingUnknown, PairingExpired, PairingRefused) as refusal:
            return explain_pairing(refusal)

    def on_code_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """A code was typed into the form: show the terminal that it belongs to."""
        interaction, view = read_interaction(body, context), get_dict(body, "view")

        def find() -> FormToOpen:
            try:
                return self._find(read_code(read_code_form(view)), interaction)
            except (PairingUnknown, PairingExpired, PairingRefused) as refusal:
                # Under the field, where the next try is typed.
                raise InvalidInput(CODE, explain_pairing(refusal).text.rstrip("."), "") from refusal

        self._responder.respond_to_view(ack, interaction, find, (CODE,))

    def on_pair_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The person said whether the terminal is theirs."""
        interaction, view = read_interaction(body, context), get_dict(body, "view")

        def decide() -> Message:
            answer, person = read_pair_form(view), self._actor(interaction)
            try:
                if answer.is_own:
                    return terminal_paired(self._pairing.confirm(answer.code, person))
                return pairing_refused(self._pairing.refuse(answer.code, person))
            except (PairingUnknown, PairingExpired, PairingRefused) as refusal:
                return explain_pairing(refusal)

        self._responder.respond_to_view(ack, interaction, decide, (WHOSE,))

    def on_end(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """End was clicked beside a device."""
        interaction = read_interaction(body, context, is_emergency=True)

        def end() -> Message:
            device_id = _device_of(action)
            with about(_chain(device_id)):
                return device_ended(self._ending.end(device_id, self._actor(interaction)))

        self._responder.respond_to_action(ack, interaction, end)

    def on_not_me(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Somebody says that they never paired a device."""
        interaction = read_interaction(body, context, is_emergency=True)

        def disown() -> Message:
            device_id = _device_of(action)
            with about(_chain(device_id)):
                person = self._actor(interaction)
                done = self._ending.disown(device_id, person)
                still_open, has_alarm = self._lists.still_open(done, person), self._lists.has_alarm()
                return device_disowned(done, still_open, self._lists.now(), has_alarm=has_alarm)

        self._responder.respond_to_action(ack, interaction, disown)

    def on_page(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Older or Newer was clicked under the list."""
        interaction = read_interaction(body, context)

        def show() -> Message:
            _, page = read_page_button(DeviceListKind, get_str(action, "value"), one_of(f"{ACCESS} devices"))
            return self._lists.page(self._actor(interaction), page)

        self._responder.respond_with_page(ack, interaction, show)

    def _find(self, code: str, interaction: Interaction) -> FormToOpen:
        return FormToOpen(pair_form(self._pairing.find(code, self._actor(interaction)), self._lists.max_age()))

    def _actor(self, interaction: Interaction) -> Actor:
        return self._directory.actor(interaction.user_id, interaction.team_id)


def _device_of(action: Payload) -> DeviceId:
    return DeviceId(read_pressed_id(action))


def _chain(device_id: DeviceId) -> str:
    return f"{Device.KIND}#{device_id}"
