"""The wheel, in an environment of its own with the runtime's packages only: it holds everything, and it runs."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import zipfile
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

from tests.harness.served_bot import PATIENCE, Serving, environment, free_port, new_slack
from tests.harness.wheel import COMMIT, PACKAGES, ROOT, Installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMPORT_EACH: Final = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def package_files() -> Iterator[Path]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


OF_AN_EXTRA: Final = frozenset(
    {
        # countersign[signing]: loaded when there is a signing key.
        "cryptography.exceptions", "cryptography.hazmat.primitives.asymmetric",
        # countersign[terminal]: without it, a token is kept in a file.
        "keyring",
        # countersign[ical]: loaded only in the process that reads a calendar.
        "core.schedules.ical_events", "icalendar", "recurring_ical_events", "x_wr_timezone",
        # countersign[tracing]: loaded when traces are on.
        "bot.observability.open_telemetry", "opentelemetry", "opentelemetry.context", "opentelemetry.trace",
        "opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk.resources",
        "opentelemetry.sdk.trace", "opentelemetry.sdk.trace.export",
        # countersign[mcp]: loaded by `countersign mcp` only.
        "bot.terminal.mcp_server", "mcp.server.mcpserver", "mcp.server.mcpserver.exceptions", "mcp.types",
    }
)  # fmt: skip
"""What the extras bring. Where one is needed, its absence says how to install it."""


def imported_names(source: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or later."""
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def test_wheel_holds_each_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == {path.relative_to(ROOT).as_posix() for path in package_files()} | {"bot/commit.txt"}


def test_no_module_imports_what_only_developers_have(installation: Installation) -> None:
    sources = [path for path in package_files() if path.suffix == ".py"]
    names = {name for source in sources for name in imported_names(source)}
    names |= {".".join(source.relative_to(ROOT).with_suffix("").parts) for source in sources}
    names -= OF_AN_EXTRA
    assert installation.run_python(IMPORT_EACH, *sorted(names)).stderr == ""
    # Were this there, the line above would show nothing.
    assert "No module named 'pytest'" in installation.run_python(IMPORT_EACH, "pytest").stderr


def test_installed_command_knows_its_version_and_files(installation: Installation) -> None:
    assert installation.run("--version").stdout == f"countersign {version('countersign')} (commit {COMMIT[:12]})\n"
    assert installation.run("slack", "manifest").stdout == (ROOT / "manifest.yml").read_text(encoding="utf-8")
    assert installation.run("policy", "example").stdout == (ROOT / "policy.example.yml").read_text(encoding="utf-8")


def test_installed_bot_serves_and_is_examined(installation: Installation, tmp_path: Path) -> None:
    with new_slack() as slack:
        told = environment(slack, tmp_path)
        del told["PYTHONPATH"]
        with Serving(told, tmp_path, [installation.command]) as serving:
            serving.wait_until_up(slack)
            examined = installation.run("doctor", **told)
            serving.tell_to_stop()
            assert serving.wait() == 0, serving.log
    assert examined.stderr == ""
    assert re.findall(r"✓ (bot token|store)\b", examined.stdout) == ["bot token", "store"]


def test_installed_playground_shows_its_page(installation: Installation, tmp_path: Path) -> None:
    process = subprocess.Popen(  # noqa: S603  Ours.
        [installation.command, "playground", "--no-browser", "--port", str(free_port())],
        cwd=tmp_path, env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found is not None
        with urlopen(found[0], timeout=PATIENCE) as page:  # noqa: S310  It is our own loopback address.
            assert b"Countersign playground" in page.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()
