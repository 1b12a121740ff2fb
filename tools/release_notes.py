"""`python -m tools.release_notes vX.Y.Z`: what the changelog says of a release, if the commit is that release.

Invariant: it prints nothing unless the tag, pyproject.toml and a heading of CHANGELOG.md name the same version. It
needs nothing but Python, because it judges a tag before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_TAG: Final = re.compile(r"v(\d+\.\d+\.\d+(?:rc\d+)?)")


class NotThisReleaseError(Exception):
    """The tag, the version and the changelog don't agree."""


def notes(tag: str, project: str, changelog: str) -> str:
    """The section of the changelog about the version that a tag names."""
    named = _TAG.fullmatch(tag)
    if named is None:
        raise NotThisReleaseError(f"{tag} is no tag of a release: v1.2.3, or v1.2.3rc1")
    version = tomllib.loads(project)["project"]["version"]
    if named[1] != version:
        raise NotThisReleaseError(f"the tag is {tag}, but pyproject.toml says {version}")
    # Up to the next heading of the same kind. A date may follow the version.
    found = re.search(
        rf"^## {re.escape(version)}(?![\w.])[^\n]*\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if found is None or not found[1].strip():
        raise NotThisReleaseError(f"CHANGELOG.md says nothing under a heading '## {version}'")
    return found[1].strip() + "\n"


def main() -> int:
    """Print the notes of the tag that is named; else say why not."""
    if len(sys.argv) != 2:  # noqa: PLR2004  The program and the tag.
        sys.stderr.write("Usage: python -m tools.release_notes vX.Y.Z\n")
        return 2
    project, changelog = ((ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "CHANGELOG.md"))
    try:
        sys.stdout.write(notes(sys.argv[1], project, changelog))
    except NotThisReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
