"""The Terraform module of deploy/: its tables are the schema's, its rights those that the command line prints."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from core.stores.schema import TABLES, TTL_ATTRIBUTE

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "deploy" / "terraform"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(MODULE.glob("*.tf"))}
EXAMPLE = (MODULE / "example" / "main.tf").read_text(encoding="utf-8")
RUNBOOK = re.compile(r"docs/(\w+)\.md#([\w-]+)")


def plain(value: Any) -> Any:  # noqa: ANN401 - any value of a parsed file
    """A parsed value without the quotes and the notes that the parser keeps."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items() if not str(key).startswith("__")}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.strip('"') if isinstance(value, str) else value


def parse(text: str) -> dict[str, Any]:
    """A file of Terraform, as values."""
    parsed: dict[str, Any] = plain(hcl2.loads(text))
    return parsed


def blocks(kind: str) -> dict[str, Any]:
    """All blocks of a kind with one label, by the label."""
    return {name: body for text in TEXTS.values() for each in parse(text).get(kind, ()) for name, body in each.items()}


def test_tables_are_those_of_the_schema() -> None:
    local = parse(TEXTS["tables.tf"])["locals"][0]

    assert local["tables"] == {
        table.suffix: {
            "key": list(table.key.names()),
            "indexes": {name: list(key.names()) for name, key in table.indexes.items()},
        }
        for table in TABLES
    }
    assert set(local["number_attributes"]) == {name for table in TABLES for name in table.number_attributes}
    assert local["tables_without_ttl"] == [table.suffix for table in TABLES if not table.forgets]
    assert f'["{TTL_ATTRIBUTE}"]' in TEXTS["tables.tf"]


def test_rights_are_the_files_that_the_command_line_prints() -> None:
    named = re.findall(r"\$\{path\.module\}/(\S+?)\"", TEXTS["iam.tf"])

    assert named == ["../iam-policy.json", "../iam-policy.operator.json"]
    for each in named:
        content = (MODULE / each).read_text(encoding="utf-8")
        # What the module replaces is in them, and nothing else that has to be.
        assert {"REGION", "ACCOUNT_ID"} <= set(re.findall(r"[A-Z_]{5,}", content))
        assert re.findall(r"table/(?!countersign-)", content) == []


def test_every_variable_is_described_and_used() -> None:
    variables = blocks("variable")
    used = {name for text in TEXTS.values() for name in re.findall(r"\bvar\.(\w+)", text)}

    assert set(variables) == used
    assert [name for name, body in variables.items() if not body["description"] or not body["type"]] == []
    assert [name for name, body in blocks("output").items() if not body["description"]] == []


def test_example_gives_all_that_the_module_needs() -> None:
    given = set(parse(EXAMPLE)["module"][0]["countersign"]) - {"source"}
    variables = blocks("variable")

    assert given <= set(variables)
    assert {name for name, body in variables.items() if "default" not in body} <= given
    assert set(re.findall(r"module\.countersign\.(\w+)", EXAMPLE)) <= set(blocks("output"))
    assert (MODULE / "example" / "policy.yml").read_bytes() == (ROOT / "policy.example.yml").read_bytes()


def test_alarms_of_the_log_watch_lines_that_are_logged() -> None:
    code = "".join(path.read_text(encoding="utf-8") for each in ("core", "bot") for path in (ROOT / each).rglob("*.py"))
    patterns = re.findall(r'\$\.message = \\"([^"\\]+)\\"', TEXTS["alarms.tf"])

    assert len(patterns) == len(parse(TEXTS["alarms.tf"])["locals"][0]["log_alarms"])
    # The name of an audit action, or the text itself; `*` is what changes.
    for pattern in patterns:
        words = pattern.strip("*").removesuffix(" on ").strip()
        assert words in code, pattern


@pytest.mark.parametrize(
    ("page", "anchor"), sorted({each for text in TEXTS.values() for each in RUNBOOK.findall(text)})
)
def test_alarm_names_a_page_that_exists(page: str, anchor: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    anchors = {
        re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    assert anchor in anchors


def test_files_are_formatted() -> None:
    if shutil.which("terraform") is None:
        pytest.skip("terraform isn't here")
    checked = subprocess.run(  # noqa: S603 - a fixed command
        ["terraform", "fmt", "-check", "-recursive", str(MODULE)],  # noqa: S607 - found on the PATH, as people do
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, "")
