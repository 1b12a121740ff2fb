"""Opens the directory of one instance: what asks Slack, and what writes into the store that something changed.

Invariant: opening starts no thread and calls nothing.
"""

from __future__ import annotations

from slack_sdk import WebClient

from bot.slack.change_writer import ChangeWriter
from bot.slack.directory import NamedSchedules, SlackDirectory
from bot.slack.installation import Installation
from core.clock import Clock
from core.on_call import NoRoster, Roster
from core.policy import PolicySource
from core.services.user_groups import UserGroupService
from core.stores.base import Stores


def open_directory(
    client: WebClient,
    installation: Installation,
    stores: Stores,
    policy: PolicySource,
    clock: Clock,
    *,
    roster: Roster | None = None,
) -> tuple[SlackDirectory, ChangeWriter]:
    """The directory and the writer of its changes. Close the directory first. `roster` says who is on call."""
    groups = UserGroupService(stores.directory, stores.audit, policy, clock)
    changes = ChangeWriter(stores.directory, groups, clock)
    directory = SlackDirectory(
        client,
        installation.team_id,
        clock,
        lambda: policy.current().user_groups(),
        installation.enterprise_id,
        shared=stores.directory,
        learn=changes.learn,
        repair=changes.repair,
        on_call=NamedSchedules(roster or NoRoster(), lambda: policy.current().schedules()),
    )
    changes.on_newer = directory.accept
    return directory, changes
