"""What the security channel reads about the policy file, when nobody clicks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import SecretStr

from bot.notifications.slack_calls import open_client
from bot.notifications.slack_sink import SlackSink
from core.outbox.outbox import deliver_due
from core.policy import PolicyFile
from core.services.policy_trail import PolicyTrail
from tests.bot.notifications.harness import CHANNEL, ELSEWHERE

if TYPE_CHECKING:
    from pathlib import Path

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
