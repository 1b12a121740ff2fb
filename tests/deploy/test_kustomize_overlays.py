"""What a team puts on top of the base, in a folder of its own: a live policy, and the API."""

from __future__ import annotations

import os
import re
from pathlib import Path

import kubernetes_validate
import pytest

from bot.commands.running import STOP_TIMEOUT_SECONDS
from bot.settings import read_api_settings
from tests.harness.helm import Helm
from tests.harness.kubernetes_objects import Objects
from tests.harness.kustomize import kustomized, require_recent_kubectl

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
URL = "https://countersign.example.com"
WITH_API = f"""
components: [API]
configMapGenerator:
  - name: countersign-settings
    behavior: merge
    literals: [COUNTERSIGN_API_URL={URL}]
"""


@pytest.fixture(autouse=True)
def _recent_kubectl() -> None:
    require_recent_kubectl()


def overlaid(folder: Path, text: str) -> Objects:
    """The base with this on top, from a folder beside the project."""
    base, api = (os.path.relpath(KUBERNETES / name, folder.resolve()) for name in ("base", "api"))
    (folder / "kustomization.yaml").write_text(f"resources: [{base}]\n{text.replace('API]', f'{api}]', 1)}")
    return Objects(kustomized(folder))


def test_policy_changes_in_running_pods_where_its_name_stays(tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_text("version: 1\n")
    found = overlaid(
        tmp_path,
        """
configMapGenerator:
  - name: countersign-policy
    behavior: replace
    files: [policy.yml]
    options: {disableNameSuffixHash: true}
""",
    )
    (volume,) = [each for each in found.pod["volumes"] if each["name"] == "policy"]

    assert volume["configMap"]["name"] == "countersign-policy"
    assert found.one("ConfigMap", "countersign-policy")["data"] == {"policy.yml": "version: 1\n"}
    # Settings are read at the start only: they go on rolling out.
    assert re.fullmatch(
        r"countersign-settings-\w{10}", found.one("ConfigMap", "countersign-settings")["metadata"]["name"]
    )


def test_api_is_served_behind_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = overlaid(tmp_path, WITH_API)
    serve = found.pod["containers"][0]
    ports = {each["name"]: each["containerPort"] for each in serve["ports"]}
    for each in found.all:
        kubernetes_validate.validate(each, "1.37", strict=True)
    for name, value in found.environment(serve).items():
        monkeypatch.setenv(name, value)
    api = read_api_settings()

    assert api.api_listen is not None
    assert api.api_listen.port == ports["api"]
    assert api.require_api_url() == URL
    waits = serve["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert found.pod["terminationGracePeriodSeconds"] - waits > STOP_TIMEOUT_SECONDS


@pytest.mark.helm
def test_api_is_the_same_as_the_chart_s(tmp_path: Path) -> None:
    of_base = overlaid(tmp_path, WITH_API)
    peer = of_base.one("NetworkPolicy")["spec"]["ingress"][1]["from"][0]
    with Helm(ROOT / "deploy" / "helm" / "countersign") as helm:
        of_chart = Objects(helm.render({"api": {"enabled": True, "url": URL, "from": [peer]}}))

    for kind in ("Service", "NetworkPolicy", "PodDisruptionBudget"):
        assert of_chart.one(kind)["spec"] == of_base.one(kind)["spec"]
    containers = [each.pod["containers"][0] for each in (of_chart, of_base)]
    for field in ("ports", "lifecycle", "readinessProbe", "livenessProbe", "args"):
        assert containers[0][field] == containers[1][field]
    assert of_chart.environment(containers[0]) == of_base.environment(containers[1])
