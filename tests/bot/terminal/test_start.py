"""The start of the installed command: cached credentials without loading anything, everything else as ever."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.terminal.connecting import find_server
from bot.terminal.credentials_cache import CachedCredentials, CacheKey, CredentialsCache
from bot.terminal.errors import TerminalError
from bot.terminal.paired_device import find_device
from bot.terminal.start import find_cached
from core.errors import InvalidInput
from tests.harness.fake_broker import DEVICE, SECRET_KEY, SESSION_TOKEN, TOKEN
from tests.harness.paired_machine import PairedMachine

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER = "https://countersign.example.com"
TOO_SLOW = (
    "boto3",
    "botocore",
    "click",
    "keyring",
    "pydantic",
    "pydantic_settings",
    "urllib3",
    "core",
    "bot.cli",
    "bot.api",
)
SHOW_IMPORTS = """
import sys
sys.argv = ["countersign", "credentials", "prod"]
from bot.terminal.start import main
main()
print(*sys.modules, file=sys.stderr)
"""


@pytest.fixture
def machine(tmp_path: Path) -> PairedMachine:
    machine = PairedMachine(tmp_path)
    machine.pair(SERVER)
    return machine


def keep(machine: PairedMachine, *, lives: timedelta = timedelta(hours=1), target: str = "") -> CachedCredentials:
    now = datetime.now(UTC)
    fields = {
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": SECRET_KEY,
        "SessionToken": SESSION_TOKEN,
        "Expiration": f"{now + lives:%Y-%m-%dT%H:%M:%SZ}",
    }
    kept = CachedCredentials(fields, now + timedelta(hours=2), now, SERVER)
    CredentialsCache(machine.cache, CacheKey(SERVER, DEVICE, "prod", target)).write(kept)
    return kept


def test_cached_credentials_load_only_the_standard_library(machine: PairedMachine) -> None:
    kept = keep(machine)

    done = machine.run_python(SHOW_IMPORTS)

    assert json.loads(done.stdout) == {"Version": 1, **kept.fields}
    loaded = done.stderr.split()
    assert [name for name in TOO_SLOW if name in loaded] == []
    ours = [name for name in loaded if name.startswith("bot.")]
    assert len(ours) <= 6, ours
    outside = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"bot", "__main__"}
    assert {name for name in outside if not name.startswith("__editable__")} <= {"_distutils_hack", "sitecustomize"}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("credentials",),
        ("credentials", "dev"),
        ("credentials", "prod", "--renew"),
        ("credentials", "prod", "--target", "role"),
        ("credentials", "prod", "--other", ""),
        ("credentials", "--help"),
        ("exec", "prod"),
    ],
)
def test_everything_else_is_left_to_the_command_line(machine: PairedMachine, arguments: tuple[str, ...]) -> None:
    keep(machine)

    assert find_cached(("credentials", "prod"), machine.environment, datetime.now(UTC)) is not None
    assert find_cached(arguments, machine.environment, datetime.now(UTC)) is None


def test_credentials_of_one_target_are_found_by_its_name(machine: PairedMachine) -> None:
    keep(machine, target="role")
    arguments = ("credentials", "prod", "--target", "role")

    assert find_cached(arguments, machine.environment, datetime.now(UTC)) is not None
    assert find_cached(arguments[:2], machine.environment, datetime.now(UTC)) is None


def test_what_is_no_longer_fresh_is_left_to_the_command_line(machine: PairedMachine) -> None:
    keep(machine, lives=timedelta(minutes=15, seconds=50))

    assert find_cached(("credentials", "prod"), machine.environment, datetime.now(UTC)) is None


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_what_others_can_open_is_left_to_the_command_line(machine: PairedMachine, mode: int) -> None:
    keep(machine)
    machine.cached[0].chmod(mode)

    assert find_cached(("credentials", "prod"), machine.environment, datetime.now(UTC)) is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"paired": []}', '{"server": 1}', '{"paired": {"": 1}}'])
def test_broken_configuration_is_left_to_the_command_line(machine: PairedMachine, content: str) -> None:
    keep(machine)
    (machine.home / ".config/countersign/terminal.json").write_text(content, encoding="utf-8")

    assert find_cached(("credentials", "prod"), machine.environment, datetime.now(UTC)) is None


OTHER = "https://other.example.com"
OTHER_TOKEN = f"cst_ffff0000ffff0000_{'x' * 43}"


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"COUNTERSIGN_SERVER": f"{SERVER}/"},
        {"COUNTERSIGN_SERVER": f" {SERVER}/v1 "},
        {"COUNTERSIGN_SERVER": "countersign.example.com"},
        {"COUNTERSIGN_SERVER": OTHER},
        {"COUNTERSIGN_SERVER": ""},
        {"COUNTERSIGN_TOKEN": TOKEN},
        {"COUNTERSIGN_TOKEN": OTHER_TOKEN, "COUNTERSIGN_SERVER": OTHER},
        {"COUNTERSIGN_TOKEN": f" {OTHER_TOKEN}\n", "COUNTERSIGN_SERVER": "other.example.com"},
        {"COUNTERSIGN_TOKEN_FILE": "{home}/token", "COUNTERSIGN_SERVER": OTHER},
        {"COUNTERSIGN_TOKEN_FILE": "{home}/token", "COUNTERSIGN_TOKEN": TOKEN, "COUNTERSIGN_SERVER": OTHER},
        {"COUNTERSIGN_TOKEN_FILE": "{home}/missing", "COUNTERSIGN_SERVER": OTHER},
        {"COUNTERSIGN_TOKEN": "", "COUNTERSIGN_SERVER": SERVER},
        {"COUNTERSIGN_TOKEN": "nonsense", "COUNTERSIGN_SERVER": SERVER},
        {"COUNTERSIGN_HOME": "{home}/elsewhere"},
        {"XDG_CONFIG_HOME": "{home}/.config"},
        {"XDG_CONFIG_HOME": "relative"},
        {"HOME": ""},
    ],
)
def test_cache_is_that_of_the_server_the_command_line_finds(
    machine: PairedMachine, monkeypatch: pytest.MonkeyPatch, changed: Mapping[str, str]
) -> None:
    (machine.home / "token").write_text(f"{OTHER_TOKEN}\n", encoding="utf-8")
    for name in list(os.environ):
        if name.startswith(("COUNTERSIGN_", "XDG_")):
            monkeypatch.delenv(name)
    for name, value in {**machine.environment, **changed}.items():
        monkeypatch.setenv(name, value.format(home=machine.home))
    try:
        found = find_server()
    except (TerminalError, InvalidInput):
        expected = None
    else:
        device = found.paired.device_id if found.paired else found.token.get_secret_value().split("_")[1]
        expected = (found.server, device)
    try:
        quickly = find_device(os.environ)
    except (OSError, ValueError):
        quickly = None

    # Quickly, nothing is checked; what is wrong leads to a file that isn't there.
    assert quickly == expected or (expected is None and quickly is not None and quickly.device != DEVICE)
