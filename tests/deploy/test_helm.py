"""The chart in deploy/helm: the same objects as Kustomize's, by Helm's own engine, and no value that means nothing."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.settings.api import ApiSettings
from bot.settings.deployment import Settings
from bot.settings.slack import SlackSettings
from bot.settings.variables import variables_of
from tests.harness.helm import HELM_VERSION, ChartRefused, Helm
from tests.harness.kustomize import kustomized

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "countersign"
OF_HELM = {"app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"}
"""Labels by which Helm's tools know what they installed. Kustomize has no release and no chart to name."""
OF_CHART = {
    f"COUNTERSIGN_{each}"
    for each in ("API_LISTEN", "API_PROXIES", "API_URL", "BROKER_LISTEN", "BROKER_URL", "LISTEN", "METRICS", "POLICY")
}
"""Settings that have to agree with ports and mounts, so that the chart sets them itself, or supports no other way."""

pytestmark = pytest.mark.helm


@pytest.fixture(scope="module")
def helm() -> Iterator[Helm]:
    """Helm, with the chart."""
    with Helm(CHART) as helm:
        yield helm


def test_engine_is_the_helm_that_the_docs_name(helm: Helm) -> None:
    assert helm.version() == HELM_VERSION


def test_lint_finds_nothing(helm: Helm) -> None:
    assert helm.lint() == []


def test_chart_and_kustomize_make_the_same_objects(helm: Helm) -> None:
    of_chart = [_comparable(each) for each in helm.render()]
    of_base = [_comparable(each) for each in kustomized(ROOT / "deploy" / "kubernetes" / "base")]

    assert sorted(of_chart, key=_key) == sorted(of_base, key=_key)


def _key(each: dict[str, Any]) -> str:
    return f"{each['kind']} {each['metadata']['name']}"


def _comparable(found: dict[str, Any]) -> dict[str, Any]:
    """Without Helm's labels, and without what each has to roll out a changed ConfigMap: a digest."""
    each = copy.deepcopy(found)
    for name in OF_HELM & set(each["metadata"]["labels"]):
        del each["metadata"]["labels"][name]
    if each["kind"] == "ConfigMap":
        each["metadata"]["name"] = _without_digest(each["metadata"]["name"])
    if each["kind"] == "Deployment":
        template = each["spec"]["template"]
        for name in [name for name in template["metadata"]["annotations"] if name.startswith("checksum/")]:
            del template["metadata"]["annotations"][name]
        for container in (*template["spec"]["initContainers"], *template["spec"]["containers"]):
            for source in container["envFrom"]:
                for reference in source.values():
                    reference["name"] = _without_digest(reference["name"])
        for volume in template["spec"]["volumes"]:
            if "configMap" in volume:
                volume["configMap"]["name"] = _without_digest(volume["configMap"]["name"])
    return each


def _without_digest(name: str) -> str:
    return re.sub(r"-[a-z0-9]{10}$", "", name)


def test_chart_has_the_example_policy() -> None:
    assert (CHART / "files" / "policy.yml").read_bytes() == (ROOT / "policy.example.yml").read_bytes()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicas": 3}, "replicas"),
        ({"settings": {"COUNTERSIGN_STOER": "sqlite:///x"}}, "COUNTERSIGN_STOER"),
        ({"settings": {"SLACK_BOT_TOKEN": "xoxb-1"}}, "SLACK_BOT_TOKEN"),
        ({"settings": {"WAREHOUSE_SECRET": "s"}}, "WAREHOUSE_SECRET"),
        ({"settings": {"COUNTERSIGN_METRICS": "off"}}, "COUNTERSIGN_METRICS"),
        ({"image": {"digest": "sha256:short"}}, "digest"),
        ({"terminationGracePeriodSeconds": 28}, "terminationGracePeriodSeconds"),
        ({"api": {"enabled": True, "url": "http://countersign.example.com"}}, "url"),
    ],
)
def test_value_that_cant_be_meant_is_refused(helm: Helm, values: dict[str, Any], named: str) -> None:
    with pytest.raises(ChartRefused, match=named):
        helm.render(values)


def test_every_value_is_in_the_readme_and_in_the_schema() -> None:
    values = YAML(typ="safe").load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    rows = (CHART / "README.md").read_text(encoding="utf-8").split("| --- | --- | --- |\n")[1].splitlines()
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]

    assert sorted(named) == sorted(_names(values, schema))


def _names(values: dict[str, Any], schema: dict[str, Any], start: str = "") -> Iterator[str]:
    """Each value by its path, as far down as the schema says which there are."""
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) - {"global"} == set(values)
    for name, value in values.items():
        below = schema["properties"][name]
        if "properties" in below:
            yield from _names(value, below, f"{start}{name}.")
        else:
            yield f"{start}{name}"


def test_settings_are_those_that_the_chart_leaves_open() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    plain, files, others = schema["properties"]["settings"]["propertyNames"]["anyOf"]
    kinds = (Settings, SlackSettings, ApiSettings)
    secret = {
        name
        for kind in kinds
        for name, field in zip(variables_of(kind), kind.model_fields.values(), strict=True)
        if "Secret" in str(field.annotation)
    } | {"COUNTERSIGN_WEBHOOK_URL"}

    # A new setting belongs into values.schema.json, or into OF_CHART if the chart sets it.
    assert set(plain["enum"]) == set(variables_of(*kinds)) - secret - OF_CHART
    assert set(files["enum"]) == {f"{name}_FILE" for name in secret}
    assert re.search(others["pattern"], "HTTPS_PROXY")
    assert all(
        re.search(others["not"]["pattern"], name)
        for name in (*secret, "AWS_SECRET_ACCESS_KEY", "OTEL_EXPORTER_OTLP_HEADERS")
    )
