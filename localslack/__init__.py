"""A strict local Slack for tests and demos. README.md shows how to use it.

Invariant: it imports nothing of the application that it tests.
"""

from localslack.answer import Answer
from localslack.app_settings import AppSettings
from localslack.clock import Clock
from localslack.records import Channel, Person, SlackMessage, Team, UserGroup, View
from localslack.refusals import NotOnScreen, SlackRefusal
from localslack.server import LocalSlack

__all__ = [
    "Answer",
    "AppSettings",
    "Channel",
    "Clock",
    "LocalSlack",
    "NotOnScreen",
    "Person",
    "SlackMessage",
    "SlackRefusal",
    "Team",
    "UserGroup",
    "View",
]
