"""What is delivered can be made again and taken apart: the same bytes for everybody, and a bill of what is inside."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness.wheel import COMMIT, EPOCH, ROOT, Installation, copy_source
from tools.build_wheel import commit_time, export
from tools.sbom import (
    BUILD_ONLY,
    Bom,
    UnfitBomError,
    complete,
    first_complaint,
    locked_digests,
    normal,
    observe,
)

if TYPE_CHECKING:
    from pathlib import Path

BUILD_ANEW: Final = """
import sys
from pathlib import Path
from tools.build_wheel import build
build(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
"""
LOCK: Final = (ROOT / "requirements-runtime.lock").read_text(encoding="utf-8")


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.glob("countersign-*")}


def test_build_is_the_same_on_another_machine(wheel: Path, tmp_path: Path) -> None:
    source = tmp_path / "somewhere else"
    copy_source(source)
    # What somebody's tree has, and what their shell is set to.
    (source / "core" / "__pycache__").mkdir()
    (source / "core" / "__pycache__" / "clock.cpython-311.pyc").write_bytes(b"old")
    (source / "build" / "lib" / "core").mkdir(parents=True)
    (source / "build" / "lib" / "core" / "left_from_before.py").touch()
    for path in [source / "README.md", *source.glob("bot/*.py")]:
        os.utime(path, (1, 1))
        path.chmod(0o700)
    theirs = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "1", "HOME": "/"}
    subprocess.run(  # noqa: S603  Ours.
        [sys.executable, "-c", BUILD_ANEW, source, tmp_path / "built", str(EPOCH), COMMIT],
        check=True, cwd=ROOT, env={"PATH": os.environ["PATH"], **theirs}, umask=0o077,
    )  # fmt: skip
    assert digests(tmp_path / "built") == digests(wheel.parent)
    assert len(digests(wheel.parent)) == 2


def test_archives_name_no_time_user_or_mode_of_a_machine(wheel: Path) -> None:
    (sdist,) = wheel.parent.glob("countersign-*.tar.gz")
    assert int.from_bytes(sdist.read_bytes()[4:8], "little") == EPOCH
    with tarfile.open(sdist) as archive:
        facts = {
            (each.mtime, each.uid, each.gid, each.uname, each.gname, each.mode) for each in archive if each.isfile()
        }
        assert archive.getnames() == sorted(archive.getnames())
    assert facts == {(EPOCH, 0, 0, "", "", 0o644)}
    with zipfile.ZipFile(wheel) as archive_of_wheel:
        assert {each.date_time for each in archive_of_wheel.infolist()} == {(2025, 10, 9, 8, 53, 20)}


def test_only_what_is_committed_is_built(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "kept.py").write_text("kept")
    git = ["git", "-C", str(repository), "-c", "user.name=Ana", "-c", "user.email=ana@example.com"]
    when = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
    for command in (["init", "--quiet"], ["add", "kept.py"], ["commit", "--quiet", "--no-gpg-sign", "-m", "Keep"]):
        subprocess.run([*git, *command], check=True, env={"PATH": os.environ["PATH"], **when})  # noqa: S603  Ours.
    (repository / "kept.py").write_text("changed since")
    (repository / "secret.env").touch()
    export(repository, "HEAD", tmp_path / "exported")
    assert {path.name: path.read_text() for path in (tmp_path / "exported").iterdir()} == {"kept.py": "kept"}
    assert commit_time(repository, "HEAD") == 1_767_323_045


@pytest.fixture(scope="session")
def observed(installation: Installation) -> Bom:
    return observe(installation.python, EPOCH)


def test_bill_lists_what_the_lock_installs(observed: Bom, wheel: Path) -> None:
    bom = complete(copy.deepcopy(observed), locked_digests(LOCK), wheel)
    names = {f"{normal(each['name'])}=={each['version']}" for each in bom["components"]}
    locked = {line.split()[0] for line in LOCK.splitlines() if "==" in line}
    assert names == {each for each in locked if each.partition("==")[0] not in BUILD_ONLY}
    for each in bom["components"]:
        (files,) = (one for one in each["externalReferences"] if one["type"] == "distribution")
        assert all(f"--hash=sha256:{one['content']}" in LOCK for one in files["hashes"])
        assert files["hashes"]
    described = bom["metadata"]["component"]
    assert (described["name"], described["hashes"][0]["content"]) == (
        "countersign",
        sha256(wheel.read_bytes()).hexdigest(),
    )
    assert first_complaint(bom) is None


def test_bill_is_the_same_twice(observed: Bom, installation: Installation) -> None:
    first, again = (
        complete(each, locked_digests(LOCK), None)
        for each in (copy.deepcopy(observed), observe(installation.python, EPOCH))
    )
    assert json.dumps(first) == json.dumps(again)
    assert first["metadata"]["timestamp"] == "2025-10-09T08:53:20+00:00"
    assert first["serialNumber"].startswith("urn:uuid:")


def test_bill_needs_each_locked_package(observed: Bom) -> None:
    lacking = {**observed, "components": observed["components"][1:]}
    with pytest.raises(UnfitBomError, match="differ in"):
        complete(lacking, locked_digests(LOCK), None)


def test_bill_refuses_a_license_that_asks_for_more(observed: Bom) -> None:
    changed = copy.deepcopy(observed)
    changed["components"][0]["licenses"] = [{"expression": "MIT AND AGPL-3.0-only"}]
    with pytest.raises(UnfitBomError, match=r"AGPL-3\.0-only"):
        complete(changed, locked_digests(LOCK), None)


def test_bill_that_is_not_cyclonedx_is_noticed(observed: Bom) -> None:
    changed = copy.deepcopy(observed)
    changed["components"][0]["type"] = "thing"
    assert (first_complaint(changed) or "").startswith("components/0/type")
