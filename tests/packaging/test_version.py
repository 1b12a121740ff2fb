"""The version stands in pyproject.toml; every other place that names it names the same."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from tests.harness.wheel import ROOT, VERSION

NAMED: Final = re.compile(
    r"""countersign (?: :v? | == | - | @v )      # an image, a requirement, a wheel or a chart, a tag
        (\d+\.\d+\.\d+\w*)
        | ^\s* (?:newTag | appVersion) : \s* "?(\d+\.\d+\.\d+\w*)""",
    re.VERBOSE | re.MULTILINE,
)
OLDER: Final = ("upgrading.md", "releasing.md")
"""Pages that speak of other versions too."""


def files() -> list[Path]:
    """Each file that people copy a version from."""
    folders = [path for name in ("deploy", "docs", ".github") for path in (ROOT / name).rglob("*")]
    return sorted(
        path
        for path in (*folders, *ROOT.glob("*.yaml"), *ROOT.glob("*.md"), ROOT / "Dockerfile")
        if path.is_file() and path.suffix not in {".png", ".svg", ".webp"} and path.name not in OLDER
    )


def versions_in(path: Path) -> set[str]:
    """Which versions of Countersign a file names."""
    return {image or tag for image, tag in NAMED.findall(path.read_text(encoding="utf-8"))}


def test_every_file_names_the_version_of_the_project() -> None:
    named = {path.relative_to(ROOT).as_posix(): versions_in(path) for path in files()}

    assert {name: found for name, found in named.items() if found - {VERSION}} == {}
    # So that a form which isn't recognised any more is noticed.
    assert {
        "compose.yaml",
        "compose.dynamodb.yaml",
        "deploy/helm/countersign/Chart.yaml",
        "deploy/kubernetes/base/kustomization.yaml",
        "deploy/kubernetes/example/kustomization.yaml",
        "deploy/terraform/variables.tf",
    } <= {name for name, found in named.items() if found}


@pytest.mark.parametrize(
    "line",
    [
        "image: registry.example/countersign:9.9.9",
        "    newTag: 9.9.9",
        'appVersion: "9.9.9"',
        "pipx install countersign==9.9.9",
        "countersign-9.9.9-py3-none-any.whl",
    ],
)
def test_each_way_to_name_a_version_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(line)

    assert versions_in(tmp_path / "file") == {"9.9.9"}


def test_newest_changes_are_those_of_this_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    # The date is written when the version is tagged.
    assert re.fullmatch(rf"{re.escape(VERSION)} \((unreleased|\d{{4}}-\d\d-\d\d)\)", headings[0])
    assert [each for each in headings if not re.fullmatch(r"\d+\.\d+\.\d+(?:rc\d+)? \(.+\)", each)] == []


def test_installed_version_is_that_of_the_project() -> None:
    # If this fails, the clone was updated after it was installed: run `make test` again, or pip install --editable.
    assert version("countersign") == VERSION
