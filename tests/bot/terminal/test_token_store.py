"""Where a token is kept, and that nobody else can read it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as FailingKeyring
from keyring.backends.null import Keyring as NullKeyring
from pydantic import SecretStr

from bot.terminal.configuration import Configuration, open_configuration
from bot.terminal.errors import FilesFailed
from bot.terminal.private_files import (
    NoHome,
    NotPrivate,
    cache_folder,
    config_folder,
    read_private,
    remove,
    write_private,
)
from bot.terminal.token_store import TokenStore, find_keyring
from tests.harness import api_answers as answers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER = "https://countersign.example.com"
TOKEN = SecretStr(answers.TOKEN)


class TrustedKeyring:
    """A keyring that keeps what it is given."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class LockedKeyring(TrustedKeyring):
    """One that can't be used now."""

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError(f"locked: {service} {username} {answers.TOKEN}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise RuntimeError(f"locked: {service} {username} {password}")


class ForgetfulKeyring(TrustedKeyring):
    """One that keeps nothing and says nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class PlaintextKeyring(KeyringBackend):
    """Like the ones of keyrings.alt: it would write the token to a file as it is."""

    priority = 9

    def get_password(self, service: str, username: str) -> str | None:
        raise AssertionError(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        raise AssertionError(service, username, password)


def test_a_token_is_kept_in_the_keyring(tmp_path: Path) -> None:
    ring = TrustedKeyring()
    store = TokenStore(tmp_path, ring)
    assert store.keep(SERVER, "d1", TOKEN) == "keyring"
    assert store.read(SERVER, "d1", "keyring") == TOKEN
    assert list(tmp_path.iterdir()) == []
    store.remove(SERVER, "d1", "keyring")
    store.remove(SERVER, "d1", "keyring")
    assert ring.kept == {}
    assert store.read(SERVER, "d1", "keyring") is None


@pytest.mark.parametrize("kind", [LockedKeyring, ForgetfulKeyring])
def test_a_keyring_that_fails_is_as_good_as_none(tmp_path: Path, kind: type[TrustedKeyring]) -> None:
    store = TokenStore(tmp_path, kind())
    assert store.keep(SERVER, "d1", TOKEN) == "file"
    assert store.read(SERVER, "d1", "file") == TOKEN


def test_a_locked_keyring_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FilesFailed, match="Unlock it, or run: countersign login") as caught:
        TokenStore(tmp_path, LockedKeyring()).read(SERVER, "d1", "keyring")
    assert answers.TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.fixture
def chosen() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize("kind", [PlaintextKeyring, FailingKeyring, NullKeyring])
def test_only_the_systems_own_keyrings_are_used(kind: type[KeyringBackend]) -> None:
    keyring.set_keyring(kind())
    assert find_keyring() is None


def test_a_token_file_is_of_mode_0600(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        TokenStore(tmp_path / "new" / "home").keep(SERVER, "d1", TOKEN)
    finally:
        os.umask(before)
    (path,) = (tmp_path / "new" / "home").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_token_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    store = TokenStore(tmp_path)
    store.keep(SERVER, "d1", TOKEN)
    (path,) = tmp_path.iterdir()
    path.chmod(mode)
    with pytest.raises(FilesFailed, match=f"can be read by others.*chmod 600 {path}"):
        store.read(SERVER, "d1", "file")


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_private(path, b"x")
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, -1)
    with pytest.raises(NotPrivate, match="belongs to somebody else"):
        read_private(path)


def test_a_link_or_a_pipe_is_no_token(tmp_path: Path) -> None:
    write_private(tmp_path / "real", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(OSError, match="symbolic"):
        read_private(tmp_path / "link")
    with pytest.raises(NotPrivate, match="not a regular file"):
        read_private(tmp_path / "pipe")


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_private(path, b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
    assert read_private(tmp_path / "nothing") is None
    remove(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"COUNTERSIGN_HOME": "/own", "XDG_CONFIG_HOME": "/xdg", "HOME": "/home/m"}, "/own /own/cache"),
        ({"XDG_CONFIG_HOME": "/xdg", "XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/xdg/countersign /c/countersign"),
        ({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}, "/h/.config/countersign /h/.cache/countersign"),
        ({"HOME": "/h"}, "/h/.config/countersign /h/.cache/countersign"),
    ],
)
def test_folders_follow_the_xdg_specification(environ: dict[str, str], expected: str) -> None:
    assert f"{config_folder(environ)} {cache_folder(environ)}" == expected


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "here"}, {"COUNTERSIGN_HOME": "here", "HOME": "/h"}])
def test_a_home_that_is_missing_is_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(NoHome):
        config_folder(environ)
    with pytest.raises(FilesFailed, match="Set HOME, or COUNTERSIGN_HOME"):
        open_configuration(environ)


def test_a_configuration_keeps_what_a_newer_version_wrote(home: Path) -> None:
    write_private(home / "terminal.json", b'{"server": "https://a.example", "theme": {"dark": true}}')
    file = open_configuration()
    file.write(file.read().model_copy(update={"server": "https://b.example"}))
    assert b'"dark": true' in (home / "terminal.json").read_bytes()
    assert file.read().server == "https://b.example"


def test_a_damaged_configuration_says_what_to_do(home: Path) -> None:
    file = open_configuration()
    assert file.read() == Configuration()
    write_private(home / "terminal.json", b"{not json")
    with pytest.raises(FilesFailed, match="Remove the file, then run: countersign login"):
        file.read()
