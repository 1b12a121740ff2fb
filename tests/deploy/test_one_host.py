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
from bot.settings import Settings
from bot.settings.variables import variables_of
from core.stores.opening import read_store_url

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "deploy" / "systemd" / "countersign.service").read_text(encoding="utf-8")
COMPOSE = YAML(typ="safe").load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
LARGE = YAML(typ="safe").load((ROOT / "compose.dynamodb.yaml").read_text(encoding="utf-8"))
FINISH_SECONDS = 28
"""How long a stop may take: docs/operators.md, Stopping."""


def unit_values(name: str) -> list[str]:
    """The values of a directive of the unit, in their order."""
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def commands() -> list[str]:
    """The commands of the command line."""
    return countersign.list_commands(click.Context(countersign))


class TestUnit:
    """The unit for systemd."""

    def test_settings_and_command_are_those_of_the_bot(self) -> None:
        named = {each.partition("=")[0].removesuffix("_FILE") for each in unit_values("Environment")}
        (start,) = unit_values("ExecStart")

        assert named <= set(variables_of(Settings))
        assert start.split()[1] in commands()

    def test_all_that_it_writes_is_in_its_state_folder(self) -> None:
        settings = dict(each.split("=", 1) for each in unit_values("Environment"))
        folder = f"/var/lib/{unit_values('StateDirectory')[0]}"

        assert str(read_store_url(settings["COUNTERSIGN_STORE"])).count(folder) == 1
        assert settings["COUNTERSIGN_MFA_SECRETS"].startswith(f"{folder}/")
        assert unit_values("ProtectSystem") == ["strict"]
        assert unit_values("WorkingDirectory") == [folder]

    def test_stop_has_time_to_finish(self) -> None:
        assert int(unit_values("TimeoutStopSec")[0].removesuffix("s")) > FINISH_SECONDS

    def test_systemd_finds_it_sound_and_little_exposed(self, tmp_path: Path) -> None:
        if shutil.which("systemd-analyze") is None:
            pytest.skip("systemd isn't here")
        path = tmp_path / "countersign.service"
        # The program isn't installed here, which is all that systemd would say.
        path.write_text(UNIT.replace("/opt/countersign/bin/countersign serve", "/bin/true"), encoding="utf-8")
        said = [
            subprocess.run(  # noqa: S603 - fixed commands
                ["systemd-analyze", *arguments, str(path)],  # noqa: S607 - found on the PATH
                capture_output=True,
                text=True,
                check=False,
            )
            for arguments in (["verify"], ["security", "--offline=true", "--no-pager"])
        ]
        assert said[0].stderr == ""
        exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said[1].stdout)
        assert exposure is not None
        assert float(exposure[1]) < 2


def test_files_name_the_version_that_they_are_of() -> None:
    files = ("compose.yaml", "compose.dynamodb.yaml", "deploy/kubernetes/base/kustomization.yaml", "docs/deploying.md")
    named = [
        found
        for each in (*files, "deploy/terraform/variables.tf", "deploy/terraform/example/main.tf")
        for found in re.findall(r"(?:countersign:|newTag: )(\d+\.\d+\.\d+)", (ROOT / each).read_text(encoding="utf-8"))
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert len(named) > 6
    assert set(named) == {project["version"]}


class TestCompose:
    """The files for compose."""

    def test_service_runs_hardened_on_the_folder_that_init_writes(self) -> None:
        service = COMPOSE["services"]["countersign"]

        assert service["command"] == ["serve", "--env-file", "countersign.env"]
        assert service["volumes"] == ["./countersign:/var/lib/countersign"]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "ports" not in service
        assert int(service["stop_grace_period"].removesuffix("s")) > FINISH_SECONDS

    def test_large_set_up_changes_only_the_store(self) -> None:
        services: dict[str, Any] = LARGE["services"]
        settings = services["countersign"]["environment"]

        assert {each for each in settings if each.startswith("COUNTERSIGN_")} <= set(variables_of(Settings))
        assert settings["COUNTERSIGN_PLAIN_HTTP_HOSTS"] in settings["AWS_ENDPOINT_URL_DYNAMODB"]
        assert services["tables"]["command"][0] in commands()
        assert services["tables"]["environment"] == settings
        assert services["countersign"]["depends_on"] == {"tables": {"condition": "service_completed_successfully"}}
