"""The app's manifest, which an operator pastes into Slack to create the app.

Invariant: the manifest is part of the package, so an installed Countersign has it too. tests/packaging checks that it
equals its source, manifest.yml at the root of the repository.
"""

from __future__ import annotations

from importlib.resources import files


def read_manifest() -> bytes:
    """The manifest as YAML, byte for byte as in the repository."""
    return files("bot.slack").joinpath("manifest.yml").read_bytes()
