"""Rendered objects of Kubernetes, and the Pod Security Standard "restricted" as rules over them.

Invariant: the rules are those of kubernetes.io/docs/concepts/security/pod-security-standards, baseline included, for
Linux pods. Each finding names the field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

_VOLUMES: Final = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
_SECCOMP: Final = frozenset({"RuntimeDefault", "Localhost"})
_HOST: Final = ("hostNetwork", "hostPID", "hostIPC")


@dataclass(frozen=True, slots=True)
class Objects:
    """What one way of rendering made."""

    all: Sequence[dict[str, Any]]

    def one(self, kind: str, name_start: str = "") -> dict[str, Any]:
        """The only object of this kind whose name begins so."""
        (found,) = [
            each for each in self.all if each["kind"] == kind and each["metadata"]["name"].startswith(name_start)
        ]
        return found

    @property
    def template(self) -> dict[str, Any]:
        """The pod of the deployment, with its metadata."""
        found: dict[str, Any] = self.one("Deployment")["spec"]["template"]
        return found

    @property
    def pod(self) -> dict[str, Any]:
        """The pod of the deployment."""
        found: dict[str, Any] = self.template["spec"]
        return found

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Each container of the pod: doctor first."""
        return [*self.pod.get("initContainers", ()), *self.pod["containers"]]

    def environment(self, container: dict[str, Any]) -> dict[str, str]:
        """The variables that a container gets from ConfigMaps and from its own list, which counts more."""
        maps = [each["configMapRef"]["name"] for each in container["envFrom"] if "configMapRef" in each]
        found = {name: value for each in maps for name, value in self.one("ConfigMap", each)["data"].items()}
        return {**found, **{each["name"]: each["value"] for each in container["env"] if "value" in each}}


def find_unrestricted(pod: dict[str, Any]) -> Iterator[str]:
    """What the standard forbids in this pod; nothing when it may run where "restricted" is enforced."""
    yield from (field for field in _HOST if pod.get(field))
    yield from (f"volumes.{each['name']}" for each in pod.get("volumes", ()) if not set(each) - {"name"} <= _VOLUMES)
    shared = pod.get("securityContext", {})
    if shared.get("sysctls"):
        yield "securityContext.sysctls"
    if shared.get("runAsUser") == 0:
        yield "securityContext.runAsUser"
    for each in (*pod.get("initContainers", ()), *pod["containers"], *pod.get("ephemeralContainers", ())):
        own = each.get("securityContext", {})
        yield from (f"{each['name']}.{field}" for field in _of_container(own, {**shared, **own}))
        yield from (f"{each['name']}.ports" for port in each.get("ports", ()) if port.get("hostPort"))


def _of_container(own: dict[str, Any], effective: dict[str, Any]) -> Iterator[str]:
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()):
        yield "capabilities.drop"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if own.get("privileged"):
        yield "privileged"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    if effective.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if own.get("runAsUser") == 0:
        yield "runAsUser"
    if effective.get("seccompProfile", {}).get("type") not in _SECCOMP:
        yield "seccompProfile"
