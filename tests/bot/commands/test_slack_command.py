"""`countersign slack`, as a person at a terminal sees it."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from bot.cli import countersign

ROOT = Path(__file__).parents[3]


def test_manifest_is_printed_byte_for_byte() -> None:
    shown = CliRunner().invoke(countersign, ["slack", "manifest"])
    assert (shown.exit_code, shown.stdout_bytes) == (0, (ROOT / "manifest.yml").read_bytes())
