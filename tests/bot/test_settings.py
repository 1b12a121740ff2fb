"""The settings: what is taken when nothing is set, and the one line that a bad one gets."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.settings import Settings, read_settings
from core.errors import InvalidInput

KEY, OLDER = "a-new-key-of-more-than-32-characters", "an-older-key-of-more-than-32-characters"
NAMES = ("STORE", "POLICY", "AUDIT_KEY", "RETENTION")


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"COUNTERSIGN_{name}", raising=False)


def test_nothing_set_means_a_file_here_and_ninety_days() -> None:
    settings = read_settings()

    assert settings.store == "sqlite:///countersign.db"
    assert settings.policy == "policy.yml"
    assert settings.retention == timedelta(days=90)
    assert not settings.keyring.is_keyed


def test_everything_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_STORE", "dynamodb://eu-west-1/countersign")
    monkeypatch.setenv("COUNTERSIGN_POLICY", "/etc/countersign/policy.yml")
    monkeypatch.setenv("COUNTERSIGN_RETENTION", "180d")
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY)

    settings = read_settings()

    assert settings.store == "dynamodb://eu-west-1/countersign"
    assert settings.policy == "/etc/countersign/policy.yml"
    assert settings.retention == timedelta(days=180)
    assert settings.keyring.is_keyed


def test_the_newest_key_seals_and_the_older_one_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", f"{KEY}, {OLDER}")
    ring = read_settings().keyring

    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY)
    assert ring.key_id == read_settings().keyring.key_id
    assert len(ring.keys) == 2


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("STORE", "postgres://db", "Write sqlite:///countersign.db or dynamodb://eu-west-1/countersign."),
        ("STORE", "", "Write sqlite:///countersign.db or dynamodb://eu-west-1/countersign."),
        ("POLICY", " ", "Write a path, such as policy.yml."),
        ("AUDIT_KEY", "short", "Make one with: python3 -c"),
        ("AUDIT_KEY", "", "Make one with: python3 -c"),
        ("AUDIT_KEY", f"{KEY},", "Make one with: python3 -c"),
        ("RETENTION", "90", "Did you mean 90m or 90h?"),
        ("RETENTION", "-1d", "Write it like 2h, 90m or 1h30m."),
    ],
)
def test_a_bad_setting_gets_one_line_with_its_name_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fix: str
) -> None:
    monkeypatch.setenv(f"COUNTERSIGN_{name}", value)

    with pytest.raises(InvalidInput) as caught:
        read_settings()

    assert str(caught.value).startswith(f"COUNTERSIGN_{name}: ")
    assert fix in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_secret_is_in_no_message_and_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", f"{KEY},tooshort")
    with pytest.raises(InvalidInput) as caught:
        read_settings()
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY)
    shown = f"{read_settings()!r} {read_settings()} {read_settings().keyring!r} {read_settings().model_dump_json()}"

    assert KEY not in str(caught.value)
    assert "tooshort" not in str(caught.value)
    assert KEY not in shown


def test_the_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_STORE", "nonsense")

    assert read_settings(store="sqlite:///other.db").store == "sqlite:///other.db"


def test_a_store_on_the_command_line_is_called_by_its_own_name() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_settings(store="nonsense")

    assert caught.value.field == "store"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().store = "sqlite:///other.db"  # type: ignore[misc]
