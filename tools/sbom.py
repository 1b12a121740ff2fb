"""`python -m tools.sbom`: the software bill of materials of what runs, as CycloneDX, from a locked environment.

Invariant: it lists every package that the lock installs, in that version, with the digests that the lock allows, and no
other package; each has a permissive license. The same environment, lock, wheel and time give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import click
import jsonschema_rs

from tools.build_wheel import ROOT, commit_time

BUILD_ONLY: Final = frozenset({"setuptools"})
"""In the lock, so that nothing unlocked builds the project; gone from what runs, or never loaded there."""

PERMISSIVE: Final = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-CMU", "PSF-2.0",
        "License :: OSI Approved :: Apache Software License", "License :: OSI Approved :: BSD License",
    }
)  # fmt: skip
"""Licenses that ask for no more than to be named. The last two are how older packages say it."""

Bom = dict[str, Any]


class UnfitBomError(click.ClickException):
    """The environment isn't what the lock says, or something in it has another license than we accept."""


@click.command()
@click.option("--environment", type=click.Path(path_type=Path, exists=True), required=True, help="Its Python.")
@click.option("--lock", type=click.Path(path_type=Path, exists=True), default=ROOT / "requirements-runtime.lock")
@click.option("--wheel", type=click.Path(path_type=Path, exists=True), help="Names the digest of this one.")
@click.option("--output", type=click.Path(path_type=Path), required=True)
def main(environment: Path, lock: Path, wheel: Path | None, output: Path) -> None:
    """Write the bill of materials of an environment. Its time is that of the commit."""
    bom = complete(observe(environment, commit_time(ROOT, "HEAD")), locked_digests(lock.read_text("utf-8")), wheel)
    if complaint := first_complaint(bom):
        raise UnfitBomError(f"not CycloneDX 1.6: {complaint}")
    output.write_text(json.dumps(bom, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    click.echo(f"{output}: {len(bom['components'])} packages")


def first_complaint(bom: Bom) -> str | None:
    """What CycloneDX's own schema finds wrong with a bill, or None. The tool's own check takes ten times as long."""
    schemas = files("cyclonedx.schema") / "_res"

    def read(address: str) -> Any:  # noqa: ANN401  JSON.
        name = address.rpartition("/")[2].replace(".schema.json", ".SNAPSHOT.schema.json")
        return json.loads((schemas / name.replace(".SNAPSHOT.SNAPSHOT", ".SNAPSHOT")).read_text("utf-8"))

    validator = jsonschema_rs.validator_for(read("bom-1.6.schema.json"), retriever=read, validate_formats=True)
    return next(
        (f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(bom)), None
    )


def observe(environment: Path, epoch: int) -> Bom:
    """What cyclonedx-py finds in the environment of a Python."""
    done = subprocess.run(  # noqa: S603  Ours.
        [
            sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml"),
            "--spec-version", "1.6", "--output-reproducible", "--no-validate", str(environment),
        ],
        check=False, capture_output=True, encoding="utf-8", env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
    )  # fmt: skip
    if done.returncode != 0:
        raise UnfitBomError(done.stderr)
    bom: Bom = json.loads(done.stdout)
    return bom


def complete(bom: Bom, locked: dict[tuple[str, str], list[str]], wheel: Path | None) -> Bom:
    """Hold a bill against the lock, and add what only the lock knows: which files are allowed."""
    # pip, and what else an environment brings along.
    wanted = {name for name, _ in locked}
    components = [each for each in bom["components"] if normal(each["name"]) in wanted]
    found = {(normal(each["name"]), each["version"]) for each in components}
    if found != locked.keys():
        differing = ", ".join(sorted(f"{name} {version}" for name, version in found ^ locked.keys()))
        raise UnfitBomError(f"the environment and the lock differ in {differing}")
    for each in components:
        _name_files(each, locked[normal(each["name"]), each["version"]])
    if strange := {each["name"]: licenses for each in components if (licenses := licenses_of(each)) - PERMISSIVE}:
        raise UnfitBomError(f"not known to be permissive, look at it first: {strange}")
    if unnamed := [each["name"] for each in components if not licenses_of(each)]:
        raise UnfitBomError(f"without a license: {', '.join(unnamed)}")
    kept = {each["bom-ref"] for each in components} | {bom["metadata"]["component"]["bom-ref"]}
    whole: Bom = {**bom, "components": components, "dependencies": _among(bom["dependencies"], kept)}
    if wheel is not None:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        whole["metadata"]["component"]["hashes"] = [{"alg": "SHA-256", "content": digest}]
    # A number of its own for each content, and no random one.
    return {**whole, "serialNumber": uuid5(NAMESPACE_URL, json.dumps(whole, sort_keys=True)).urn}


def _name_files(component: Bom, digests: list[str]) -> None:
    """Say which files a package may come from. One that was installed from a path has to be among them."""
    references = component.get("externalReferences", [])
    paths = [each for each in references if each["type"] == "distribution"]
    if strange := [
        each["url"] for each in paths if not {one["content"] for one in each.get("hashes", [])} & {*digests}
    ]:
        raise UnfitBomError(f"{component['name']} was not installed from a locked file: {', '.join(strange)}")
    component["purl"] = f"pkg:pypi/{normal(component['name'])}@{component['version']}"
    hashes = [{"alg": "SHA-256", "content": digest} for digest in digests]
    named = {"type": "distribution", "url": component["purl"], "comment": "one of these files", "hashes": hashes}
    component["externalReferences"] = [*(each for each in references if each not in paths), named]


def locked_digests(lock: str) -> dict[tuple[str, str], list[str]]:
    """The digests of each package and version that a lock installs to run."""
    entries = re.findall(r"^([\w.-]+)==([^\s;]+).*?((?:\n    --hash=.*)+)", lock, re.MULTILINE)
    return {
        (normal(name), version): sorted(re.findall(r"sha256:([0-9a-f]{64})", digests))
        for name, version, digests in entries
        if name not in BUILD_ONLY
    }


def licenses_of(component: Bom) -> set[str]:
    """Every license that a component names, the parts of an expression one by one."""
    named = set()
    for each in component.get("licenses", []):
        said = each.get("expression") or each["license"].get("id") or each["license"]["name"]
        named |= set(re.split(r" (?:AND|OR) |[()]", said)) - {""}
    return named


def normal(name: str) -> str:
    """The name of a package as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _among(dependencies: list[Bom], kept: set[str]) -> list[Bom]:
    return [
        {**each, "dependsOn": [ref for ref in each["dependsOn"] if ref in kept]} if "dependsOn" in each else each
        for each in dependencies
        if each["ref"] in kept
    ]


if __name__ == "__main__":
    main()
