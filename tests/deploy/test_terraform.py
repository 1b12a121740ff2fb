"""The Terraform module of deploy/: its tables are the schema's, its rights those that the command line prints."""

from __future__ import annotations

import ast
import json
import logging
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import hcl2
import pytest

from bot.cli import countersign
from bot.observability.metrics import Metrics
from bot.observability.watcher import Watcher
from bot.settings import ApiSettings, Settings, SlackSettings
from bot.settings.variables import variables_of
from core.audit.trail import AuditAction
from core.stores.schema import TABLES, TTL_ATTRIBUTE
from tests.builders import a_request

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "deploy" / "terraform"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(MODULE.glob("*.tf"))}
EXAMPLE = (MODULE / "example" / "main.tf").read_text(encoding="utf-8")
STOP_SECONDS = 28
"""How long a stop may take: docs/operators.md, Stopping."""
RUNBOOK = re.compile(r"docs/(\w+)\.md#([\w-]+)")


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


def unescaped(text: str) -> str:
    """A text as people read it."""
    return text.replace('\\"', '"')


def default_of(variable: dict[str, Any]) -> str:
    """What the page says about a variable's default."""
    return f"`{json.dumps(variable['default'])}`" if "default" in variable else "required"


def logged_forms() -> Iterator[str]:
    """Every text that core and bot log as an error, with its places for values."""
    for path in (each for room in ("core", "bot") for each in (ROOT / room).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if ".error(" not in text and ".exception(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(ast.Attribute(attr="error" | "exception"), [ast.Constant(str(form)), *_]):
                    yield form


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

    assert named == ["../iam-policy.json", "../iam-policy.broker.json", "../iam-policy.operator.json"]
    for each in named:
        content = (MODULE / each).read_text(encoding="utf-8")
        # What the module replaces is in them, and nothing else that has to be.
        assert {"REGION", "ACCOUNT_ID"} <= set(re.findall(r"[A-Z_]{5,}", content))
        assert re.findall(r"table/(?!countersign-)", content) == []
        assert re.findall(r"arn:(?!aws:)", content) == []


def test_every_variable_is_described_and_used() -> None:
    variables = blocks("variable")
    used = {name for text in TEXTS.values() for name in re.findall(r"\bvar\.(\w+)", text)}

    assert set(variables) == used
    assert [name for name, body in variables.items() if not body["description"] or not body["type"]] == []
    assert [name for name, body in blocks("output").items() if not body["description"]] == []


def test_readme_lists_every_input_and_output() -> None:
    readme = (MODULE / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|(?: (.+) \|)?$", readme, re.MULTILINE)

    assert rows == [
        *((name, unescaped(body["description"]), default_of(body)) for name, body in blocks("variable").items()),
        *((name, unescaped(body["description"]), "") for name, body in blocks("output").items()),
    ]


def test_example_gives_all_that_the_module_needs() -> None:
    given = set(parse(EXAMPLE)["module"][0]["countersign"]) - {"source"}
    variables = blocks("variable")

    assert given <= set(variables)
    assert {name for name, body in variables.items() if "default" not in body} <= given
    assert set(re.findall(r"module\.countersign\.(\w+)", EXAMPLE)) <= set(blocks("output"))
    assert (MODULE / "example" / "policy.yml").read_bytes() == (ROOT / "policy.example.yml").read_bytes()
    # Nothing but the region has to be given.
    asked = {name for each in parse(EXAMPLE)["variable"] for name, body in each.items() if "default" not in body}
    assert asked == {"region"}


def test_tasks_run_commands_and_settings_of_the_bot() -> None:
    text = TEXTS["main.tf"] + TEXTS["service.tf"]
    settings = set(variables_of(Settings, SlackSettings, ApiSettings))

    assert set(re.findall(r"\b(COUNTERSIGN_\w+|SLACK_\w+)", "".join(TEXTS.values()))) <= settings
    assert set(parse(TEXTS["main.tf"])["locals"][0]["commands"]) == {"bot", "broker"}
    commands = {*re.findall(r'(?:bot|broker)\s+= \["(\w+)"\]', TEXTS["main.tf"]), "doctor"}
    assert commands <= set(countersign.list_commands(click.Context(countersign)))
    assert commands == {"serve", "broker", "doctor"}
    # The page is served where the health check asks, in the image's Python, and says whether the process lives.
    address = re.search(r'COUNTERSIGN_METRICS = "(\S+)"', text)
    assert address is not None
    assert f"http://{address[1]}/healthz" in text
    assert "/readyz" not in re.sub(r"#.*", "", text)


def test_containers_can_do_nothing_that_they_need_not() -> None:
    text = TEXTS["service.tf"]

    # Every container is made of what is hardened, and one of them is root: see the module's README.
    assert len(re.findall(r"image\s+= var\.image", text)) == len(re.findall(r"merge\(local\.hardened", text)) == 3
    assert parse(text)["locals"][0]["hardened"] == {
        "readonlyRootFilesystem": True,
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}},
    }
    assert len(re.findall(r"\buser\s+=", text)) == 1
    assert int(re.findall(r"stopTimeout\s+= (\d+)", text)[0]) > STOP_SECONDS


def test_alarms_of_the_log_watch_words_that_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    logged = [*logged_forms()]
    # What the reconciler changes is logged by its name in the audit trail.
    with caplog.at_level(logging.INFO):
        Watcher(Metrics()).committed(a_request(), AuditAction.REVOKE_FAILING)
    logged += caplog.messages
    phrases = [
        phrase for alarm in parse(TEXTS["alarms.tf"])["locals"][0]["log_alarms"].values() for phrase in alarm["phrases"]
    ]

    assert phrases
    assert [phrase for phrase in phrases if not any(phrase in each for each in logged)] == []
    # In JSON they look the same, so that CloudWatch finds them.
    assert [phrase for phrase in phrases if json.dumps(phrase) != f'"{phrase}"'] == []


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
