"""The profiles in the AWS SDKs' configuration: between the markers ours, outside not a byte changed."""

from __future__ import annotations

import configparser
import os
import stat
import threading
from pathlib import Path

import botocore.configloader
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from bot.cli import countersign
from bot.terminal.aws_config import add_profiles, line_end_of, read_block, remove_profiles, write_command
from bot.terminal.aws_files import AwsFile
from bot.terminal.file_change import change_file
from core.errors import InvalidInput

MINE = b"[default]\nregion = eu-west-1\n\n[profile mine]\n# kept\nsso_session = x\ns3 =\n  max_queue_size = 5\n"
CONTENTS = [
    b"",
    b"\n",
    MINE,
    MINE.rstrip(),
    MINE.replace(b"\n", b"\r\n"),
    MINE.replace(b"\n", b"\r\n").rstrip(),
    b"# only a comment",
    b"\xef\xbb\xbf[default]\nregion=x\n\xff\xfe\n",
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "COUNTERSIGN_TOKEN", "COUNTERSIGN_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def config(home: Path) -> Path:
    return home / ".aws" / "config"


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(countersign, ["aws", *arguments])


def profiles(path: Path) -> dict[str, dict[str, str]]:
    """As botocore reads it."""
    found: dict[str, dict[str, str]] = botocore.configloader.load_config(str(path))["profiles"]
    return found


@pytest.mark.parametrize("content", CONTENTS)
def test_file_is_the_same_bytes_after_unconfigure(config: Path, content: bytes) -> None:
    write(config, content)

    assert run("configure", "prod", "team/dev").exit_code == 0
    written = config.read_bytes()
    assert written.startswith(content)
    assert run("configure", "prod").exit_code == 0
    assert config.read_bytes() == written
    assert run("unconfigure").exit_code == 0
    assert config.read_bytes() == content


@given(st.binary(max_size=200).filter(lambda content: b"countersign" not in content))
def test_any_bytes_around_the_profiles_are_kept(content: bytes) -> None:
    line_end = line_end_of(content)
    added = add_profiles(read_block(content), {"countersign-prod": "x"}, None, line_end).to_bytes(line_end)

    assert added.startswith(content)
    assert b"".join(line.raw for section in AwsFile.parse(content).sections for line in section.lines) == content
    assert remove_profiles(read_block(added), None).to_bytes(line_end) == content


def test_new_file_is_private_and_goes_again(config: Path) -> None:
    run("configure", "prod", "--region", "eu-west-1")

    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    (command,) = [each.pop("credential_process") for each in profiles(config).values()]
    assert profiles(config)["countersign-prod"]["region"] == "eu-west-1"
    assert Path(command.split()[0]).is_absolute()
    assert command.endswith(" credentials prod")
    run("unconfigure")
    assert not config.exists()


def test_mode_and_link_stay(config: Path, home: Path) -> None:
    real = home / "dotfiles" / "aws-config"
    write(real, MINE)
    real.chmod(0o640)
    config.parent.mkdir()
    config.symlink_to(real)

    run("configure", "prod")

    assert config.is_symlink()
    assert "countersign-prod" in profiles(real)
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert [path.name for path in real.parent.iterdir()] == ["aws-config"]


def test_profiles_come_and_go_one_by_one(config: Path) -> None:
    write(config, MINE)
    run("configure", "prod")
    run("configure", "dev", "--prefix", "cs-")
    assert set(profiles(config)) == {"default", "mine", "countersign-prod", "cs-dev"}

    run("unconfigure", "prod")
    assert set(profiles(config)) == {"default", "mine", "cs-dev"}
    assert run("unconfigure", "prod").output.endswith("nothing changed.\n")


def test_settings_that_somebody_added_to_a_profile_stay(config: Path) -> None:
    run("configure", "prod")
    write(config, config.read_bytes().replace(b"# <<<", b"output = json\nregion = eu-west-1\n# <<<"))

    run("configure", "prod", "dev", "--region", "eu-west-2")

    found = profiles(config)["countersign-prod"]
    assert (found["output"], found["region"]) == ("json", "eu-west-2")


@pytest.mark.parametrize("header", [b"[profile countersign-prod]", b'[ profile  "countersign-prod" ]'])
@pytest.mark.parametrize("is_below", [False, True])
def test_profile_outside_the_markers_is_not_replaced(config: Path, header: bytes, *, is_below: bool) -> None:
    if is_below:
        run("configure", "dev")
        content = config.read_bytes() + header + b"\nregion = x\n"
    else:
        content = header + b"\nregion = x\n"
    write(config, content)

    done = run("configure", "prod")

    assert done.exit_code == 2
    assert "that Countersign didn't write" in done.stderr
    assert config.read_bytes() == content


def test_keys_of_the_same_name_are_found(home: Path) -> None:
    write(home / ".aws" / "credentials", b"[countersign-prod]\naws_access_key_id = x\n")

    assert "which the SDKs would use instead" in run("configure", "prod").stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace(b"# <<<", b"# was"), "markers"),
        (lambda text: text + text, "markers"),
        (
            lambda text: text.replace(b"[profile countersign-prod]", b"[profile x]\ny = 1\n[profile countersign-prod]"),
            "didn't write",
        ),
        (lambda text: text + b"region = eu-west-1\n", "line 5 belongs to the profile above"),
    ],
)
def test_changed_block_is_left_alone(config: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    run("configure", "prod")
    write(config, change(config.read_bytes()))
    content = config.read_bytes()

    for command in ("configure", "unconfigure"):
        done = run(command, "prod")
        assert done.exit_code == 2
        assert said in done.stderr
        assert config.read_bytes() == content


def test_two_at_once_both_arrive(config: Path) -> None:
    write(config, MINE)

    def add(name: str) -> None:
        change_file(config, lambda found: add_profiles(read_block(found), {name: "x"}, None, b"\n").to_bytes(b"\n"))

    threads = [threading.Thread(target=add, args=(f"countersign-profile{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {f"countersign-profile{number}" for number in range(8)} < set(profiles(config))


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        ("/usr/local/bin/countersign", "/usr/local/bin/countersign"),
        ("/Users/ann/My Tools/bin/countersign", '"/Users/ann/My Tools/bin/countersign"'),
        ("/opt/é/countersign", "/opt/é/countersign"),
    ],
)
def test_path_is_written_as_all_sdks_read_it(argument: str, written: str) -> None:
    assert write_command([argument, "credentials", "a/b"]) == f"{written} credentials a/b"


@pytest.mark.parametrize("character", ['"', "'", "\\", "$", "`", "#", ";", "%", "~", "*", "&", "\n"])
def test_path_that_sdks_read_differently_is_refused(character: str) -> None:
    with pytest.raises(InvalidInput, match="special characters"):
        write_command([f"/opt/a{character}b/countersign"])


@pytest.mark.parametrize(
    "content",
    [
        MINE,
        b"[default]\n  aws_access_key_id = x\n  region = y\n[profile a]\nk: v\n\n nested = 1\nK2=\n",
        b"[a]\nx = 1\n  [not a section]\n# c\n; d\n  y = 2\nz = 3\n",
        b"  [a]\n  x = 1\n  y = 2\n",
    ],
)
def test_sections_and_settings_are_those_of_configparser(content: bytes) -> None:
    parser = configparser.RawConfigParser(default_section="")
    parser.read_string(content.decode())
    expected = {name: set(parser[name]) for name in parser.sections()}

    assert {each.name: set(each.keys) for each in AwsFile.parse(content).sections} == expected


def test_region_and_prefix_are_checked(config: Path) -> None:
    for arguments in (("--region", "x\ny", "prod"), ("--prefix", "[", "prod"), ("../x",)):
        assert run("configure", *arguments).exit_code == 2
    assert not config.exists()


def test_command_is_never_one_of_the_folder_at_hand(config: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["elsewhere"])
    monkeypatch.setattr("sys.executable", str(home / "python"))
    run("configure", "prod")
    command = profiles(config)["countersign-prod"]["credential_process"]
    assert command == f"{home}/python -P -m bot.terminal.start credentials prod"


def test_folder_that_cannot_be_written_is_said(config: Path) -> None:
    config.parent.write_text("")

    done = run("configure", "prod")

    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert f"{config} can't be changed: " in done.stderr
    assert os.listdir(config.parent.parent) == [".aws"]  # noqa: PTH208 - names only
