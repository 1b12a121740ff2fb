"""The app's manifest: what somebody pastes into Slack to create the app.

Invariant: it is part of the package, so that an installed Countersign has it too; tests/packaging holds it equal to
manifest.yml at the root of the repository, which is the source.
"""

from __future__ import annotations

from importlib.resources import files


def read_manifest() -> bytes:
    """The manifest as YAML, byte for byte as it is in the repository."""
    return files("bot.slack").joinpath("manifest.yml").read_bytes()
