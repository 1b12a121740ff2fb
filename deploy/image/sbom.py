"""Write the bill of materials of the image, as CycloneDX 1.6: Countersign, the Python packages, the Debian packages.

    python sbom.py /rootfs 0.2.0 >sbom.cdx.json

It runs with the Python of the environment that it lists, and needs nothing but its standard library.

Invariant: it lists what is installed, not what was asked for, each once, in a fixed order; two builds of the same
packages write the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import quote


def describe(root: Path, version: str) -> dict[str, object]:
    """The document for the image of this version, whose Debian packages are below `root`."""
    parts = [*(of_python(each) for each in distributions()), *(of_debian(root))]
    listed = sorted({each["bom-ref"]: each for each in parts}.values(), key=lambda each: each["bom-ref"])
    image = {"type": "container", "bom-ref": "image", "name": "countersign", "version": version}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": image},
        "components": listed,
    }


def of_python(package: Distribution) -> dict[str, str]:
    """A Python package, by the name that the index knows it by."""
    name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
    return component(name, package.version, f"pkg:pypi/{name}@{quote(package.version)}")


def of_debian(root: Path) -> list[dict[str, str]]:
    """The packages on dpkg's list; none if the base isn't a Debian."""
    status = root / "var/lib/dpkg/status"
    text = status.read_text(encoding="utf-8") if status.is_file() else ""
    found = []
    for block in filter(None, text.split("\n\n")):
        fields = dict(re.findall(r"(?m)^(Package|Version|Architecture): (\S+)$", block))
        url = f"pkg:deb/debian/{quote(fields['Package'])}@{quote(fields['Version'])}?arch={fields['Architecture']}"
        found.append(component(fields["Package"], fields["Version"], url))
    return found


def component(name: str, version: str, url: str) -> dict[str, str]:
    """A package, by its package URL."""
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


if __name__ == "__main__":
    print(json.dumps(describe(Path(sys.argv[1]), sys.argv[2]), indent=1))  # noqa: T201 - it is for a file
