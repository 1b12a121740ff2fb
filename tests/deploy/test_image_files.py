"""The files that the image and compose are made of, held against the tools that read them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from compose_spec import PyCompose
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
LARGE = (ROOT / "compose.dynamodb.yaml").read_text(encoding="utf-8")


def interpolated(text: str) -> str:
    """A file as compose reads it once the variables are set."""
    return re.sub(r"\$\{\w+:(?:-([^}]*)|\?[^}]*)\}", lambda found: found[1] or "1000:1000", text)


def service() -> dict[str, Any]:
    """The service of the small set-up."""
    loaded: dict[str, Any] = YAML(typ="safe").load(interpolated(COMPOSE))["services"]["countersign"]
    return loaded


def test_dockerfile_has_nothing_that_hadolint_finds() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], check=False, capture_output=True, text=True)  # noqa: S603
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("text", [COMPOSE, LARGE], ids=["compose.yaml", "compose.dynamodb.yaml"])
def test_compose_files_hold_to_the_specification(text: str) -> None:
    assert "countersign" in PyCompose.from_yaml(interpolated(text)).service_names()
    # A word that it doesn't know is found.
    with pytest.raises(ValueError, match="read_onyl"):
        PyCompose.from_yaml(interpolated(text).replace("read_only", "read_onyl"))


def test_image_is_built_as_the_version_that_its_tag_names() -> None:
    assert service()["image"] == f"countersign:{service()['build']['args']['VERSION']}"
    assert set(service()["build"]["args"]) == set(re.findall(r"(?m)^ARG (\w+)=unknown", read("Dockerfile")))


def test_extras_that_the_page_adds_are_those_of_the_server() -> None:
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    (named,) = re.findall(r"--build-arg EXTRAS=([\w,]+)` adds", read("docs/deploying/containers.md"))

    assert sorted(named.split(",")) == sorted(set(extras) - {"dev", "mcp", "terminal"})
    # Without it, nothing is installed that the lock doesn't name.
    assert re.findall(r"(?m)^ARG EXTRAS=(.*)$", read("Dockerfile")) == [""]
    assert '&& if [ -n "${EXTRAS}" ]; then' in read("Dockerfile")


def test_base_is_pinned_by_its_digest() -> None:
    assert re.search(r"(?m)^ARG BASE=pinned$", read("Dockerfile"))
    pinned, *stages = re.findall(r"(?m)^FROM (\S+)", read("Dockerfile"))
    assert re.fullmatch(r"\S+:\S+@sha256:[0-9a-f]{64}", pinned)
    assert stages == ["${BASE}", "base", "scratch"]


def test_build_gets_the_sources_and_nothing_else() -> None:
    first, *others = [line for line in read(".dockerignore").splitlines() if line and not line.startswith("#")]
    copied = {
        name for line in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", read("Dockerfile")) for name in line.split()
    }

    assert first == "*"
    assert {each[1:] for each in others if each.startswith("!")} == {
        "deploy/image" if each.startswith("deploy/image/") else each for each in copied
    }


def read(name: str) -> str:
    """The text of a file at the root."""
    return (ROOT / name).read_text(encoding="utf-8")
