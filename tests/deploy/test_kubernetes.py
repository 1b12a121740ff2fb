"""The objects for Kubernetes in deploy/, however they are made: valid, hardened, and held against the bot's code."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from bot.cli import countersign
from bot.commands.running import STOP_TIMEOUT_SECONDS
from bot.observability.metrics import Metrics
from bot.settings import read_settings
from bot.settings.api import ApiSettings
from bot.settings.deployment import Settings
from bot.settings.slack import SlackSettings
from bot.settings.variables import variables_of
from bot.transport.health_pages import HealthPages
from bot.transport.readiness import Readiness
from core.policy import load_policy
from tests.harness.helm import Helm
from tests.harness.kubernetes_objects import Objects, find_unrestricted
from tests.harness.kustomize import kustomized, require_recent_kubectl

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "countersign"
VERSIONS = ("1.30", "1.34", "1.37")
"""The oldest that the chart takes, one between, and the newest whose schemas are here."""
KINDS = ["ConfigMap", "ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"]


@cache
def rendered(way: str) -> Objects:
    """What one way makes: the base and the example of Kustomize, and the chart."""
    if way == "chart":
        with Helm(CHART) as helm:
            return Objects(helm.render())
    if way == "example":
        require_recent_kubectl()
    return Objects(kustomized(KUBERNETES / way))


@pytest.fixture(params=["base", "example", pytest.param("chart", marks=pytest.mark.helm)])
def objects(request: pytest.FixtureRequest) -> Objects:
    """The objects of each way, one after the other."""
    return rendered(request.param)


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_are_valid(objects: Objects, version: str) -> None:
    for each in objects.all:
        kubernetes_validate.validate(each, version, strict=True)
    assert sorted(each["kind"] for each in objects.all) == KINDS


def test_chart_says_from_which_version_on() -> None:
    chart = YAML(typ="safe").load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["kubeVersion"] == f">={VERSIONS[0]}.0-0"


def test_pod_may_run_where_restricted_is_enforced(objects: Objects) -> None:
    assert list(find_unrestricted(objects.pod)) == []


def test_containers_may_do_nothing_that_they_need_not(objects: Objects) -> None:
    assert objects.pod["automountServiceAccountToken"] is False
    assert objects.one("ServiceAccount")["automountServiceAccountToken"] is False
    for each in objects.containers:
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
        assert each["resources"]["limits"]["memory"]
        assert [mount["name"] for mount in each["volumeMounts"] if not mount.get("readOnly")] == ["scratch"]
    (scratch,) = [each for each in objects.pod["volumes"] if each["name"] == "scratch"]
    assert scratch["emptyDir"]["sizeLimit"]


def test_arguments_and_settings_are_those_of_the_bot(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in objects.containers:
        assert each["args"][0] in countersign.list_commands(click.Context(countersign))
        assert set(objects.environment(each)) <= set(variables_of(Settings))
    doctor, serve = objects.containers
    assert [doctor["args"], serve["args"]] == [["doctor", "--start"], ["serve"]]
    assert all(doctor[each] == serve[each] for each in ("env", "envFrom", "image", "volumeMounts"))
    for name, value in objects.environment(serve).items():
        monkeypatch.setenv(name, value)
    read_settings()


def test_secrets_come_from_a_secret_and_from_nowhere_else(objects: Objects) -> None:
    kinds = (Settings, SlackSettings, ApiSettings)
    secret = {
        name
        for kind in kinds
        for name, field in zip(variables_of(kind), kind.model_fields.values(), strict=True)
        if "Secret" in str(field.annotation)
    }
    shown = {name for each in objects.all if each["kind"] == "ConfigMap" for name in each["data"]}

    assert len(secret) > 5
    for each in objects.containers:
        assert [source["secretRef"]["name"] for source in each["envFrom"] if "secretRef" in source] == ["countersign"]
        assert not secret & ({setting["name"] for setting in each["env"]} | shown)
    assert "Secret" not in {each["kind"] for each in objects.all}


def test_probes_ask_pages_that_are_served_on_their_port(objects: Objects) -> None:
    container = objects.pod["containers"][0]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    probes = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    pages = {getattr(page, "path", "") for page in HealthPages(Metrics(), Readiness({})).pages()}
    metadata = objects.template["metadata"]["annotations"]

    assert {each["port"] for each in probes.values()} == {"metrics"}
    assert objects.environment(container)["COUNTERSIGN_METRICS"] == f"0.0.0.0:{ports['metrics']}"
    assert objects.one("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] == ports["metrics"]
    assert metadata["prometheus.io/port"] == str(ports["metrics"])
    assert {each["path"] for each in probes.values()} <= pages
    # What depends on the store or on Slack restarts nothing.
    assert {name: each["path"] for name, each in probes.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }


def test_stop_has_time_to_finish_and_a_drain_leaves_one(objects: Objects) -> None:
    deployment, budget = objects.one("Deployment")["spec"], objects.one("PodDisruptionBudget")["spec"]
    labels = deployment["selector"]["matchLabels"]

    assert objects.pod["terminationGracePeriodSeconds"] > STOP_TIMEOUT_SECONDS
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert deployment["replicas"] > budget["minAvailable"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"]["matchLabels"] == labels
    assert objects.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert labels.items() <= objects.template["metadata"]["labels"].items()
    assert [each["labelSelector"]["matchLabels"] for each in objects.pod["topologySpreadConstraints"]] == [labels] * 2


def test_network_lets_in_metrics_and_out_what_is_needed(objects: Objects) -> None:
    spec = objects.one("NetworkPolicy")["spec"]
    anywhere = [port for rule in spec["egress"] if "to" not in rule for port in rule["ports"]]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [len(rule["from"]) for rule in spec["ingress"]] == [1]
    assert {(each["protocol"], each["port"]) for each in anywhere} == {("UDP", 53), ("TCP", 53), ("TCP", 443)}


def test_policy_is_mounted_where_the_setting_says(objects: Objects, tmp_path: Path) -> None:
    container, policy = objects.pod["containers"][0], objects.one("ConfigMap", "countersign-policy")
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "policy"]
    (volume,) = [each for each in objects.pod["volumes"] if each["name"] == "policy"]
    file = tmp_path / "policy.yml"
    file.write_text(policy["data"]["policy.yml"], encoding="utf-8")

    assert volume["configMap"]["name"] == policy["metadata"]["name"]
    assert objects.environment(container)["COUNTERSIGN_POLICY"] == f"{mount['mountPath']}/policy.yml"
    # A file that is mounted alone never changes in a running pod.
    assert "subPath" not in mount
    load_policy(file)


def test_base_has_the_example_policy_and_names_by_digest() -> None:
    objects = rendered("base")
    names = [each["metadata"]["name"] for each in objects.all if each["kind"] == "ConfigMap"]

    assert objects.one("ConfigMap", "countersign-policy")["data"]["policy.yml"] == (
        ROOT / "policy.example.yml"
    ).read_text(encoding="utf-8")
    # What changes has a new name, and so new pods, which doctor checks before they serve.
    assert all(re.fullmatch(r"countersign-(policy|settings)-[a-z0-9]{10}", name) for name in names)


def test_example_changes_what_is_a_team_s_own_and_no_more() -> None:
    base, example = rendered("base"), rendered("example")
    account, container = example.one("ServiceAccount"), example.pod["containers"][0]
    settings = example.environment(container)

    assert account["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/countersign"
    }
    assert container["image"].startswith("111122223333.dkr.ecr.eu-central-1.amazonaws.com/countersign:")
    assert settings["COUNTERSIGN_STORE"] == "dynamodb://eu-central-1/countersign"
    assert set(settings) == set(base.environment(base.pod["containers"][0]))
    assert _but_for_own(example) == _but_for_own(base)


def _but_for_own(objects: Objects) -> dict[str, Any]:
    """The deployment without image and names of ConfigMaps, which the example changes."""
    text = repr(objects.one("Deployment"))
    text = re.sub(r"-[a-z0-9]{10}'", "'", text)
    return {"deployment": re.sub(r"'image': '[^']+'", "'image'", text), "budget": objects.one("PodDisruptionBudget")}
