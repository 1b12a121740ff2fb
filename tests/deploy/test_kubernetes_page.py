"""What docs/deploying/kubernetes.md shows is what the files take: values, patches, objects and their figures."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.commands.running import STOP_TIMEOUT_SECONDS
from bot.settings import ApiSettings, Settings, SlackSettings
from bot.settings.variables import variables_of
from core.policy.policy_file import SETTLE_SECONDS
from tests.deploy.test_kubernetes import VERSIONS
from tests.harness.helm import HELM_VERSION, Helm
from tests.harness.kubernetes_objects import Objects
from tests.harness.kustomize import kustomized, require_recent_kubectl

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploying" / "kubernetes.md").read_text(encoding="utf-8")


def shown(language: str) -> list[str]:
    """Each block in this language, without the indentation that it has in a list."""
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks]


def yaml_blocks() -> list[dict[str, Any]]:
    """What is shown as YAML."""
    return [YAML(typ="safe").load(StringIO(each)) for each in shown("yaml")]


@pytest.fixture(scope="module")
def helm() -> Iterator[Helm]:
    """Helm, with the chart."""
    with Helm(ROOT / "deploy" / "helm" / "countersign") as helm:
        yield helm


@pytest.mark.helm
def test_values_are_taken_by_the_chart(helm: Helm) -> None:
    values = [each for each in yaml_blocks() if "kind" not in each and "resources" not in each]
    assert len(values) == 4

    for each in values:
        # Values are given to one release, beside those of "With Helm".
        made = Objects(helm.render(each))
        assert made.pod["containers"][0]["args"] == [each.get("command", "serve")]


@pytest.mark.helm
def test_secrets_as_files_need_no_secret(helm: Helm) -> None:
    (values,) = [each for each in yaml_blocks() if each.get("existingSecret") == ""]
    (wanted,) = [each for each in yaml_blocks() if each.get("kind") == "SecretProviderClass"]
    found = Objects(helm.render(values))
    known = {f"{name}_FILE" for name in variables_of(Settings, SlackSettings, ApiSettings)}
    files = YAML(typ="safe").load(StringIO(wanted["spec"]["parameters"]["objects"]))[0]["jmesPath"]
    named = {f"/run/countersign/{each['objectAlias']}": f"{each['path']}_FILE" for each in files}

    for container in found.containers:
        settings = found.environment(container)
        assert {settings[name]: name for name in settings if name.endswith("_FILE")} == named
        assert set(named.values()) <= known
        assert [each for each in container["envFrom"] if "secretRef" in each] == []
        assert {"name": "secrets", "mountPath": "/run/countersign", "readOnly": True} in container["volumeMounts"]
    (volume,) = [each for each in found.pod["volumes"] if each["name"] == "secrets"]
    assert volume["csi"]["volumeAttributes"]["secretProviderClass"] == wanted["metadata"]["name"]


@pytest.mark.helm
def test_pod_monitor_is_the_chart_s(helm: Helm) -> None:
    (monitor,) = [each for each in yaml_blocks() if each.get("kind") == "PodMonitor"]

    assert Objects(helm.render({"podMonitor": {"enabled": True}})).one("PodMonitor")["spec"] == monitor["spec"]


def test_operator_makes_the_secret_that_pods_read() -> None:
    require_recent_kubectl()
    (external,) = [each for each in yaml_blocks() if each.get("kind") == "ExternalSecret"]
    pods = Objects(kustomized(ROOT / "deploy" / "kubernetes" / "base"))
    (name,) = [each["secretRef"]["name"] for each in pods.containers[0]["envFrom"] if "secretRef" in each]

    assert external["spec"]["target"]["name"] == name
    assert external["metadata"]["namespace"] == pods.one("Deployment")["metadata"]["namespace"]


def test_second_installation_shares_nothing_with_the_first(tmp_path: Path) -> None:
    require_recent_kubectl()
    (text,) = [each for each in shown("yaml") if "resources: [../base]" in each]
    base = ROOT / "deploy" / "kubernetes" / "base"
    (tmp_path / "kustomization.yaml").write_text(text.replace("../base", os.path.relpath(base, tmp_path.resolve())))
    first, second = Objects(kustomized(base)), Objects(kustomized(tmp_path))
    settings = [each.environment(each.pod["containers"][0]) for each in (first, second)]

    assert {each["metadata"]["namespace"] for each in second.all} == {"countersign-staging"}
    assert all(settings[0][name] != settings[1][name] for name in ("COUNTERSIGN_STORE", "COUNTERSIGN_MFA_SECRETS"))


def test_trust_policies_name_the_account_of_the_pods() -> None:
    pod_identity, irsa = (json.loads(each)["Statement"][0] for each in shown("json"))
    conditions = irsa["Condition"]["StringEquals"]

    assert pod_identity["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert conditions["OIDC:sub"] == "system:serviceaccount:countersign:countersign"


def test_figures_are_those_of_the_code() -> None:
    pods = Objects(kustomized(ROOT / "deploy" / "kubernetes" / "base"))
    (scratch,) = [each["emptyDir"] for each in pods.pod["volumes"] if "emptyDir" in each]

    assert f"Helm {HELM_VERSION.removeprefix('v')} render" in PAGE
    assert f"Kubernetes {VERSIONS[0]}, {VERSIONS[1]} and {VERSIONS[2]} by" in PAGE
    assert f"| {pods.pod['terminationGracePeriodSeconds']} seconds | a stop takes {STOP_TIMEOUT_SECONDS:.0f}" in PAGE
    assert f"`/tmp` in {scratch['sizeLimit'].removesuffix('Mi')} MB" in PAGE
    assert SETTLE_SECONDS == 2
