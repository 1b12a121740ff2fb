"""What the chart's values change: image, policy, API, broker, monitoring, and everything that can be left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from bot.commands.running import STOP_TIMEOUT_SECONDS
from bot.settings import read_api_settings
from tests.harness.helm import ChartRefused, Helm
from tests.harness.kubernetes_objects import Objects, find_unrestricted

ROOT = Path(__file__).parents[2]
NEWEST = "1.37"

pytestmark = pytest.mark.helm


@pytest.fixture(scope="module")
def helm() -> Iterator[Helm]:
    """Helm, with the chart."""
    with Helm(ROOT / "deploy" / "helm" / "countersign") as helm:
        yield helm


def test_image_by_digest_needs_no_tag(helm: Helm) -> None:
    digest = f"sha256:{'0' * 64}"
    values = {"image": {"repository": "registry.example/countersign", "tag": "9", "digest": digest}}
    pod = Objects(helm.render(values))

    assert {each["image"] for each in pod.containers} == {f"registry.example/countersign@{digest}"}


def test_two_releases_in_one_namespace_have_nothing_in_common(helm: Helm) -> None:
    first, second = Objects(helm.render(name="a")), Objects(helm.render(name="b"))
    names = [{(each["kind"], each["metadata"]["name"]) for each in release.all} for release in (first, second)]

    assert names[0].isdisjoint(names[1])
    assert first.one("Deployment")["spec"]["selector"] != second.one("Deployment")["spec"]["selector"]
    assert {each["metadata"]["namespace"] for each in first.all} == {"countersign"}


def test_policy_rolls_out_or_changes_in_running_pods_as_asked(helm: Helm) -> None:
    def annotations(content: str, *, rolls_out: bool) -> dict[str, str]:
        made = Objects(helm.render({"policy": {"content": content, "rollOut": rolls_out}}))
        assert made.one("ConfigMap", "countersign-policy")["data"] == {"policy.yml": content}
        found: dict[str, str] = made.template["metadata"]["annotations"]
        return found

    first, second = "version: 1\n", 'version: 1\n# \u00fcn\u00efcode, "quotes" and a: colon\n'

    assert annotations(first, rolls_out=True) != annotations(second, rolls_out=True)
    assert annotations(first, rolls_out=False) == annotations(second, rolls_out=False)


def test_policy_may_be_in_a_config_map_of_ones_own(helm: Helm) -> None:
    found = Objects(helm.render({"policy": {"existingConfigMap": "ours"}}))
    (volume,) = [each for each in found.pod["volumes"] if each["name"] == "policy"]

    assert volume["configMap"]["name"] == "ours"
    assert [each["metadata"]["name"] for each in found.all if each["kind"] == "ConfigMap"] == ["countersign-settings"]
    assert "example is in force" not in helm.notes({"policy": {"existingConfigMap": "ours"}})
    assert "example is in force" in helm.notes()


def test_changed_settings_make_new_pods(helm: Helm) -> None:
    values = [{"settings": {"COUNTERSIGN_RETENTION": days}} for days in ("1d", "2d")]
    first, second = (Objects(helm.render(each)).template["metadata"] for each in values)

    assert first != second


class TestApi:
    """The API for terminals, in `serve` and as a broker."""

    URL = "https://countersign.example.com"
    PEER: ClassVar[dict[str, Any]] = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}

    def test_is_served_behind_a_service(self, helm: Helm) -> None:
        ingress = {"enabled": True, "className": "nginx", "tlsSecret": "tls"}
        api = {"enabled": True, "url": self.URL, "proxies": ["10.0.0.0/8"], "from": [self.PEER], "ingress": ingress}
        found = Objects(helm.render({"api": api}))
        serve = found.pod["containers"][0]
        ports = {each["name"]: each["containerPort"] for each in serve["ports"]}
        settings = found.environment(serve)
        service, route = found.one("Service")["spec"], found.one("Ingress")["spec"]

        for each in found.all:
            kubernetes_validate.validate(each, NEWEST, strict=True)
        assert settings["COUNTERSIGN_API_LISTEN"] == f"0.0.0.0:{ports['api']}"
        assert settings["COUNTERSIGN_API_URL"] == self.URL
        assert settings["COUNTERSIGN_API_PROXIES"] == "10.0.0.0/8"
        assert service["ports"][0]["targetPort"] in ports
        assert service["selector"] == found.one("Deployment")["spec"]["selector"]["matchLabels"]
        assert [each["host"] for each in route["rules"]] == ["countersign.example.com"]
        assert route["rules"][0]["http"]["paths"][0]["path"] == "/v1"
        assert found.one("NetworkPolicy")["spec"]["ingress"][1] == {
            "from": [self.PEER],
            "ports": [{"protocol": "TCP", "port": ports["api"]}],
        }

    def test_stop_waits_for_proxies_first(self, helm: Helm) -> None:
        pod = Objects(helm.render({"api": {"enabled": True, "url": self.URL}})).pod
        waits = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

        assert pod["terminationGracePeriodSeconds"] - waits > STOP_TIMEOUT_SECONDS

    def test_needs_to_be_known_to_terminals(self, helm: Helm) -> None:
        with pytest.raises(ChartRefused, match=r"api\.url"):
            helm.render({"api": {"enabled": True}})

    def test_broker_is_a_release_that_gives_credentials_only(self, helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
        found = Objects(helm.render({"command": "broker", "api": {"url": self.URL}}, name="broker"))
        (container,) = found.pod["containers"]
        for name, value in found.environment(container).items():
            monkeypatch.setenv(name, value)

        assert container["args"] == ["broker"]
        # `doctor --start` asks for what only `serve` has: a token for Socket Mode.
        assert "initContainers" not in found.pod
        assert read_api_settings().require_broker_listen().own_broker_url == self.URL
        assert list(find_unrestricted(found.pod)) == []
        assert found.one("Service")["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]


def test_alerts_are_those_of_prometheus(helm: Helm) -> None:
    rules = YAML(typ="safe").load((ROOT / "deploy" / "prometheus" / "countersign.rules.yml").read_text("utf-8"))
    found = Objects(helm.render({"prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}}}))

    assert found.one("PrometheusRule")["spec"] == rules
    assert found.one("PrometheusRule")["metadata"]["labels"]["release"] == "prometheus"


def test_pod_monitor_finds_the_pods_and_their_port(helm: Helm) -> None:
    found = Objects(helm.render({"podMonitor": {"enabled": True}}))
    spec = found.one("PodMonitor")["spec"]

    assert spec["selector"] == found.one("Deployment")["spec"]["selector"]
    assert spec["podMetricsEndpoints"][0]["port"] in {each["name"] for each in found.pod["containers"][0]["ports"]}


def test_everything_optional_can_be_left_out_or_added(helm: Helm) -> None:
    least = {
        "serviceAccount": {"create": False, "name": "ours"},
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "existingSecret": "",
        "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
        "topologySpreadConstraints": [],
    }
    most = {
        "imagePullSecrets": [{"name": "registry"}],
        "image": {"pullPolicy": "Always"},
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "podLabels": {"team": "platform"},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/countersign"}},
        "networkPolicy": {"extraEgress": [{"ports": [{"protocol": "TCP", "port": 8443}]}]},
        "extraEnv": [{"name": "WAREHOUSE_SECRET", "valueFrom": {"secretKeyRef": {"name": "w", "key": "k"}}}],
        "extraEnvFrom": [{"secretRef": {"name": "more"}}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
        "terminationGracePeriodSeconds": 60,
    }
    for values in (least, most):
        found = Objects(helm.render(values))
        for each in found.all:
            kubernetes_validate.validate(each, NEWEST, strict=True)
        assert list(find_unrestricted(found.pod)) == []
        assert helm.lint(values) == []
    assert {each["kind"] for each in helm.render(least)} == {"ConfigMap", "Deployment"}
