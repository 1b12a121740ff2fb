"""`countersign slack`, as a person at a terminal sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from bot.cli import countersign

ROOT = Path(__file__).parents[3]


def test_manifest_is_printed_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERSIGN_POLICY", raising=False)
    shown = CliRunner().invoke(countersign, ["slack", "manifest"])
    assert (shown.exit_code, shown.stdout_bytes) == (0, (ROOT / "manifest.yml").read_bytes())


MINIMAL = """
version: 1
profiles: {prod: {channel: C0ACCESS1}}
approval: [{name: prod, profiles: [prod], approvers: [U0ANN], max_duration: 1h}]
"""
EMAIL, PICTURE = "users:read.email", "files:write"


@pytest.mark.parametrize(
    ("part", "more"),
    [
        ("", set()),
        ("on_call: {a: {pagerduty: {schedule: P1, key: env:K}}}", {EMAIL}),
        ("on_call: {a: {incident_io: {schedule: '01ABC', key: env:K}}}", {EMAIL}),
        ("on_call: {a: {ical: {url: env:FEED, name_from: attendee}}}", {EMAIL}),
        # A title has names, which no look-up finds.
        ("on_call: {a: {ical: {url: env:FEED}}}", set()),
        ("identity: {trust_email: true}", {EMAIL}),
        ("security_channel: C0SECURITY\nsummary: {monthly: true, picture: true}", {PICTURE}),
    ],
)
def test_manifest_asks_for_what_the_policy_needs(tmp_path: Path, part: str, more: set[str]) -> None:
    (tmp_path / "policy.yml").write_text(f"{MINIMAL}{part}\n", encoding="utf-8")
    plain = YAML(typ="safe").load(ROOT / "manifest.yml")

    shown = CliRunner().invoke(countersign, ["slack", "manifest", "--policy", str(tmp_path / "policy.yml")])

    manifest = YAML(typ="safe").load(shown.stdout)
    scopes = manifest["oauth_config"]["scopes"].pop("bot")
    assert scopes == sorted({*plain["oauth_config"]["scopes"].pop("bot"), *more})
    assert manifest == plain


def test_manifest_takes_the_policy_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "policy.yml"
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(path))
    before = CliRunner().invoke(countersign, ["slack", "manifest"])
    path.write_text(f"{MINIMAL}identity: {{trust_email: true}}\n", encoding="utf-8")
    after = CliRunner().invoke(countersign, ["slack", "manifest"])

    assert (before.exit_code, EMAIL in before.stdout, EMAIL in after.stdout) == (0, False, True)


def test_manifest_for_a_policy_with_a_mistake_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_text("version: 2\n", encoding="utf-8")

    shown = CliRunner().invoke(countersign, ["slack", "manifest", "--policy", str(tmp_path / "policy.yml")])

    assert shown.exit_code == 1
    assert "display_information" not in shown.output
