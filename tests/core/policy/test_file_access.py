"""Who besides the owner may write the policy file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.policy.file_access import find_writers

STRANGERS_GROUP = 54_321


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    path = folder / "policy.yml"
    path.write_text("version: 1\n", encoding="utf-8")
    path.chmod(0o644)
    return path


def test_file_of_the_owner_alone_is_fine(path: Path) -> None:
    assert find_writers(path) == ()


def test_file_that_everyone_may_write_is_named(path: Path) -> None:
    path.chmod(0o666)
    (sentence,) = find_writers(path)
    assert sentence == f"everyone on this host may write {path}, and so decide who gets access. Run: chmod go-w {path}"


def test_folder_that_everyone_may_write_is_named(path: Path) -> None:
    path.parent.chmod(0o777)
    (sentence,) = find_writers(path)
    assert sentence.startswith(f"everyone on this host may write the folder {path.parent}")


def test_sticky_folder_lets_nobody_replace_the_file(path: Path) -> None:
    path.parent.chmod(0o1777)
    assert find_writers(path) == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another group")
def test_group_that_may_write_is_named(path: Path) -> None:
    os.chown(path, -1, STRANGERS_GROUP)
    path.chmod(0o664)
    (sentence,) = find_writers(path)
    assert sentence.startswith(f"the group {STRANGERS_GROUP} may write {path}")


def test_target_of_a_link_is_judged_and_the_links_folder(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir(mode=0o755)
    link = folder / "policy.yml"
    link.symlink_to(path)
    assert find_writers(link) == ()
    path.chmod(0o666)
    folder.chmod(0o777)
    assert len(find_writers(link)) == 2


def test_missing_file_is_named_by_the_loader_not_here(tmp_path: Path) -> None:
    assert find_writers(tmp_path / "none" / "policy.yml") == ()
