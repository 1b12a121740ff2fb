"""What people read about what belongs to no record: the policy file, and MFA factors."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import SecretStr

from bot.mfa.enrolment import Enrolment
from bot.notifications.slack_calls import open_client
from bot.notifications.slack_sink import SlackSink
from core.outbox.outbox import deliver_due
from core.policy import PolicyFile, parse_policy
from core.services.policy_trail import PolicyTrail
from tests.bot.notifications.harness import CHANNEL, ELSEWHERE
from tests.core.services.harness import ANN

if TYPE_CHECKING:
    from pathlib import Path

    from core.actor import UserId
    from core.stores.base import Stores
    from localslack.server import LocalSlack
    from tests.harness.clock import FrozenClock

TEXT = f"""\
version: 1
security_channel: {CHANNEL}
profiles: {{prod: {{channel: {ELSEWHERE}}}}}
approval: [{{name: main, profiles: [prod], approvers: [U0BOB], max_duration: 4h}}]
"""


def test_each_version_is_announced_once(slack: LocalSlack, stores: Stores, clock: FrozenClock, tmp_path: Path) -> None:
    path = tmp_path / "policy.yml"
    path.write_text(TEXT, encoding="utf-8")
    file = PolicyFile(path, clock=clock, wait=lambda _: None)
    sink = SlackSink(open_client(SecretStr(slack.bot_token), slack.api_url), stores, file, clock)
    trail = PolicyTrail(file, stores.audit)
    for text in (TEXT, TEXT.replace("4h", "8h"), "version: 1\n"):
        path.write_text(text, encoding="utf-8")
        for _ in range(3):
            trail.record()
            clock.advance(timedelta(seconds=5))
        deliver_due(stores.outbox, [sink], clock)
    uses, changed, refused = [each.text for each in slack.messages(CHANNEL)]
    assert uses.startswith(":lock: Countersign uses policy `")
    assert changed.endswith("is in force now. Lines added: 1, removed: 1.")
    assert refused.startswith(":warning: The policy file has a mistake. Nothing changed: `")


def test_change_of_a_factor_reaches_the_person_and_security(
    slack: LocalSlack, stores: Stores, clock: FrozenClock
) -> None:
    sink = SlackSink(open_client(SecretStr(slack.bot_token), slack.api_url), stores, parse_policy(TEXT.encode()), clock)
    enrolment = Enrolment(_Secrets(), stores)
    enrolment.enrol(ANN.id, SecretStr("JBSWY3DPEHPK3PXP"), is_replacing=False)
    deliver_due(stores.outbox, [sink], clock)
    (post,) = slack.messages(CHANNEL)
    assert post.text == f":key: An operator enrolled <@{ANN.id}> for MFA."
    (direct,) = slack.dm(ANN.id)
    assert direct.text == ":key: You're enrolled for MFA in Countersign."


class _Secrets:
    """Secrets of nobody, that take everything."""

    def find(self, person: UserId) -> SecretStr | None:
        del person
        return None

    def put(self, person: UserId, secret: SecretStr, *, is_replacing: bool) -> None:
        del person, secret, is_replacing

    def remove(self, person: UserId) -> bool:
        del person
        return False

    def people(self) -> tuple[UserId, ...]:
        return ()
