"""The objects for Kubernetes in deploy/: valid, hardened, and held against what the bot really does."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from bot.cli import countersign
from bot.settings import Settings
from bot.settings.variables import variables_of

ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.29", "1.33", "1.37")
"""The oldest that clouds still run, one between, and the newest whose schemas are here."""
FINISH_SECONDS = 28
"""How long a stop may take: docs/operators.md, Stopping."""


@cache
def rendered() -> str:
    """What `kubectl apply --kustomize` would send."""
    if shutil.which("kubectl") is None:
        if os.environ.get("COUNTERSIGN_REQUIRE_ENGINES"):
            pytest.fail("kubectl isn't here; on Debian: apt-get install kubernetes-client")
        pytest.skip("kubectl isn't here")
    return subprocess.run(  # noqa: S603 - a fixed command
        ["kubectl", "kustomize", str(BASE)],  # noqa: S607 - found on the PATH, as people do
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def objects() -> dict[str, Any]:
    """The objects, by kind."""
    return {each["kind"]: each for each in YAML(typ="safe").load_all(io.StringIO(rendered()))}


def pod() -> dict[str, Any]:
    """The pod of the deployment."""
    found: dict[str, Any] = objects()["Deployment"]["spec"]["template"]["spec"]
    return found


def containers() -> list[dict[str, Any]]:
    """Each container of the pod: doctor first."""
    return [*pod()["initContainers"], *pod()["containers"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_are_valid(version: str) -> None:
    found = objects()
    for each in found.values():
        kubernetes_validate.validate(each, version, strict=True)
    assert set(found) == {"ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"}


def test_containers_may_do_nothing_that_they_need_not() -> None:
    spec = pod()

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    for each in containers():
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert each["resources"]["limits"]["memory"]
        assert [mount["name"] for mount in each["volumeMounts"] if not mount.get("readOnly")] == ["scratch"]


def test_arguments_and_settings_are_those_of_the_bot() -> None:
    for each in containers():
        assert each["args"][0] in countersign.list_commands(click.Context(countersign))
        assert {setting["name"] for setting in each["env"]} <= set(variables_of(Settings))
    assert [each["args"] for each in containers()] == [["doctor", "--start"], ["serve"]]


def test_probes_ask_pages_that_are_served_on_their_port() -> None:
    container = pod()["containers"][0]
    settings = {each["name"]: each["value"] for each in container["env"]}
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}

    assert settings["COUNTERSIGN_METRICS"] == f"0.0.0.0:{ports['metrics']}"
    assert {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert objects()["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"] == ports["metrics"]


def test_stop_has_time_to_finish_and_a_drain_leaves_one() -> None:
    found = objects()
    labels = found["Deployment"]["spec"]["selector"]["matchLabels"]

    assert pod()["terminationGracePeriodSeconds"] > FINISH_SECONDS
    assert found["Deployment"]["spec"]["replicas"] > found["PodDisruptionBudget"]["spec"]["minAvailable"]
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert labels.items() <= found["Deployment"]["spec"]["template"]["metadata"]["labels"].items()


def test_policy_is_the_example_where_the_setting_says() -> None:
    config_map, container = objects()["ConfigMap"], pod()["containers"][0]
    settings = {each["name"]: each["value"] for each in container["env"]}
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}

    assert config_map["data"]["policy.yml"] == (ROOT / "policy.example.yml").read_text(encoding="utf-8")
    assert settings["COUNTERSIGN_POLICY"] == f"{mounted['policy']}/policy.yml"
    assert {each["name"]: each.get("configMap", {}).get("name") for each in pod()["volumes"]}["policy"] == (
        config_map["metadata"]["name"]
    )
    # A new policy has a new name, and so new pods, which doctor checks before they serve.
    assert re.fullmatch(r"countersign-policy-[a-z0-9]{10}", config_map["metadata"]["name"])
