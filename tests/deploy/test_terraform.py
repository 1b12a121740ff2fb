"""The Terraform module of deploy/: its tables are the schema's, its rights those that the command line prints."""

from __future__ import annotations

import ast
import json
import logging
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import click
import pytest

from bot.cli import countersign
from bot.observability.metrics import Metrics
from bot.observability.watcher import Watcher
from bot.settings import ApiSettings, Settings, SlackSettings
from bot.settings.variables import variables_of
from core.audit.trail import AuditAction
from core.stores.schema import TABLES, TTL_ATTRIBUTE
from tests.builders import a_request
from tests.deploy.terraform_files import EXAMPLE, MODULE, ROOT, TEXTS, blocks, parse

STOP_SECONDS = 28
"""How long a stop may take: docs/operators.md, Stopping."""
RUNBOOK = re.compile(r"docs/(\w+)\.md#([\w-]+)")


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
    pythons = set(re.findall(r"/[\w/]+/bin/python", text))
    assert pythons == set(
        re.findall(r'CMD \["(/[\w/]+/bin/python)"', (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    )


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


def resource(file: str, type_: str, name: str) -> dict[str, Any]:
    """A resource of the module."""
    found: dict[str, Any] = next(
        each[type_][name] for each in parse(TEXTS[file])["resource"] if name in each.get(type_, ())
    )
    return found


def test_tables_are_kept_whatever_happens() -> None:
    table = resource("tables.tf", "aws_dynamodb_table", "this")

    assert table["billing_mode"] == "PAY_PER_REQUEST"
    assert table["deletion_protection_enabled"] is True
    assert table["lifecycle"] == [{"prevent_destroy": True}]
    assert table["point_in_time_recovery"] == [{"enabled": True}]
    assert table["server_side_encryption"] == [{"enabled": True, "kms_key_arn": "${aws_kms_key.this.arn}"}]
    index = next(each["global_secondary_index"] for each in table["dynamic"] if "global_secondary_index" in each)
    assert index["content"][0]["projection_type"] == "ALL"


def test_service_goes_back_and_lets_nobody_in() -> None:
    service = resource("service.tf", "aws_ecs_service", "this")

    assert service["deployment_circuit_breaker"] == [{"enable": True, "rollback": True}]
    assert (service["deployment_minimum_healthy_percent"], service["deployment_maximum_percent"]) == (100, 200)
    # Only a load balancer that terminals need may connect.
    ways_in = [
        each for text in TEXTS.values() for each in re.findall(r'"aws_vpc_security_group_ingress_rule" "(\w+)"', text)
    ]
    assert ways_in == ["balancer"]
    rule = resource("main.tf", "aws_vpc_security_group_ingress_rule", "balancer")
    assert rule["referenced_security_group_id"] == "${each.value.security_group_id}"
    assert not {"cidr_ipv4", "cidr_ipv6"} & set(rule)


def test_silence_counts_as_down() -> None:
    down = resource("alarms.tf", "aws_cloudwatch_metric_alarm", "down")

    assert (down["statistic"], down["comparison_operator"], down["threshold"]) == (
        "SampleCount",
        "LessThanThreshold",
        1,
    )
    assert down["treat_missing_data"] == "breaching"


def test_both_kinds_of_secrets_can_be_read_when_a_task_starts() -> None:
    documents = parse(TEXTS["iam.tf"])["data"]
    secrets = next(each["aws_iam_policy_document"]["secrets"] for each in documents if "secrets" in str(each)[:60])

    allowed = [action for each in secrets["dynamic"] for action in each["statement"]["content"][0]["actions"]]
    assert allowed == ["ssm:GetParameters", "secretsmanager:GetSecretValue", "kms:Decrypt"]
