"""What is in the repository twice is the same twice."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.harness.wheel import ROOT, pinned


@pytest.mark.parametrize(
    ("source", "copy"),
    [
        ("manifest.yml", "bot/slack/manifest.yml"),
        ("policy.example.yml", "core/policy/example.yml"),
        ("policy.example.cases.yml", "core/policy/example.cases.yml"),
    ],
)
def test_package_has_the_same_file_as_the_root(source: str, copy: str) -> None:
    assert (ROOT / copy).read_bytes() == (ROOT / source).read_bytes(), f"copy {source} to {copy}"


def test_what_runs_is_locked_to_the_tested_versions() -> None:
    assert pinned("requirements-runtime.lock").items() <= pinned("requirements.lock").items()


def test_runtime_lock_holds_each_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[^\w.-]", each)[0].replace(".", "-") for each in project["dependencies"]}
    assert names <= pinned("requirements-runtime.lock").keys()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-runtime.lock"])
def test_lock_names_no_host_and_a_digest_for_each(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert re.findall(r"^\w.*(?<!\\)$|==.*\n(?!    --hash=sha256:)", text, re.MULTILINE) == []
