"""The rules that hold pods against the Pod Security Standard: each finds what it is for."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.harness.kubernetes_objects import find_unrestricted

CONTAINER: dict[str, Any] = {
    "name": "main",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
POD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [CONTAINER],
    "volumes": [{"name": "scratch", "emptyDir": {}}],
}


def pod_with(**changes: object) -> dict[str, Any]:
    return {**copy.deepcopy(POD), **changes}


def container_with(**changes: object) -> dict[str, Any]:
    context = {**CONTAINER["securityContext"], **changes}
    return pod_with(initContainers=[{"name": "first", "securityContext": context}])


def test_restricted_pod_passes() -> None:
    assert list(find_unrestricted(POD)) == []


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        (pod_with(hostNetwork=True), ["hostNetwork"]),
        (pod_with(hostPID=True), ["hostPID"]),
        (pod_with(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), ["volumes.v"]),
        (pod_with(securityContext={}), ["main.runAsNonRoot", "main.seccompProfile"]),
        (pod_with(securityContext={**POD["securityContext"], "runAsUser": 0}), ["securityContext.runAsUser"]),
        (pod_with(containers=[{**CONTAINER, "ports": [{"hostPort": 80}]}]), ["main.ports"]),
        (container_with(capabilities={}), ["first.capabilities.drop"]),
        (container_with(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), ["first.capabilities.add"]),
        (container_with(allowPrivilegeEscalation=None), ["first.allowPrivilegeEscalation"]),
        (container_with(privileged=True), ["first.privileged"]),
        (container_with(runAsNonRoot=False), ["first.runAsNonRoot"]),
        (container_with(runAsUser=0), ["first.runAsUser"]),
        (container_with(seccompProfile={"type": "Unconfined"}), ["first.seccompProfile"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_the_standard_forbids_is_named(pod: dict[str, Any], found: list[str]) -> None:
    assert list(find_unrestricted(pod)) == found
