"""What people can do in Slack, registered with Bolt: each listener with the services and the lists that it needs.

Invariant: building it calls nothing and starts nothing. What answers another version's buttons has to be
registered after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slack_bolt import App

from bot.interactions.access import AccessInteractions
from bot.interactions.access_queries import AccessQueries
from bot.interactions.asking import AskingInteractions
from bot.interactions.asking_queries import AskingQueries
from bot.interactions.break_glass import BreakGlassInteractions
from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.close_line import CloseLines
from bot.interactions.declaring import Declaring
from bot.interactions.device_queries import DeviceQueries
from bot.interactions.devices import DeviceInteractions
from bot.interactions.follow_ups import FollowUpInteractions
from bot.interactions.home import HomeInteractions
from bot.interactions.notify import NotifyInteractions
from bot.interactions.open_lists import OpenLists
from bot.interactions.options import ProfileMenus
from bot.interactions.reply_sender import ReplySender
from bot.interactions.request_lines import RequestLines
from bot.interactions.request_queries import RequestQueries
from bot.interactions.requests import RequestInteractions
from bot.interactions.responder import Responder
from bot.interactions.submitting import DraftSubmission
from bot.interactions.timeline_queries import TimelineQueries
from bot.slack.directory import SlackDirectory
from bot.wiring.services import Services
from core.services.again import AskAgain
from core.services.device_ending import DeviceEnding
from core.services.preferences import DmChoices


@dataclass(frozen=True, slots=True)
class Lists:
    """What people can see, and the Home tab that shows it."""

    requests: RequestQueries
    events: BreakGlassQueries
    access: AccessQueries
    devices: DeviceQueries
    timelines: TimelineQueries
    home: HomeInteractions
    open_lists: OpenLists


def build_lists(services: Services, directory: SlackDirectory, replies: ReplySender) -> Lists:
    """The lists of one instance."""
    stores, policy, clock = services.stores, services.policy, services.clock
    requests = RequestQueries(stores.requests, policy, clock, directory, stores.access, stores.sessions)
    events = BreakGlassQueries(stores.break_glass, policy, clock, directory, stores.access)
    access = AccessQueries(stores, services.grants, policy, clock, directory)
    devices = DeviceQueries(services.devices, access, policy, clock)
    timelines = TimelineQueries(stores, policy, clock, directory)
    home = HomeInteractions(replies, requests, events, devices, directory, clock)
    return Lists(requests, events, access, devices, timelines, home, OpenLists(requests, events, access, directory))


def register_listeners(
    app: App,
    services: Services,
    lists: Lists,
    directory: SlackDirectory,
    responder: Responder,
    link_to_card: Callable[[str], str | None],
) -> None:
    """Register all that people do. `link_to_card` gives the address of a record's card, if it is known."""
    stores, policy = services.stores, services.policy
    ending = DeviceEnding(stores, services.devices, services.sessions, services.requests)
    access = AccessInteractions(responder, services.grants, lists.access, lists.requests, directory, lists.timelines)
    devices = DeviceInteractions(responder, services.pairing, ending, lists.devices, directory)
    notify = NotifyInteractions(responder, DmChoices(stores.preferences, services.clock), directory)
    again = AskAgain(stores, services.requests, policy, services.clock)
    queries = AskingQueries(stores.requests, policy, services.clock, directory)
    asking = AskingInteractions(responder, services.requests, again, queries, lists.requests, directory, link_to_card)
    drafts = DraftSubmission(
        services.requests, directory, services.clock, link_to_card, lists.requests.may_declare,
        lists.requests.closed_hours,
    )  # fmt: skip
    requests = RequestInteractions(
        responder, services.requests, lists.requests, directory,
        RequestLines(drafts, lists.requests, services.clock), access, devices, services.previews, asking.form_to_ask,
        notify,
    )  # fmt: skip
    declaring = Declaring(services.break_glass, policy, lists.events, services.clock)
    closes = CloseLines(services.break_glass, stores.break_glass, policy, services.clock, directory)
    break_glass = BreakGlassInteractions(responder, stores, policy, lists.events, directory, declaring, closes)
    follow_ups = FollowUpInteractions(
        responder, services.break_glass, directory, lists.timelines, services.previews
    )  # fmt: skip
    menus = ProfileMenus(responder, policy, directory, lists.requests, lists.events)
    for each in (requests, asking, access, devices, break_glass, follow_ups, notify, menus, lists.home):
        each.register(app)
