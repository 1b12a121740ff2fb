"""The settings: what is taken when nothing is set, and the one line that a bad one gets."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.settings import Settings, read_settings, read_slack_settings
from bot.settings.addresses import DEFAULT_METRICS, Address
from core.errors import InvalidInput

KEY, OLDER = "a-new-key-of-more-than-32-characters", "an-older-key-of-more-than-32-characters"
NAMES = (
    "STORE",
    "POLICY",
    "AUDIT_KEY",
    "RETENTION",
    "LISTEN",
    "METRICS",
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
    "SNS_TOPIC",
    "LOG",
)
SLACK_NAMES = ("BOT_TOKEN", "APP_TOKEN", "SIGNING_SECRET", "API_URL")
WEBHOOK_SECRET = "whsec_" + "A" * 32


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"COUNTERSIGN_{name}", raising=False)
    for name in SLACK_NAMES:
        monkeypatch.delenv(f"SLACK_{name}", raising=False)


def test_defaults_are_a_file_here_and_ninety_days() -> None:
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


def test_newest_key_seals_and_the_older_one_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
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
        ("AUDIT_KEY", "short", "countersign audit key new"),
        ("AUDIT_KEY", "", "countersign audit key new"),
        ("AUDIT_KEY", f"{KEY},", "countersign audit key new"),
        ("AUDIT_KEY", "a" * 32, "countersign audit key new"),
        ("RETENTION", "90", "has no unit. Did you mean 90d?"),
        ("RETENTION", "-1d", "Write it like 2h, 90m or 1h30m."),
    ],
)
def test_bad_setting_gets_one_line_with_its_name_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fix: str
) -> None:
    monkeypatch.setenv(f"COUNTERSIGN_{name}", value)

    with pytest.raises(InvalidInput) as caught:
        read_settings()

    assert str(caught.value).startswith(f"COUNTERSIGN_{name}: ")
    assert fix in str(caught.value)
    assert "\n" not in str(caught.value)


def test_secret_is_in_no_message_and_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", f"{KEY},tooshort")
    with pytest.raises(InvalidInput) as caught:
        read_settings()
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY)
    shown = f"{read_settings()!r} {read_settings()} {read_settings().keyring!r} {read_settings().model_dump_json()}"

    assert KEY not in str(caught.value)
    assert "tooshort" not in str(caught.value)
    assert KEY not in shown


def test_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_STORE", "nonsense")

    assert read_settings(store="sqlite:///other.db").store == "sqlite:///other.db"


def test_store_on_the_command_line_is_called_by_its_own_name() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_settings(store="nonsense")

    assert caught.value.field == "store"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().store = "sqlite:///other.db"  # type: ignore[misc]


# What only `serve` needs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("0.0.0.0:3000", Address("0.0.0.0", 3000)),  # noqa: S104 - an example, nothing listens
        ("localhost:80", Address("localhost", 80)),
        ("[::1]:3000", Address("::1", 3000)),
    ],
)
def test_address_to_listen_on_is_a_host_and_a_port(
    monkeypatch: pytest.MonkeyPatch, written: str, address: Address
) -> None:
    monkeypatch.setenv("COUNTERSIGN_LISTEN", written)
    monkeypatch.setenv("COUNTERSIGN_METRICS", written)
    assert (read_settings().listen, read_settings().metrics) == (address, address)


@pytest.mark.parametrize(
    ("listen", "metrics", "address"),
    [
        (None, None, None),
        (None, "127.0.0.1:9090", Address("127.0.0.1", 9090)),
        ("0.0.0.0:3000", None, DEFAULT_METRICS),
        ("0.0.0.0:3000", "off", None),
        ("0.0.0.0:3000", "0.0.0.0:9090", Address("0.0.0.0", 9090)),  # noqa: S104 - an example, nothing listens
    ],
)
def test_metrics_are_for_this_machine_unless_set(
    monkeypatch: pytest.MonkeyPatch, listen: str | None, metrics: str | None, address: Address | None
) -> None:
    for name, value in (("LISTEN", listen), ("METRICS", metrics)):
        if value is not None:
            monkeypatch.setenv(f"COUNTERSIGN_{name}", value)
    assert read_settings().metrics_address == address


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("COUNTERSIGN_LISTEN", "3000", "Write it like 0.0.0.0:3000."),
        ("COUNTERSIGN_LISTEN", "host:0", "Write it like 0.0.0.0:3000."),
        ("COUNTERSIGN_LISTEN", "host:70000", "Write it like 0.0.0.0:3000."),
        ("COUNTERSIGN_LISTEN", "", "Write it like 0.0.0.0:3000."),
        ("COUNTERSIGN_METRICS", "9090", "Write it like 0.0.0.0:3000."),
        ("COUNTERSIGN_LOG", "xml", "Use json or text."),
        ("COUNTERSIGN_SNS_TOPIC", "countersign", "Write it like arn:aws:sns:"),
        ("COUNTERSIGN_WEBHOOK_URL", "hooks.example.com", "Write it like https://"),
        ("COUNTERSIGN_WEBHOOK_SECRET", "whsec_short", "Make one with: python3 -c"),
    ],
)
def test_bad_setting_of_serve_names_its_variable_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fix: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput) as error:
        read_settings()
    assert error.value.field == name
    assert fix in error.value.fix


def test_webhook_is_never_sent_unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_WEBHOOK_URL", "https://hooks.example.com/countersign")
    with pytest.raises(InvalidInput, match="COUNTERSIGN_WEBHOOK_SECRET"):
        read_settings()
    monkeypatch.setenv("COUNTERSIGN_WEBHOOK_SECRET", WEBHOOK_SECRET)
    assert WEBHOOK_SECRET not in repr(read_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", "xoxp-a-users-token"),
        ("SLACK_APP_TOKEN", "xoxb-a-bots-token"),
        ("SLACK_SIGNING_SECRET", "xoxb-a-bots-token"),
        ("SLACK_API_URL", "slack.com"),
    ],
)
def test_mixed_up_secret_is_refused_and_not_said_back(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput) as error:
        read_slack_settings()
    assert error.value.field == name
    assert value not in str(error.value) or name == "SLACK_API_URL"


def test_each_transport_asks_for_its_own_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="SLACK_BOT_TOKEN"):
        read_slack_settings().require_transport(None)
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1-a")
    with pytest.raises(InvalidInput, match="SLACK_APP_TOKEN"):
        read_slack_settings().require_transport(None)
    with pytest.raises(InvalidInput, match="SLACK_SIGNING_SECRET"):
        read_slack_settings().require_transport(Address("localhost", 3000))
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-1-a")
    monkeypatch.setenv("SLACK_SIGNING_SECRET", "0123456789abcdef0123456789abcdef")
    settings = read_slack_settings()
    assert settings.require_transport(None) is settings
    assert settings.require_transport(Address("localhost", 3000)) is settings
    assert "xoxb-1-a" not in repr(settings)
    assert settings.api_url == "https://slack.com/api/"
