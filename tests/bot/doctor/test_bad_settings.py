"""`countersign doctor` where several things are wrong at once, and its JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bot.doctor.conftest import Installation

BAD = {
    "COUNTERSIGN_RETENTION": "90",
    "COUNTERSIGN_LISTEN": "3000",
    "COUNTERSIGN_API_LISTEN": "everywhere",
    "COUNTERSIGN_WEBHOOK_URL": "https://hooks.example.com",
    "SLACK_SIGNING_SECRET": "xoxb-1",
}


def _wrong(installation: Installation) -> list[str]:
    lines = installation.run("doctor").output.splitlines()
    return [line.removeprefix("✗ ") for line in lines if line.startswith("✗ ")]


def test_one_run_names_every_setting_and_checks_the_rest(installation: Installation) -> None:
    for name, value in BAD.items():
        installation.set(name, value)
    output = installation.run("doctor").output
    assert [line.split(":")[0] for line in _wrong(installation)] == [
        "COUNTERSIGN_RETENTION", "COUNTERSIGN_LISTEN", "COUNTERSIGN_WEBHOOK_SECRET", "SLACK_SIGNING_SECRET",
        "COUNTERSIGN_API_LISTEN",
    ]  # fmt: skip
    assert "COUNTERSIGN_RETENTION: 90 has no unit. Did you mean 90d?" in output
    for passed in ("✓ audit key", "✓ policy", "✓ scopes", "✓ user groups", "✓ store", "✓ outbox"):
        assert passed in output


def test_what_a_bad_setting_decides_is_not_judged_by_its_default(installation: Installation) -> None:
    installation.set("COUNTERSIGN_POLICY", " ")
    installation.set("COUNTERSIGN_AUDIT_KEY", "short")
    output = installation.run("doctor", "--store", "nowhere").output
    assert [line.split(":")[0] for line in _wrong(installation)] == [
        "store",
        "COUNTERSIGN_POLICY",
        "COUNTERSIGN_AUDIT_KEY",
    ]
    assert "✗ store: it doesn't begin with a kind of store" in output
    assert "· not checked: the store; user groups, channels and targets, which the policy names." in output
    assert "policy.yml" not in output.replace("such as policy.yml", "")


def test_app_token_is_checked_where_the_bot_token_is_refused(installation: Installation) -> None:
    installation.set("SLACK_BOT_TOKEN", "xoxb-wrong")
    installation.set("SLACK_APP_TOKEN", "xapp-wrong")
    assert [line.split(":")[0] for line in _wrong(installation)] == ["bot token", "app token"]


def test_misspelt_variable_is_named_with_the_likely_one(installation: Installation) -> None:
    installation.set("COUNTERSIGN_RETENTON", "90d")
    installation.set("SLACK_BOT_TOKN", "xoxb-1")
    output = installation.run("doctor").output
    assert "· settings: COUNTERSIGN_RETENTON is not a setting. Did you mean COUNTERSIGN_RETENTION?" in output
    assert "· settings: SLACK_BOT_TOKN is not a setting. Did you mean SLACK_BOT_TOKEN?" in output


def test_json_has_what_the_lines_say(installation: Installation) -> None:
    installation.set("COUNTERSIGN_RETENTION", "90")
    ended = installation.run("doctor", "--json")
    found = json.loads(ended.stdout)
    assert (ended.exit_code, found["problems"]) == (1, 1)
    assert found["findings"][0] == {
        "level": "wrong",
        "what": "COUNTERSIGN_RETENTION: 90 has no unit",
        "fix": "Did you mean 90d?",
    }
    assert {each["level"] for each in found["findings"]} == {"wrong", "fine", "note"}
