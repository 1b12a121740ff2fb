"""Helm's own engine, fetched once from PyPI: the judge of what a chart renders to.

Invariant: nothing runs but the packages whose digests stand below, in a process of its own that ends with the test's.
No cluster and no network is asked when a chart is rendered.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from types import TracebackType

_VERSION = "0.2.2"
"""Of the package. Helm's own version is in it, and HELM_VERSION says which."""
HELM_VERSION = "v4.2.3"
_DIGESTS = {
    "linux x86_64": "28cc13abaf134c3a7e37f070c939be8d9cdc9825c3c8b8b2d35161073bcd4578",
    "linux aarch64": "078bac2464ea2f4b5af24cf7873e8f78ee3f3c216766fcdea41b7c61f47275b1",
    "macOS arm64": "16fd94117e4bc8c6f854801bda6fd84fceb608e083bc5333f8f934e79bd3dcdf",
    "macOS x86_64": "6119b40eaac5cc23d2c25d3da91848df477f8b347d6226ee7b5680c46164716f",
}
_CACHE = Path(__file__).resolve().parents[2] / ".cache" / "helm"
_FETCH_SECONDS = 180.0
_SAME_AGAIN = re.compile(r"\.so\.\d")
"""The wheel has the library three times, under three names."""

# Go's runtime takes signals and starts threads: that is nothing for the process that the tests are in.
_WORKER = """
import json, sys
import helm_python as helm

for line in sys.stdin:
    asked = json.loads(line)
    try:
        if asked["do"] == "lint":
            answer = helm.lint(asked["chart"], asked["values"], strict=True)
        elif asked["do"] == "version":
            answer = helm.helm_sdk_version()
        else:
            with helm.Chart.load(asked["chart"]) as chart:
                answer = chart.render(asked["values"], name=asked["name"], namespace=asked["namespace"])
        print(json.dumps({"answer": answer}), flush=True)
    except helm.HelmError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
"""


class ChartRefused(Exception):
    """Helm refused the chart, or the values for it."""


class _UnavailableError(Exception):
    """Helm cannot run here, and this is why."""


@cache
def why_no_helm() -> str | None:
    """Why Helm cannot run here, in a few words; None when it can. Fetches it on first use."""
    try:
        _obtain()
    except _UnavailableError as error:
        return str(error)
    return None


class Helm:
    """Helm in a process of its own."""

    def __init__(self, chart: Path) -> None:
        self._chart = str(chart)
        self._process = subprocess.Popen(  # noqa: S603 - every word of the command stands here
            [sys.executable, "-c", _WORKER],
            env={**os.environ, "PYTHONPATH": str(_obtain())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def render(
        self, values: dict[str, Any] | None = None, *, name: str = "countersign", namespace: str = "countersign"
    ) -> list[dict[str, Any]]:
        """The objects that `helm template NAME CHART --namespace NAMESPACE` makes. Raises ChartRefused."""
        files = self._ask("render", values, name=name, namespace=namespace)
        texts = [text for path, text in files.items() if path.endswith(".yaml")]
        return [each for text in texts for each in YAML(typ="safe").load_all(StringIO(text)) if each]

    def notes(self, values: dict[str, Any] | None = None) -> str:
        """What a person reads after `helm install`."""
        files = self._ask("render", values, name="countersign", namespace="countersign")
        return str(next(text for path, text in files.items() if path.endswith("NOTES.txt")))

    def lint(self, values: dict[str, Any] | None = None) -> list[str]:
        """What `helm lint --strict` finds, but for its hints."""
        return [each["error"] for each in self._ask("lint", values)["messages"] if each["severity"] > 1]

    def version(self) -> str:
        """The version of Helm."""
        return str(self._ask("version", None))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The worker ends with its input.
        self._process.communicate()

    def _ask(self, do: str, values: dict[str, Any] | None, **more: str) -> Any:  # noqa: ANN401 - JSON
        asks, answers = self._process.stdin, self._process.stdout
        if asks is None or answers is None:
            raise TypeError("the worker has no pipes")
        asks.write(json.dumps({"do": do, "chart": self._chart, "values": values or {}, **more}) + "\n")
        asks.flush()
        said = json.loads(answers.readline())
        if "refused" in said:
            raise ChartRefused(said["refused"])
        return said["answer"]


def _obtain() -> Path:
    """The folder with the package, fetched and unpacked on first use."""
    home = _CACHE / _VERSION
    if home.is_dir():
        return home
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(_fetch(Path(scratch))) as wheel:
            wheel.extractall(unpacked, [name for name in wheel.namelist() if not _SAME_AGAIN.search(name)])
        try:
            unpacked.rename(home)
        except OSError:
            # Another run was quicker. Both have unpacked the same bytes.
            if not home.is_dir():
                raise
    return home


def _fetch(folder: Path) -> Path:
    digests = " ".join(f"--hash=sha256:{each}" for each in _DIGESTS.values())
    wanted = folder / "wanted.txt"
    wanted.write_text(f"helm-python-sdk=={_VERSION} {digests}\n", encoding="utf-8")
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run(  # noqa: S603 - every word of the command stands here
            [sys.executable, "-m", "pip", "download", *options, f"--dest={folder}", f"--requirement={wanted}"],
            capture_output=True,
            check=True,
            timeout=_FETCH_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise _UnavailableError(f"pip could not fetch helm-python-sdk {_VERSION} for this machine") from error
    return next(folder.glob("*.whl"))
