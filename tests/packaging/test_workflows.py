"""The workflows of GitHub's: no server ran them, so they are held against what they call and against three checkers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from tests.harness.actionlint import lint
from tests.harness.wheel import ROOT

GITHUB: Final = ROOT / ".github"
WORKFLOWS: Final = sorted((GITHUB / "workflows").glob("*.yml"))
TEXTS: Final = {path.name: path.read_text(encoding="utf-8") for path in WORKFLOWS}


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    # YAML 1.2 reads `on` as a word, as GitHub does.
    return document


DOCUMENTS: Final = {path.name: read(path) for path in WORKFLOWS}
JOBS: Final = {
    f"{name}: {job}": (document, body) for name, document in DOCUMENTS.items() for job, body in document["jobs"].items()
}
STEPS: Final = {
    f"{where}: {number}": step for where, (_, job) in JOBS.items() for number, step in enumerate(job.get("steps", []))
}
SCRIPTS: Final = {where: step["run"] for where, step in STEPS.items() if "run" in step}


def zizmor(path: Path) -> str:
    program = str(Path(sys.executable).with_name("zizmor"))
    settings = ["--offline", "--no-progress", "--quiet", "--persona", "pedantic", "--strict-collection"]
    return subprocess.run([program, *settings, path], check=False, capture_output=True, text=True).stdout  # noqa: S603


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """The workflow of a release with these words in place of others."""
    text = TEXTS["release.yml"]
    for good, bad in changes:
        assert good in text
        text = text.replace(good, bad)
    path = folder / ".github" / "workflows" / "release.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("schema", "documents"),
    [("github-workflows", DOCUMENTS), ("dependabot", {"dependabot.yml": read(GITHUB / "dependabot.yml")})],
)
def test_files_follow_the_schema(schema: str, documents: dict[str, Any]) -> None:
    text = (files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{schema}.json").read_text(encoding="utf-8")
    validator = jsonschema_rs.validator_for(json.loads(text))
    assert [f"{name}: {error.message}" for name in documents for error in validator.iter_errors(documents[name])] == []


@pytest.mark.actionlint
def test_actionlint_finds_nothing() -> None:
    assert lint(WORKFLOWS) == []


def test_zizmor_finds_nothing() -> None:
    # It finds nothing to complain about when it sees nothing, too.
    assert "No findings to report" in zizmor(GITHUB)


@pytest.mark.parametrize(
    ("good", "bad", "complaint"),
    [
        ("@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "@v6", "unpinned-uses"),
        ('"$GITHUB_SHA"', "${{ github.event.head_commit.message }}", "template-injection"),
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
    ],
)
def test_zizmor_notices_a_careless_change(tmp_path: Path, good: str, bad: str, complaint: str) -> None:
    assert complaint in zizmor(changed(tmp_path, (good, bad)))


@pytest.mark.actionlint
def test_actionlint_notices_a_careless_change(tmp_path: Path) -> None:
    found = lint([changed(tmp_path, ("needs: attest", "needs: atest"), ("steps.push.", "steps.pushed."))])
    assert any('"atest"' in each for each in found)
    assert any('"pushed"' in each for each in found)


def test_no_checkout_leaves_a_token_behind() -> None:
    checkouts = [step for step in STEPS.values() if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


def test_no_artifact_is_unpacked_over_a_clone() -> None:
    # A step that ran code of packages could write into .git/hooks, for a job whose token can write.
    downloads = [step for step in STEPS.values() if step.get("uses", "").startswith("actions/download-artifact@")]
    assert downloads
    assert [step for step in downloads if not re.fullmatch(r"\w+", step["with"].get("path", ""))] == []


def test_an_action_is_the_same_commit_everywhere() -> None:
    pinned = defaultdict(set)
    for name, text in TEXTS.items():
        for action, at in re.findall(r"uses: ([^@\s]+)(@\S+ # v[\d.]+$|.*)", text, re.MULTILINE):
            if not action.startswith("./"):
                assert re.fullmatch(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+", at), f"{name}: {action}{at}"
                pinned["/".join(action.split("/")[:2])].add(at)
    assert {action: found for action, found in pinned.items() if len(found) > 1} == {}


def test_no_token_can_do_more_than_its_job_says() -> None:
    assert {name: document["permissions"] for name, document in DOCUMENTS.items()} == {name: {} for name in DOCUMENTS}
    writing = {where for where, (_, job) in JOBS.items() if "write" in job["permissions"].values()}
    assert writing == {
        "ci.yml: codeql", "locks.yml: propose", "release.yml: ci", "release.yml: attest", "release.yml: image",
        "release.yml: index", "release.yml: announce",
    }  # fmt: skip


def test_nothing_is_published_before_the_owner_says_so() -> None:
    seen = {where: job for where, (_, job) in JOBS.items() if where.startswith("release.yml: ")}
    for where, job in seen.items():
        outward = {"id-token", "packages", "attestations"} & job["permissions"].keys()
        if outward or job["permissions"].get("contents") == "write":
            assert job["if"] == "vars.PUBLISH_RELEASES == 'true'", where
            assert "environment" in job, where
    # What can't be taken back waits for all that can fail.
    order = {where.partition(": ")[2]: job.get("needs") for where, job in seen.items()}
    assert order == {
        "check": None, "ci": "check", "audit": "check", "attest": ["ci", "audit"], "image": "attest", "index": "image",
        "announce": "index",
    }  # fmt: skip


def test_commands_are_those_of_the_repository() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    called = "\n".join(SCRIPTS.values())
    made = set()
    for words in re.findall(r"\bmake ([^\n;)']+)", called):
        made |= {word for word in words.split() if re.fullmatch(r"[a-z][a-z-]*", word)}
    assert {"test", "wheel", "sbom", "lock", "audit-dependencies"} <= made <= targets
    for module in re.findall(r"-m (tools\.\w+)", called):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    named = set(re.findall(r"(?<![\w/.-])(?:deploy|docs|tools)/[\w./-]+", called)) | {
        ".ci/run",
        "Dockerfile",
        "compose.yaml",
    }
    assert {path for path in named if not (ROOT / path).exists()} == set()
    assert "bash .ci/run" in called


@pytest.mark.parametrize("where", SCRIPTS)
def test_a_script_of_a_step_is_bash(where: str) -> None:
    done = subprocess.run(["bash", "-n"], input=SCRIPTS[where], check=False, capture_output=True, text=True)  # noqa: S607
    assert done.stderr == ""
    assert "${{" not in SCRIPTS[where]


def test_dependabot_finds_what_it_is_to_upgrade() -> None:
    updates = {each["package-ecosystem"]: each for each in read(GITHUB / "dependabot.yml")["updates"]}
    assert updates.keys() == {"github-actions", "docker", "terraform"}
    for folder in updates["terraform"]["directories"]:
        assert any("required_providers" in path.read_text() for path in (ROOT / folder[1:]).glob("*.tf")), folder


def test_base_of_the_image_is_where_dependabot_looks() -> None:
    # It reads FROM, not ARG. The first image is the base; all others are stages of this file.
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    images = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", text, re.MULTILINE)
    assert re.fullmatch(r"python:[\w.-]+@sha256:[0-9a-f]{64}", images[0][0])
    assert images[0][1] == "pinned"
    assert re.findall(r"^ARG BASE=(\S+)$", text, re.MULTILINE) == ["pinned"]
    assert {image for image, _ in images[1:]} <= {"${BASE}", "scratch", *(stage for _, stage in images)}


def test_every_python_that_is_promised_is_tested() -> None:
    tested = DOCUMENTS["ci.yml"]["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert tested[0] == "3.11"
    assert [int(each.partition(".")[2]) for each in tested] == list(range(11, 11 + len(tested)))
