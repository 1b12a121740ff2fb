"""`countersign aws`: profiles that get their credentials from Countersign, and the IAM documents that this needs.

Invariant: what Countersign didn't write in that file is never changed. Nothing is sent to AWS.

Exit codes: 0 done, 1 the file can't be written or the server refused, 2 the input can't be used.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click

from bot.commands.aws_documents import DOCUMENT_COMMANDS
from bot.commands.terminal import count_of
from bot.terminal.aws_config import ConfigBlock, add_profiles, line_end_of, read_block, remove_profiles, write_command
from bot.terminal.aws_files import config_path, credentials_path, read_aws_file
from bot.terminal.connecting import connect
from bot.terminal.errors import FilesFailed
from bot.terminal.file_change import change_file
from bot.terminal.posix import require_posix
from core.actor import check_profile_name
from core.errors import InvalidInput

_PREFIX: Final = "countersign-"
_NAME: Final = "countersign"
_PREFIXES: Final = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._/@+-]{0,39})?")
_TARGETS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_REGIONS: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")

prefix_option = click.option(
    "--prefix", default=_PREFIX, show_default=True, help="What the profiles' names begin with."
)


@click.group()
def aws() -> None:
    """Let AWS tools get their credentials from Countersign."""


for each in DOCUMENT_COMMANDS:
    aws.add_command(each)


@aws.command()
@prefix_option
@click.option("--target", metavar="NAME", help="Which of the profile's roles, if it has several; a part of the name.")
@click.option("--region", help="The profiles' region. By default they have none of their own.")
@click.argument("profiles", nargs=-1, metavar="[PROFILE]...")
def configure(profiles: Sequence[str], prefix: str, target: str | None, region: str | None) -> None:
    """Add profiles to ~/.aws/config (or AWS_CONFIG_FILE): each PROFILE, or all that you can get credentials for.

    They stand between two markers, and nothing else in the file changes. Then AWS_PROFILE=countersign-prod works in
    every AWS tool, whenever you have access.
    """
    require_posix("aws configure")
    names = _read_names(profiles, prefix, target) or _ask_for_names(prefix, target)
    if region is not None and not _REGIONS.fullmatch(region):
        raise InvalidInput("region", f"{region!r:.40} is not a region of AWS", "Write it like eu-west-1.")
    for name in names:
        _require_no_keys(name)
    command = _own_command()
    more = ("--target", target) if target else ()
    commands = {name: write_command([*command, "credentials", profile, *more]) for name, profile in names.items()}
    is_changed = _change(lambda block, line_end: add_profiles(block, commands, region, line_end))
    path, first = config_path(os.environ), next(iter(names))
    done = "now has" if is_changed else "already has"
    click.echo(f"{path} {done} {count_of(len(names), 'profile')}: {', '.join(names)}")
    click.echo(f"Try: AWS_PROFILE={first} aws sts get-caller-identity")


@aws.command()
@prefix_option
@click.option("--target", metavar="NAME", help="The target that the profiles were configured with.")
@click.argument("profiles", nargs=-1, metavar="[PROFILE]...")
def unconfigure(profiles: Sequence[str], prefix: str, target: str | None) -> None:
    """Take out again what `configure` wrote: each PROFILE, or everything."""
    require_posix("aws unconfigure")
    names = _read_names(profiles, prefix, target) or None
    is_changed = _change(lambda block, _: remove_profiles(block, names))
    path = config_path(os.environ)
    click.echo(f"{path} is as it was before." if is_changed and names is None else _left(path, is_changed=is_changed))


def _left(path: Path, *, is_changed: bool) -> str:
    return f"Removed from {path}." if is_changed else f"{path} has no such profile of Countersign's; nothing changed."


def _change(change: Callable[[ConfigBlock, bytes], ConfigBlock]) -> bool:
    path = config_path(os.environ)

    def rewrite(content: bytes | None) -> bytes | None:
        line_end = line_end_of(content)
        block = change(read_block(content), line_end)
        wanted = block.to_bytes(line_end)
        return None if not wanted and block.is_of_new_file else wanted

    try:
        return change_file(path, rewrite)
    except OSError as error:
        problem = (error.strerror or type(error).__name__).lower()
        raise FilesFailed(f"{path} can't be changed: {problem}", "It's as it was.") from error


def _read_names(profiles: Sequence[str], prefix: str, target: str | None = None) -> dict[str, str]:
    if not _PREFIXES.fullmatch(prefix):
        raise InvalidInput("prefix", f"{prefix!r:.40} can't begin a profile's name", "Use letters, digits and ._/@+-.")
    if target is not None and not _TARGETS.fullmatch(target):
        raise InvalidInput("target", f"{target!r:.60} is not a target's name", "See the policy file.")
    suffix = f"-{target}" if target else ""
    return {f"{prefix}{check_profile_name(profile)}{suffix}": profile for profile in profiles}


def _ask_for_names(prefix: str, target: str | None) -> dict[str, str]:
    found = [each.name for each in connect().profiles().profiles if each.has_credentials]
    if not found:
        fix = "Ask a policy owner, or name the profiles."
        raise InvalidInput("profiles", "you can't get AWS credentials for any profile", fix)
    return _read_names(found, prefix, target)


def _require_no_keys(name: str) -> None:
    """Static keys under the same name would be used instead, without a word. Raises InvalidInput."""
    path = credentials_path(os.environ)
    if any(section.name == name for section in read_aws_file(path).sections):
        fix = "Choose another --prefix, or remove that section."
        raise InvalidInput("profile", f"{path} has keys for [{name}], which the SDKs would use instead", fix)


def _own_command() -> list[str]:
    """How to start this program again, from anywhere: by its absolute path."""
    started_as, beside = shutil.which(sys.argv[0]), Path(sys.executable).with_name(_NAME)
    if started_as is not None and Path(started_as).name == _NAME:
        return [os.path.abspath(started_as)]  # noqa: PTH100 - a link stays: what it leads to moves with each update
    if os.access(beside, os.X_OK):
        return [str(beside)]
    # Without -P, a folder "bot" where an SDK happens to run would be started instead.
    return [sys.executable, "-P", "-m", "bot.terminal.start"]
