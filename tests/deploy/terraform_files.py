"""The files of the Terraform module, parsed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "deploy" / "terraform"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(MODULE.glob("*.tf"))}
EXAMPLE = (MODULE / "example" / "main.tf").read_text(encoding="utf-8")


def plain(value: Any) -> Any:  # noqa: ANN401 - any value of a parsed file
    """A parsed value without the quotes and the notes that the parser keeps."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items() if not str(key).startswith("__")}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.strip('"') if isinstance(value, str) else value


@cache
def parse(text: str) -> dict[str, Any]:
    """A file of Terraform, as values."""
    parsed: dict[str, Any] = plain(hcl2.loads(text))
    return parsed


def blocks(kind: str) -> dict[str, Any]:
    """All blocks of a kind with one label, by the label."""
    return {name: body for text in TEXTS.values() for each in parse(text).get(kind, ()) for name, body in each.items()}
