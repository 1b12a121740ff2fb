"""Settings from files, variables that nobody knows, and web addresses that may not be used."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.settings import Settings, SlackSettings, read_settings, read_slack_settings, unknown_variables
from bot.settings.variables import find_shared_files, find_unknown, variables_of
from core.errors import InvalidInput
from tests.harness.kubernetes_volume import MountedVolume

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

KEY = "a-new-key-of-more-than-32-characters"
KNOWN = variables_of(Settings, SlackSettings)
WEBHOOK_SECRET = "whsec_" + "A" * 32


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name.startswith(("COUNTERSIGN", "SLACK_")):
            monkeypatch.delenv(name)


def open_text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "value", "read"),
        [
            ("SLACK_BOT_TOKEN", "xoxb-1-a", lambda: open_text(read_slack_settings().bot_token)),
            ("SLACK_APP_TOKEN", "xapp-1-a", lambda: open_text(read_slack_settings().app_token)),
            ("SLACK_SIGNING_SECRET", "0123456789abcdef", lambda: open_text(read_slack_settings().signing_secret)),
            ("SLACK_API_URL", "https://slack.example.com/", lambda: read_slack_settings().api_url),
            ("COUNTERSIGN_AUDIT_KEY", KEY, lambda: open_text(read_settings().audit_key)),
            ("COUNTERSIGN_WEBHOOK_SECRET", WEBHOOK_SECRET, lambda: open_text(read_settings().webhook_secret)),
            ("COUNTERSIGN_STORE", "sqlite:////srv/a.db", lambda: read_settings().store),
            ("COUNTERSIGN_POLICY", "/srv/policy.yml", lambda: read_settings().policy),
            ("COUNTERSIGN_LISTEN", "127.0.0.1:3000", lambda: str(getattr(read_settings().listen, "port", None))),
            ("COUNTERSIGN_RETENTION", "90h", lambda: f"{read_settings().retention.total_seconds() / 3600:.0f}h"),
        ],
    )
    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_hold_what_a_variable_can_hold(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, read: Callable[[], str], end: str
    ) -> None:
        (tmp_path / "secret").write_bytes(f"{value}{end}".encode())
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))

        assert read() in value

    def test_may_be_those_of_a_mounted_secret(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        secret = MountedVolume(tmp_path / "secrets", {"audit-key": KEY})
        path = secret.path_of("audit-key")
        monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY_FILE", str(path))
        path.chmod(0o440)  # defaultMode: 0440, where Kubernetes would give 0644

        assert open_text(read_settings().audit_key) == KEY
        assert list(find_shared_files(KNOWN)) == []

    def test_and_their_variable_are_not_both_taken(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text(KEY)
        monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY_FILE", str(tmp_path / "secret"))
        monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY)
        with pytest.raises(InvalidInput, match="Unset one of them") as error:
            read_settings()
        assert error.value.field == "COUNTERSIGN_AUDIT_KEY_FILE"

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (None, "No such file"),
            (b"\xff\xfe-a-secret", "it is not text"),
            (b"a-secret" * 10_000, "has more than"),
        ],
    )
    def test_that_cannot_be_read_are_named_not_quoted(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, problem: str
    ) -> None:
        path = tmp_path / "secret"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setenv("SLACK_BOT_TOKEN_FILE", str(path))
        with pytest.raises(InvalidInput, match=problem) as error:
            read_slack_settings()
        assert error.value.field == "SLACK_BOT_TOKEN_FILE"
        assert str(path) in error.value.problem
        assert "a-secret" not in str(error.value)

    @pytest.mark.parametrize("secret", [KEY, "xoxb-1-a-secret", "c2VjcmV0/c2VjcmV0", "s" * 300])
    def test_secret_in_place_of_its_path_is_not_quoted(self, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
        monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY_FILE", secret)
        with pytest.raises(InvalidInput) as error:
            read_settings()
        assert secret not in "".join(traceback.format_exception(error.value))

    def test_pipe_is_refused_and_not_waited_for(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "secret")
        monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY_FILE", str(tmp_path / "secret"))
        with pytest.raises(InvalidInput, match="not a regular file"):
            read_settings()

    def test_with_a_bad_value_are_not_quoted(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("not-a-token\n")
        monkeypatch.setenv("SLACK_BOT_TOKEN_FILE", str(tmp_path / "secret"))
        with pytest.raises(InvalidInput, match="SLACK_BOT_TOKEN") as error:
            read_slack_settings()
        assert "not-a-token" not in str(error.value)

    @pytest.mark.parametrize(("mode", "is_shared"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)])
    def test_that_everybody_can_read_are_found(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, *, is_shared: bool
    ) -> None:
        path = tmp_path / "secret"
        path.write_text(KEY)
        path.chmod(mode)
        monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY_FILE", str(path))

        assert list(find_shared_files(KNOWN)) == ([("COUNTERSIGN_AUDIT_KEY_FILE", str(path))] if is_shared else [])


class TestUnknownVariables:
    @pytest.mark.parametrize(
        ("written", "likely"),
        [
            ("COUNTERSIGN_STORES", "COUNTERSIGN_STORE"),
            ("COUNTERSIGN_AUDITKEY", "COUNTERSIGN_AUDIT_KEY"),
            ("COUNTERSIGN_AUDIT_KEY_FLIE", "COUNTERSIGN_AUDIT_KEY_FILE"),
            ("COUNTERSIGN_XYZZY", None),
        ],
    )
    def test_are_named_with_the_likely_one(
        self, monkeypatch: pytest.MonkeyPatch, written: str, likely: str | None
    ) -> None:
        monkeypatch.setenv(written, "x")
        assert list(find_unknown(KNOWN)) == [(written, likely)]
        (sentence,) = unknown_variables()
        assert written in sentence

    @pytest.mark.parametrize(
        "name",
        [
            "COUNTERSIGN_STORE",
            "COUNTERSIGN_STORE_FILE",
            "COUNTERSIGN_PLAIN_HTTP_HOSTS",
            "COUNTERSIGN_SERVICE_HOST",
            "COUNTERSIGN_HTTP_SERVICE_PORT",
            "COUNTERSIGN_SERVICE_PORT_METRICS",
            "COUNTERSIGN_PORT",
            "COUNTERSIGN_PORT_3000_TCP_ADDR",
            "SLACK_ANYTHING",
        ],
    )
    def test_are_not_those_of_kubernetes_or_ours(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv(name, "x")
        assert list(find_unknown(KNOWN)) == []


ADDRESSES = {
    "SLACK_API_URL": "{}/api/",
    "COUNTERSIGN_WEBHOOK_URL": "{}/hook",
    "COUNTERSIGN_STORE": "dynamodb://eu-west-1/countersign?endpoint_url={}",
    "COUNTERSIGN_MFA_SECRETS": "ssm://eu-west-1/mfa?endpoint_url={}",
}


def read_all() -> None:
    read_settings()
    read_slack_settings()


@pytest.mark.parametrize("name", ADDRESSES)
class TestWebAddresses:
    @pytest.fixture(autouse=True)
    def webhooks_are_signed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COUNTERSIGN_WEBHOOK_SECRET", WEBHOOK_SECRET)

    @pytest.mark.parametrize(
        "host",
        ["https://a.example", "http://localhost:8000", "http://127.0.0.9", "http://[::1]:80", "http://x.localhost"],
    )
    def test_are_encrypted_or_stay_on_this_machine(self, monkeypatch: pytest.MonkeyPatch, name: str, host: str) -> None:
        monkeypatch.setenv(name, ADDRESSES[name].format(host))
        read_all()

    @pytest.mark.parametrize(
        "host", ["http://a.example", "http://10.0.0.1:80", "http://localhost.example", "http://[::2]"]
    )
    def test_to_other_hosts_are_refused_unencrypted(
        self, monkeypatch: pytest.MonkeyPatch, name: str, host: str
    ) -> None:
        monkeypatch.setenv(name, ADDRESSES[name].format(host))
        with pytest.raises(InvalidInput, match="unencrypted") as error:
            read_all()
        assert error.value.field == name

    def test_to_hosts_that_are_named_may_be_plain(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv("COUNTERSIGN_PLAIN_HTTP_HOSTS", "dynamodb, proxy")
        monkeypatch.setenv(name, ADDRESSES[name].format("http://proxy:8000"))
        read_all()

    @pytest.mark.parametrize(
        "host", ["https://ann:hunter2@a.example", "https://hunter2@a.example:x", "https://ann:hunter2@["]
    )
    def test_with_passwords_are_refused_and_not_quoted(
        self, monkeypatch: pytest.MonkeyPatch, name: str, host: str
    ) -> None:
        monkeypatch.setenv(name, ADDRESSES[name].format(host))
        with pytest.raises(InvalidInput) as error:
            read_all()
        assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["sqlite://u:hunter2@h/x", "dynamodb://u:hunter2@eu/x", "x://u:hunter2@h", "sqlite://u:hunter2@[/x"]
)
def test_password_in_a_store_url_is_not_quoted(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("COUNTERSIGN_STORE", "COUNTERSIGN_MFA_SECRETS"):
        monkeypatch.setenv(name, url)
        with pytest.raises(InvalidInput) as error:
            read_settings()
        monkeypatch.delenv(name)
        assert "hunter2" not in str(error.value)
