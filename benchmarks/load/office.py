"""An office of fifty people in a local Slack, and the policy under which they ask, decide and break the glass.

Invariant: the policy names people by id and by user group, as real ones do. No limit of it refuses what the load
does, so whatever isn't recorded was lost.
"""

from __future__ import annotations

from typing import Any, Final

from ruamel.yaml import YAML

from localslack.records import Channel, Person, UserGroup
from localslack.server import LocalSlack
from tests.end_to_end.harness import ROOT

REQUESTERS: Final = tuple(f"U0REQ{number:02}" for number in range(40))
APPROVERS: Final = tuple(f"U0APP{number:02}" for number in range(8))
ON_CALL: Final = ("U0ONCALL1", "U0ONCALL2")
PROFILES: Final = tuple(f"prod-{number}" for number in range(10))
CHANNELS: Final = {profile: f"C0PROD{number}" for number, profile in enumerate(PROFILES)}
SECURITY: Final = "C0SECURITY"
VAULT: Final = "vault"
_PROFILES: Final = "".join(f"  {name}: {{channel: {channel}}}\n" for name, channel in CHANNELS.items())
POLICY: Final = f"""\
version: 1
groups: {{leads: [{", ".join(APPROVERS)}]}}
profiles:
{_PROFILES}  {VAULT}: {{channel: {SECURITY}}}
approval:
  - name: prod
    profiles: [prod-*, {VAULT}]
    requesters: [S0ENGINEERS]
    approvers: [group:leads]
    max_duration: 4h
    max_pending: 20
security_channel: {SECURITY}
break_glass:
  - {{name: on-call, profiles: [{VAULT}], users: [{", ".join(ON_CALL)}], max_duration: 2h}}
""".encode()


def office_slack(timeout_seconds: float = 30.0) -> LocalSlack:
    """A local Slack with everybody in it; it waits longer than Slack, so that a late click is measured, too."""
    manifest: dict[str, Any] = YAML(typ="safe").load(ROOT / "manifest.yml")
    slack = LocalSlack(manifest=manifest, timeout_seconds=timeout_seconds)
    everybody = (*REQUESTERS, *APPROVERS, *ON_CALL)
    members = (*everybody, slack.backend.app.bot_user)
    slack.workspace.add(
        *(Person(id=each, name=each[2:].lower()) for each in everybody),
        UserGroup(id="S0ENGINEERS", handle="engineers", users=REQUESTERS),
        *(Channel(id=channel, name=name, members=members) for name, channel in CHANNELS.items()),
        Channel(id=SECURITY, name="security", members=members),
    )
    return slack
