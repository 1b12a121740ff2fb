"""Where an engine or a browser is missing, a run says so in one line; where it is required, the run fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_SUITE = """
import pytest

@pytest.mark.engine
def test_one(dynamodb_local_url): ...

@pytest.mark.engine
def test_two(dynamodb_local_url): ...

def test_three(): ...

@pytest.mark.browser
def test_four(): ...
"""


def _run(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_suite.py").write_text(_SUITE)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "COUNTERSIGN"))}
    settings = ["-c", str(_ROOT / "pyproject.toml"), "--rootdir", str(folder), "-p", "no:cacheprovider"]
    return subprocess.run(  # noqa: S603  Every word of the command stands here.
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", *settings, *options, str(folder)],
        cwd=_ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "with workers"])
def test_tests_without_their_engine_are_told_in_one_line(tmp_path: Path, workers: list[str]) -> None:
    run = _run(tmp_path, *workers, PATH="/nowhere")
    assert run.returncode == 0, run.stdout + run.stderr
    lines = [line for line in run.stdout.splitlines() if "left out" in line]
    assert lines == [
        "left out: 2 tests that need AWS's DynamoDB Local (no java on this machine)",
        "left out: 1 test that needs Chromium (no chromium on this machine)",
    ]
    assert "1 passed" in run.stdout.splitlines()[-1]


def test_where_the_engine_is_required_its_absence_fails_the_run(tmp_path: Path) -> None:
    run = _run(tmp_path, PATH="/nowhere", COUNTERSIGN_REQUIRE_ENGINES="1")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "DynamoDB Local cannot run here: no java on this machine" in run.stderr


@pytest.mark.engine
def test_where_the_engine_is_there_and_the_browser_is_not_the_run_fails_too(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("java", "npm", "node"):
        (tools / tool).symlink_to(shutil.which(tool) or "")
    run = _run(tmp_path, PATH=str(tools), COUNTERSIGN_REQUIRE_ENGINES="1")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Chromium cannot run here: no chromium on this machine" in run.stderr


def test_a_run_that_needs_no_engine_says_nothing_of_it(tmp_path: Path) -> None:
    run = _run(tmp_path, "-k", "three", PATH="/nowhere")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "left out" not in run.stdout


@pytest.mark.engine
@pytest.mark.browser
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "with workers"])
def test_with_the_engine_all_run(tmp_path: Path, workers: list[str]) -> None:
    run = _run(tmp_path, *workers, COUNTERSIGN_REQUIRE_ENGINES="1")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "4 passed" in run.stdout.splitlines()[-1]
    assert "left out" not in run.stdout
