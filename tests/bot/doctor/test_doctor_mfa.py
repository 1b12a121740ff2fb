"""What `countersign doctor` says about MFA, and about the security channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.mfa.opening import open_secrets
from bot.mfa.totp import new_secret
from tests.bot.doctor.conftest import POLICY
from tests.core.services.harness import ANN, BOB

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bot.doctor.conftest import Installation

GLASS = f"""
security_channel: C0NOWHERE1
break_glass:
  - {{name: guarded, profiles: [prod], users: [{ANN.id}, {BOB.id}, S0SRE], max_duration: 1h, mfa: required}}
"""


@pytest.fixture
def place(installation: Installation, tmp_path: Path) -> Path:
    path = tmp_path / "mfa.json"
    installation.set("COUNTERSIGN_MFA_SECRETS", str(path))
    installation.write_policy(POLICY + GLASS)
    return path


def said(installation: Installation, of: str) -> list[str]:
    return [line for line in installation.run("doctor").output.splitlines() if of in line]


def test_person_without_a_secret_is_named_with_the_way_to_enrol(installation: Installation, place: Path) -> None:
    open_secrets(str(place)).put(ANN.id, new_secret(), is_replacing=False)
    assert said(installation, "MFA") == [
        f"✗ MFA: {BOB.id} needs a code, and is not enrolled. Run: countersign mfa enrol {BOB.id}"
    ]
    open_secrets(str(place)).put(BOB.id, new_secret(), is_replacing=False)
    assert said(installation, "MFA") == [f"✓ MFA: the secrets in {place} can be read"]


def test_file_that_others_may_read_is_wrong(installation: Installation, place: Path) -> None:
    open_secrets(str(place)).put(ANN.id, new_secret(), is_replacing=False)
    place.chmod(0o644)
    (line,) = said(installation, "MFA")
    assert line.startswith("✗")
    assert f"chmod 600 {place}" in line


def test_mfa_is_not_checked_where_no_rule_asks_for_a_code(installation: Installation, place: Path) -> None:
    place.write_text("spoilt", encoding="utf-8")
    installation.write_policy(POLICY + GLASS.replace(", mfa: required", ""))
    assert said(installation, "MFA") == []


def test_security_channel_that_slack_does_not_have_is_wrong(installation: Installation, place: Path) -> None:
    del place
    (line,) = said(installation, "C0NOWHERE1 (security)")
    assert line.startswith("✗")
