"""A rolling upgrade as people see it: the previous release and this one serve one store, then only this one."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from bot.views.access.buttons import END_ACCESS
from bot.views.request.card import APPROVE
from core.access.grant import GrantStatus
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from tests.end_to_end.harness import ACCESS, AIKO, JON, MIRA
from tests.harness.policy_files import write_settled
from tests.harness.served_bot import AUDIT_KEY, Serving, environment, free_port, new_slack
from tests.harness.target_receiver import SECRET, WebhookReceiver
from tests.harness.wheel import VERSION
from tests.packaging.side_by_side import Release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localslack.records import SlackMessage
    from localslack.server import LocalSlack

POLICY: Final = """\
version: 1
people: {%(MIRA)s: {box: mira}, %(AIKO)s: {box: aiko}}
targets: {box: {type: webhook, url: "%(url)s", secret: env:BOX_SECRET}}
profiles:
  prod: {channel: %(ACCESS)s, access: [{target: box, resource: prod, level: admin}]}
approval:
  - {name: all, profiles: [prod], requesters: [%(MIRA)s, %(AIKO)s], approvers: [%(JON)s], max_duration: 4h}
break_glass:
  - {name: on-call, profiles: [prod], users: [%(AIKO)s], max_duration: 2h}
"""


class Rollout:
    """Both instances, and which of them gets what people do."""

    def __init__(self, slack: LocalSlack, receiver: WebhookReceiver, folder: Path, old_packages: Path) -> None:
        self.slack, self._receiver, self._ports = slack, receiver, (free_port(), free_port())
        told = environment(slack, folder, BOX_SECRET=SECRET)
        names = {"MIRA": MIRA, "AIKO": AIKO, "JON": JON, "ACCESS": ACCESS, "url": receiver.url}
        write_settled(folder / "policy.yml", (POLICY % names).encode())
        paths = (str(old_packages), told["PYTHONPATH"])
        self.old, self.new = (
            self._serve({**told, "PYTHONPATH": path, "COUNTERSIGN_LISTEN": f"127.0.0.1:{port}"}, folder / name)
            for path, port, name in zip(paths, self._ports, ("old", "new"), strict=True)
        )

    def _serve(self, told: dict[str, str], folder: Path) -> Serving:
        folder.mkdir()
        return Serving(told, folder)

    def reach(self, *, new: bool) -> None:
        """From now on, what people do arrives at this one."""
        self.slack.use_http(f"http://127.0.0.1:{self._ports[new]}/slack/events")

    def ask(self, who: str) -> SlackMessage:
        """Ask for access; the card."""
        before = len(self.slack.messages(ACCESS))
        assert not self.slack.run_command(who, ACCESS, "/access", "prod 1h deploy the fix for INC-12").failure
        self.slack.wait_until(lambda: self.slack.messages(ACCESS)[before:])
        return self.slack.messages(ACCESS)[before]

    def card(self, posted: SlackMessage) -> SlackMessage:
        """A card as it is now."""
        return next(each for each in self.slack.messages(ACCESS) if each.ts == posted.ts)

    def wait_for_card(self, posted: SlackMessage, text: str) -> None:
        """Until the card has this."""
        self.slack.wait_until(lambda: text in str(self.card(posted).blocks))

    def wait_until_held(self, principal: str, *, is_held: bool = True) -> None:
        """Until the target gave, or took, this."""
        state = self._receiver.system.state
        self.slack.wait_until(
            lambda: any(each["held"] is is_held for right, each in list(state.items()) if principal in str(right))
        )


@pytest.fixture
def rollout(tmp_path: Path, old_packages: Path) -> Iterator[Rollout]:
    with new_slack() as slack, WebhookReceiver() as receiver:
        rollout = Rollout(slack, receiver, tmp_path, old_packages)
        with rollout.old as old, rollout.new as new:
            for each in (old, new):
                each.wait_until_up(slack)
            yield rollout


def test_people_notice_nothing_of_a_rolling_upgrade(rollout: Rollout) -> None:
    assert f"countersign {Release.previous().version} is up" in rollout.old.log
    assert f"countersign {VERSION} (" in rollout.new.log
    cards = []
    for who, principal, decided_by_new in ((MIRA, "mira", True), (AIKO, "aiko", False)):
        rollout.reach(new=not decided_by_new)
        card = rollout.ask(who)
        rollout.reach(new=decided_by_new)
        rollout.slack.press(JON, card, APPROVE)
        rollout.wait_until_held(principal)
        rollout.wait_for_card(card, END_ACCESS)
        cards.append(card)

    rollout.old.tell_to_stop()
    assert rollout.old.wait() == 0, rollout.old.log

    # What the old one opened, the new one ends.
    rollout.reach(new=True)
    for who, principal, card in ((MIRA, "mira", cards[0]), (AIKO, "aiko", cards[1])):
        rollout.slack.press(who, rollout.card(card), END_ACCESS)
        rollout.wait_until_held(principal, is_held=False)
    with closing(rollout.new.open_stores()) as stores:
        rollout.slack.wait_until(lambda: {each.status for each in stores.access.iterate()} == {GrantStatus.ENDED})
        assert list(verify_trail(stores, AuditKeyring.from_text(AUDIT_KEY), datetime.now(UTC))) == []
