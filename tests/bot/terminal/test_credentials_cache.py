"""The cache of credentials: private, whole, used only while it's fresh, and asked for by one process at a time."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.terminal.credentials_cache import CachedCredentials, CacheKey, CredentialsCache, forget_device, forget_profile
from bot.terminal.private_files import NotPrivate
from tests.harness.fake_broker import SECRET_KEY, SESSION_TOKEN

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
KEY = CacheKey("https://countersign.example.com", "00112233445566aa", "prod")
MINUTE = timedelta(minutes=1)
HOLD = """
import sys
from pathlib import Path
from bot.terminal.credentials_cache import CacheKey, CredentialsCache
with CredentialsCache(Path(sys.argv[1]), CacheKey(*sys.argv[2:])).locked() as is_alone:
    print(is_alone, flush=True)
    sys.stdin.read()
"""


def issued(expires_in: timedelta = 60 * MINUTE, ends_in: timedelta = 120 * MINUTE) -> CachedCredentials:
    fields = {
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": SECRET_KEY,
        "SessionToken": SESSION_TOKEN,
        "Expiration": f"{NOW + expires_in:%Y-%m-%dT%H:%M:%SZ}",
    }
    return CachedCredentials(fields, NOW + ends_in, NOW, "https://broker.example.com")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "credentials"


@pytest.fixture
def cache(folder: Path) -> CredentialsCache:
    return CredentialsCache(folder, KEY)


def only_file(folder: Path) -> Path:
    (found,) = folder.glob("*.json")
    return found


def test_what_was_written_is_read(cache: CredentialsCache) -> None:
    written = issued()
    cache.write(written)
    found = cache.read()

    assert found is not None
    assert (found.fields, found.expires_at, found.access_ends_at, found.issued_at, found.credentials_url) == (
        written.fields,
        NOW + 60 * MINUTE,
        NOW + 120 * MINUTE,
        NOW,
        "https://broker.example.com",
    )
    assert SECRET_KEY not in repr(found)
    cache.forget()
    assert cache.read() is None


def test_only_its_owner_can_open_what_is_cached(cache: CredentialsCache, folder: Path) -> None:
    before = os.umask(0)
    try:
        cache.write(issued())
        with cache.locked() as is_alone:
            assert is_alone
    finally:
        os.umask(before)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602])
def test_file_that_others_can_open_is_not_used(cache: CredentialsCache, folder: Path, mode: int) -> None:
    cache.write(issued())
    only_file(folder).chmod(mode)

    with pytest.raises(NotPrivate):
        cache.read()


@pytest.mark.parametrize("mode", [0o750, 0o720, 0o705, 0o702])
def test_folder_that_others_can_open_is_not_used(cache: CredentialsCache, folder: Path, mode: int) -> None:
    cache.write(issued())
    folder.chmod(mode)

    for use in (cache.read, lambda: cache.write(issued())):
        with pytest.raises(NotPrivate, match="chmod 700"):
            use()
    with cache.locked() as is_alone:
        assert not is_alone


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_somebody_else_are_not_used(cache: CredentialsCache, folder: Path) -> None:
    cache.write(issued())
    os.chown(only_file(folder), 12345, -1)
    with pytest.raises(NotPrivate, match="somebody else"):
        cache.read()
    os.chown(only_file(folder), 0, -1)
    os.chown(folder, 12345, -1)
    with pytest.raises(NotPrivate, match="somebody else"):
        cache.read()


def test_link_in_place_of_file_or_folder_is_not_followed(tmp_path: Path) -> None:
    real, linked = CredentialsCache(tmp_path / "real", KEY), tmp_path / "linked"
    real.write(issued())
    linked.symlink_to(tmp_path / "real")
    with pytest.raises(NotPrivate, match="not a folder"):
        CredentialsCache(linked, KEY).read()

    file = only_file(tmp_path / "real")
    file.rename(tmp_path / "elsewhere.json")
    file.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(OSError, match="symbolic links"):
        real.read()


@pytest.mark.parametrize(
    ("expires_in", "ends_in", "is_alive", "is_fresh"),
    [
        (60 * MINUTE, 120 * MINUTE, True, True),
        (16 * MINUTE, 120 * MINUTE, True, True),
        (16 * MINUTE - timedelta(seconds=1), 120 * MINUTE, True, False),
        (timedelta(seconds=1), 120 * MINUTE, True, False),
        (timedelta(0), 120 * MINUTE, False, False),
        (60 * MINUTE, timedelta(microseconds=1), True, True),
        (60 * MINUTE, timedelta(0), False, False),
    ],
)
def test_use_ends_16_minutes_early_and_with_access(
    *, expires_in: timedelta, ends_in: timedelta, is_alive: bool, is_fresh: bool
) -> None:
    credentials = issued(expires_in, ends_in)

    assert (credentials.is_alive(NOW), credentials.is_fresh(NOW)) == (is_alive, is_fresh)


@pytest.mark.parametrize(
    "other", [("server", "https://other"), ("device", "ffff"), ("profile", "dev"), ("target", "role")]
)
def test_credentials_of_another_key_are_not_found(
    cache: CredentialsCache, folder: Path, other: tuple[str, str]
) -> None:
    cache.write(issued())
    key = KEY._replace(**{other[0]: other[1]})
    assert CredentialsCache(folder, key).read() is None

    # Not even when the file has the other's name.
    CredentialsCache(folder, key).write(issued())
    files = sorted(folder.glob("*.json"), key=lambda path: json.loads(path.read_bytes())[other[0]] != other[1])
    files[1].replace(files[0])
    assert CredentialsCache(folder, key).read() is None


def test_names_of_profiles_lead_to_files_of_their_own(folder: Path) -> None:
    names = ("a/b", "a%2fb", "a.b", "a_b", "a@b", "x" * 80)
    for name in names:
        CredentialsCache(folder, KEY._replace(profile=name)).write(issued())

    assert len(list(folder.glob("*.json"))) == len(names)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"server": 1}', b"\xff", b"[" * 100_000, b'{"credentials": {"Expiration": "soon"}}'],
)
def test_content_that_is_not_ours_counts_as_none(cache: CredentialsCache, folder: Path, content: bytes) -> None:
    cache.write(issued())
    only_file(folder).write_bytes(content)

    assert cache.read() is None


@pytest.mark.parametrize("field", ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"])
def test_file_that_lacks_a_field_counts_as_none(cache: CredentialsCache, folder: Path, field: str) -> None:
    cache.write(issued())
    content = json.loads(only_file(folder).read_bytes())
    del content["credentials"][field]
    only_file(folder).write_text(json.dumps(content), encoding="utf-8")

    assert cache.read() is None


def test_lock_of_a_killed_process_is_free_at_once(cache: CredentialsCache, folder: Path) -> None:
    holder = subprocess.Popen(  # noqa: S603 - the code is ours
        [sys.executable, "-c", HOLD, str(folder), *KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    with cache.locked(patience_seconds=0) as is_alone:
        assert not is_alone

    holder.kill()
    holder.communicate()
    with cache.locked(patience_seconds=0) as is_alone:
        assert is_alone


def test_profiles_do_not_wait_for_each_other(cache: CredentialsCache, folder: Path) -> None:
    with cache.locked(), CredentialsCache(folder, KEY._replace(profile="dev")).locked(0) as is_alone:
        assert is_alone


def test_what_is_long_dead_is_removed_by_the_next_write(cache: CredentialsCache, folder: Path) -> None:
    old = CredentialsCache(folder, KEY._replace(device="ffff"))
    old.write(issued())
    (folder / ".left-by-a-killed-process").touch()
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    with cache.locked():
        cache.write(issued())

    assert old.read() is None
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".lock"]


def test_forgetting_a_device_leaves_the_others(cache: CredentialsCache, folder: Path) -> None:
    kept = [KEY._replace(device="ffff"), KEY._replace(server="https://other")]
    for key in (KEY, KEY._replace(profile="dev"), *kept):
        CredentialsCache(folder, key).write(issued())

    forget_device(folder, KEY.server, KEY.device)

    assert cache.read() is None
    assert CredentialsCache(folder, KEY._replace(profile="dev")).read() is None
    assert [CredentialsCache(folder, key).read() is not None for key in kept] == [True, True]


def test_forgetting_a_profile_leaves_the_others(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    for profile in ("prod", "dev", "team/prod"):
        CredentialsCache.of(environ, KEY._replace(profile=profile)).write(issued())
    CredentialsCache.of(environ, KEY._replace(target="role")).write(issued())

    forget_profile(environ, "prod")
    forget_profile({}, "dev")

    left = [CredentialsCache.of(environ, KEY._replace(profile=each)).read() for each in ("prod", "dev", "team/prod")]
    assert [each is not None for each in left] == [False, True, True]
    assert CredentialsCache.of(environ, KEY._replace(target="role")).read() is None
