"""The people, user groups and channels of a new playground.

Invariant: their ids are those in policy.yml, next to this module, and the tour has everybody it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localslack.records import Channel, Person, SlackMessage, Team, UserGroup
from localslack.workspace import Workspace

POLICY: Final = Path(__file__).with_name("policy.yml")
MIRA, JON, AIKO, SAM, GIA = "U0MIRA", "U0JON", "U0AIKO", "U0SAM", "U0GIA"
APPROVERS: Final = (JON, AIKO)
"""The two who press Approve at the same moment."""
ACCESS, DATABASE, STAGING, INCIDENTS, GENERAL = "C0ACCESS", "C0DATABASE", "C0STAGING", "C0INCIDENTS", "C0GENERAL"


@dataclass(frozen=True, slots=True)
class PlaygroundPerson:
    """A person and their role, as the person switcher shows it."""

    person: Person
    role: str


PEOPLE: Final = (
    PlaygroundPerson(
        Person(id=MIRA, name="mira", real_name="Mira Lindqvist", email="mira@example.com"), "asks for access"
    ),
    PlaygroundPerson(Person(id=JON, name="jon", real_name="Jon Bauer", email="jon@example.com"), "approves"),
    PlaygroundPerson(Person(id=AIKO, name="aiko", real_name="Aiko Tanaka", email="aiko@example.com"), "approves"),
    PlaygroundPerson(Person(id=SAM, name="sam", real_name="Sam Osei", email="sam@example.com"), "on call"),
    PlaygroundPerson(
        Person(id=GIA, name="gia", real_name="Gia Moreau", email="gia@elsewhere.example", is_restricted=True),
        "a guest, who may not ask",
    ),
)
GROUPS: Final = (
    UserGroup(id="S0ENGINEERS", handle="engineers", name="Engineers", users=(MIRA, JON, AIKO, SAM)),
    UserGroup(id="S0SRE", handle="sre", name="Site reliability", users=APPROVERS),
    UserGroup(id="S0ONCALL", handle="on-call", name="On call", users=(SAM,)),
)
_TEAM: Final = (MIRA, JON, AIKO, SAM)
_CHANNELS: Final = (
    (ACCESS, "access-prod", _TEAM),
    (DATABASE, "access-prod-db", _TEAM),
    (STAGING, "access-staging", _TEAM),
    (INCIDENTS, "incidents", _TEAM),
    (GENERAL, "general", (*_TEAM, GIA)),
)
_MESSAGES: Final = (
    (GENERAL, AIKO, "Morning! The new index is on staging, prod follows after lunch."),
    (GENERAL, MIRA, "Great, I have the fix for INC-12 ready for it."),
    (INCIDENTS, SAM, "I am on call. Nothing is burning."),
)


def populate(workspace: Workspace) -> None:
    """Add the people, groups, channels and first messages to an empty workspace."""
    workspace.add(Team(id="T0LOCAL01", domain="hillside", name="Hillside"))
    workspace.add(*(each.person for each in PEOPLE), *GROUPS)
    workspace.add(
        *(Channel(id=key, name=name, members=(*members, workspace.bot_user)) for key, name, members in _CHANNELS)
    )
    for each in PEOPLE:
        workspace.direct(each.person.id)
    for channel, user, text in _MESSAGES:
        workspace.post_message(SlackMessage(ts=workspace.new_ts(), channel=channel, user=user, text=text))
