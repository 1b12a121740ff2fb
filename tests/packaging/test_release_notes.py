from __future__ import annotations

import pytest

from tools.release_notes import NotThisReleaseError, notes

PROJECT = '[project]\nversion = "0.2.0"\n'
CHANGELOG = """# Changes

## Unreleased

* Not yet.

## 0.2.0 (2026-11-23)

### Before you upgrade

* Read this.

## 0.1.0

* First.
"""


def test_notes_are_the_section_of_the_version() -> None:
    assert notes("v0.2.0", PROJECT, CHANGELOG) == "### Before you upgrade\n\n* Read this.\n"
    assert notes("v0.1.0", PROJECT.replace("0.2.0", "0.1.0"), CHANGELOG) == "* First.\n"


@pytest.mark.parametrize(
    ("tag", "changelog", "why"),
    [
        ("v0.2.1", CHANGELOG, "pyproject.toml says 0.2.0"),
        ("0.2.0", CHANGELOG, "is no tag of a release"),
        ("v0.2.0; rm -rf /", CHANGELOG, "is no tag of a release"),
        ("v0.2.0", CHANGELOG.replace("## 0.2.0", "## 0.2.0rc1"), "says nothing under a heading"),
        ("v0.2.0", CHANGELOG.replace("## 0.2.0", "## 0.2.01"), "says nothing under a heading"),
        ("v0.2.0", "## 0.2.0\n\n## 0.1.0\n* First.\n", "says nothing under a heading"),
    ],
)
def test_tag_that_is_not_this_release_is_refused(tag: str, changelog: str, why: str) -> None:
    with pytest.raises(NotThisReleaseError, match=why):
        notes(tag, PROJECT, changelog)
