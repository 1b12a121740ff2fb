"""The resources in the files for deploying: the same everywhere, and no less than what was measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

ROOT: Final = Path(__file__).parents[2]
CAPACITY: Final = (ROOT / "docs/capacity.md").read_text()
LIMIT_MIB: Final = 512
CPU_UNITS: Final = 256
"""Of ECS, which calls a core 1,024."""


def read_yaml(name: str) -> Any:  # noqa: ANN401 - YAML
    return YAML(typ="safe").load(ROOT / name)


def measured(row: str) -> int:
    """The largest figure of this row of the page, in MiB."""
    (line,) = [line for line in CAPACITY.splitlines() if line.startswith(f"| {row}")]
    return max(int(each) for each in re.findall(r"(\d+) MiB", line))


def kubernetes() -> dict[str, Any]:
    (container,) = read_yaml("deploy/kubernetes/base/deployment.yaml")["spec"]["template"]["spec"]["containers"]
    return dict(container["resources"])


def default_of(variable: str) -> int:
    text = (ROOT / "deploy/terraform/variables.tf").read_text()
    found = re.search(rf'variable "{variable}" {{.*?default\s*=\s*(\d+)', text, re.DOTALL)
    assert found is not None
    return int(found[1])


def test_memory_is_the_same_in_every_way_of_deploying() -> None:
    unit = (ROOT / "deploy/systemd/countersign.service").read_text()
    assert f"\nMemoryMax={LIMIT_MIB}M\n" in unit
    assert read_yaml("compose.yaml")["services"]["countersign"]["mem_limit"] == f"{LIMIT_MIB}m"
    assert kubernetes()["limits"] == {"memory": f"{LIMIT_MIB}Mi"}
    assert (default_of("memory"), default_of("cpu")) == (LIMIT_MIB, CPU_UNITS)
    assert "| 0.25 vCPU, 512 MB" in CAPACITY


def test_resources_of_the_chart_are_those_of_the_manifests() -> None:
    assert read_yaml("deploy/helm/countersign/values.yaml")["resources"] == kubernetes()


def test_memory_has_room_above_what_was_measured() -> None:
    requested = int(kubernetes()["requests"]["memory"].removesuffix("Mi"))
    assert measured("memory at rest") < measured("memory at 10 clicks a second") < requested
    assert 2 * measured("the most that was seen") <= LIMIT_MIB
