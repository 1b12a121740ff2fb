"""What runs Countersign on one host: the unit for systemd, and the two files for compose."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from bot.cli import countersign
from bot.commands.running import STOP_TIMEOUT_SECONDS
from bot.settings import Settings
from bot.settings.variables import variables_of

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
TEXT = {".md", ".tf", ".yaml", ".yml"}
SERVICE, BACKUP, TIMER = "countersign.service", "countersign-backup.service", "countersign-backup.timer"
COMPOSE = YAML(typ="safe").load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
LARGE = YAML(typ="safe").load((ROOT / "compose.dynamodb.yaml").read_text(encoding="utf-8"))


def unit_values(name: str, unit: str = SERVICE) -> list[str]:
    """The values of a directive of the unit, in their order."""
    return re.findall(rf"^{name}=(.*)$", (UNITS / unit).read_text(encoding="utf-8"), re.MULTILINE)


def commands() -> list[str]:
    """The commands of the command line."""
    return countersign.list_commands(click.Context(countersign))


class TestUnits:
    """The units for systemd. Their commands are played in test_one_host_played.py."""

    @pytest.mark.parametrize("unit", [SERVICE, BACKUP])
    def test_environment_names_settings_and_no_secret(self, unit: str) -> None:
        named = {each.partition("=")[0] for each in unit_values("Environment", unit)}

        assert {each.removesuffix("_FILE") for each in named} <= set(variables_of(Settings))
        assert unit_values("EnvironmentFile", unit) == []
        assert sorted(each.partition(":")[0] for each in unit_values("LoadCredential", unit)) == [
            "audit-key",
            "countersign.env",
        ]

    def test_backup_writes_into_a_folder_of_its_own(self) -> None:
        (start,) = unit_values("ExecStart", BACKUP)
        folders = [f"/var/lib/{each}" for each in unit_values("StateDirectory", BACKUP)[0].split()]

        assert start.endswith(f" backup --keep 72 {folders[1]}")
        assert (
            folders[0] == f"/var/lib/{unit_values('StateDirectory')[0]}" == unit_values("WorkingDirectory", BACKUP)[0]
        )
        for each in (SERVICE, BACKUP):
            assert unit_values("ProtectSystem", each) == ["strict"]
            assert unit_values("StateDirectoryMode", each) == ["0700"]
        assert unit_values("PrivateNetwork", BACKUP) == ["yes"]

    def test_stop_has_time_to_finish(self) -> None:
        assert int(unit_values("TimeoutStopSec")[0].removesuffix("s")) > STOP_TIMEOUT_SECONDS

    def test_it_starts_again_until_somebody_has_to_act(self) -> None:
        """An outage of Slack at a boot, or a full disk, must not end it: access has to end on time."""
        assert unit_values("Restart") == ["always"]
        assert unit_values("StartLimitIntervalSec") == ["0"]
        assert unit_values("RestartPreventExitStatus") == ["2"]
        assert unit_values("SuccessExitStatus") == []

    def test_systemd_finds_them_sound_and_little_exposed(self, tmp_path: Path) -> None:
        if shutil.which("systemd-analyze") is None:
            pytest.skip("systemd isn't here")
        for unit in (SERVICE, BACKUP, TIMER):
            # The program isn't installed here, which is all that systemd would say.
            text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", (UNITS / unit).read_text(encoding="utf-8"))
            (tmp_path / unit).write_text(text, encoding="utf-8")
        paths = [str(tmp_path / each) for each in (SERVICE, BACKUP, TIMER)]

        assert _analyze("verify", *paths).stderr == ""
        for path in paths[:2]:
            said = _analyze("security", "--offline=true", "--no-pager", path).stdout
            exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
            assert exposure is not None
            assert float(exposure[1]) < 2


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - fixed commands
        ["systemd-analyze", *arguments],  # noqa: S607 - found on the PATH
        capture_output=True,
        text=True,
        check=False,
    )


def test_files_name_the_version_that_they_are_of() -> None:
    files = [each for folder in ("deploy", "docs") for each in (ROOT / folder).rglob("*.*") if each.suffix in TEXT]
    named = [
        found
        for each in (*files, *ROOT.glob("compose*.yaml"))
        for found in re.findall(
            r"(?:countersign:|newTag: |appVersion: )(\d+\.\d+\.\d+)", each.read_text(encoding="utf-8")
        )
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert len(named) > 8
    assert set(named) == {project["version"]}


class TestCompose:
    """The files for compose."""

    def test_service_runs_hardened_on_the_folder_that_init_writes(self) -> None:
        service = COMPOSE["services"]["countersign"]

        assert service["command"] == ["serve", "--env-file", "countersign.env"]
        assert service["volumes"] == ["./countersign:/var/lib/countersign"]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "ports" not in service
        assert int(service["stop_grace_period"].removesuffix("s")) > STOP_TIMEOUT_SECONDS

    def test_large_set_up_changes_only_the_store(self) -> None:
        services: dict[str, Any] = LARGE["services"]
        settings = services["countersign"]["environment"]

        assert {each for each in settings if each.startswith("COUNTERSIGN_")} <= set(variables_of(Settings))
        assert settings["COUNTERSIGN_PLAIN_HTTP_HOSTS"] in settings["AWS_ENDPOINT_URL_DYNAMODB"]
        assert services["tables"]["command"][0] in commands()
        assert services["tables"]["environment"] == settings
        assert services["countersign"]["depends_on"] == {"tables": {"condition": "service_completed_successfully"}}
