"""The image, built and run: as another user than its own, on a read-only root, before a local Slack."""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import pytest
from ruamel.yaml import YAML

from bot.views.request.card import APPROVE
from core.audit.keyring import AuditKeyring
from core.request import Request, RequestStatus
from core.stores import open_stores
from tests.end_to_end.harness import ACCESS, JON, MIRA, WHY
from tests.harness.image_build import COMMIT, VERSION, BuiltImage, obtain_image
from tests.harness.image_run import USER, ImageRun
from tests.harness.served_bot import PATIENCE, Serving, environment, free_port, new_slack
from tests.harness.wheel import ROOT, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localslack.server import LocalSlack

pytestmark = pytest.mark.image
FOLDER: Final = "/var/lib/countersign"
OWNER: Final = 65532
NO_PROGRAM: Final = re.compile(r"(ba|da|z)?sh|busybox|perl|apt|dpkg|g?cc")
NO_INSTALLER: Final = re.compile(r"(pip|setuptools|wheel)(-[\d.]+\.dist-info)?|ensurepip")
ANYBODY_WRITES: Final = {"tmp", "var/tmp", "run/lock"}
"""Where a root that isn't read-only can be written to by everybody, as on each Debian."""


@pytest.fixture(scope="module")
def image() -> BuiltImage:
    return obtain_image()


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with new_slack() as slack:
        yield slack


@pytest.fixture
def inside(image: BuiltImage, tmp_path: Path) -> ImageRun:
    (tmp_path / "volume").mkdir()
    return ImageRun(image, tmp_path / "volume")


def files_of(image: BuiltImage) -> Iterator[tuple[str, os.stat_result]]:
    """Each file, folder and link, by its path below the root."""
    for folder, folders, names in os.walk(image.root):
        for name in (*folders, *names):
            path = Path(folder, name)
            yield path.relative_to(image.root).as_posix(), path.lstat()


def test_image_says_what_it_is_and_how_it_runs(image: BuiltImage, inside: ImageRun) -> None:
    config, labels = image.config, image.config["Labels"]

    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.revision"] == COMMIT
    assert (config["User"], config["WorkingDir"]) == (f"{OWNER}:{OWNER}", FOLDER)
    assert (config["Entrypoint"], config["Cmd"], config["StopSignal"]) == (["countersign"], ["serve"], "SIGTERM")
    port = image.environment["COUNTERSIGN_METRICS"].rpartition(":")[2]
    assert list(config["ExposedPorts"]) == [f"{port}/tcp"]
    assert inside.run("--version").stdout.endswith(f" (commit {COMMIT[:12]})\n")


def test_no_program_is_in_it_but_python_and_ours(image: BuiltImage) -> None:
    programs = {path for path, _ in files_of(image) if re.fullmatch(r"(usr/(local/)?)?s?bin/.+|opt/.+/bin/[^/]+", path)}
    assert programs
    assert {re.sub(r"[\d.]+$", "", Path(path).name) for path in programs} == {"python", "countersign"}
    entries = [(Path(path).name, stat.S_ISREG(found.st_mode)) for path, found in files_of(image)]
    assert {name for name, is_file in entries if is_file and NO_PROGRAM.fullmatch(name)} == set()
    # They are packages: folders, and no programs where only the base's Python could run them.
    assert {name for name, _ in entries if NO_INSTALLER.fullmatch(name)} == set()


def test_nobody_gains_rights_or_writes_outside_its_folder(image: BuiltImage) -> None:
    owned, writable, set_id = set(), set(), set()
    for path, found in files_of(image):
        if OWNER in {found.st_uid, found.st_gid}:
            owned.add(path)
        if found.st_mode & stat.S_IWOTH and not stat.S_ISLNK(found.st_mode) and not path.startswith("dev/"):
            writable.add(path)
        if stat.S_ISREG(found.st_mode) and found.st_mode & (stat.S_ISUID | stat.S_ISGID):
            set_id.add(path)
    assert owned == {FOLDER.strip("/")}
    assert writable <= ANYBODY_WRITES
    assert set_id == set()


def test_bill_of_materials_lists_what_is_installed(image: BuiltImage) -> None:
    bill = json.loads((image.root / "usr/share/countersign/sbom.cdx.json").read_text(encoding="utf-8"))
    listed = {each["purl"].partition("?")[0] for each in bill["components"]}
    packages = next((image.root / "opt/countersign/lib").glob("python*/site-packages"))
    installed = {re.fullmatch(r"(.+)-([^-]+)\.dist-info", each.name) for each in packages.glob("*.dist-info")}
    found = {each[1].replace("_", "-").replace(".", "-").lower(): each[2] for each in installed if each}

    assert bill["metadata"]["component"]["version"] == VERSION
    assert {each for each in listed if each.startswith("pkg:pypi/")} == {
        f"pkg:pypi/{name}@{version}" for name, version in found.items()
    }
    countersign = found.pop("countersign")
    assert countersign == pinned_version()
    assert found.items() <= pinned("requirements-runtime.lock").items()
    names = {each.split("/")[2].partition("@")[0] for each in listed if each.startswith("pkg:deb/debian/")}
    assert {"libc6", "libssl3", "ca-certificates"} <= names
    assert names & {"bash", "dash", "apt", "coreutils", "perl-base", "python3-pip-whl"} == set()


def pinned_version() -> str:
    """The version of this project."""
    (version,) = re.findall(r'(?m)^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(version)


def test_compose_commands_set_up_serve_and_drain(inside: ImageRun, slack: LocalSlack) -> None:
    service = YAML(typ="safe").load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["countersign"]
    tokens = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token, "SLACK_API_URL": slack.api_url}
    named = ("--me", "@mira", "--approver", "@eng", "--channel", "#access-prod")
    made = inside.run("init", *named, **service["environment"], **tokens)
    assert (made.returncode, made.stderr) == (0, "")
    assert {each.stat().st_uid for each in inside.folder.iterdir()} == {USER}

    # From here on, the tokens are in the folder only.
    port = free_port()
    settings = {**service["environment"], "COUNTERSIGN_METRICS": f"0.0.0.0:{port}"}
    _, *from_file = service["command"]
    started = inside.run("doctor", "--start", *from_file, **settings)
    assert (started.returncode, started.stderr) == (0, ""), started.stdout
    with Serving(dict(os.environ), inside.folder.parent, inside.command(**settings), service["command"]) as serving:
        serving.wait_until_up(slack)
        assert slack.run_command(MIRA, ACCESS, "/access", f"prod 2h {WHY}").failure is None
        (card,) = slack.wait_until(lambda: slack.messages(ACCESS), PATIENCE)
        for page, shown in (("healthz", "ok"), ("readyz", '"ready":true')):
            with urlopen(f"http://127.0.0.1:{port}/{page}", timeout=PATIENCE) as answer:
                assert shown in answer.read().decode()
        assert inside.check_health(**settings).returncode == 0
        assert slack.press(JON, card, APPROVE).failure is None
        serving.tell_to_stop()
        assert serving.wait() == 0, serving.log
    assert inside.check_health(**settings).returncode == 1
    assert inside.run("audit", "verify", **settings).returncode == 0
    assert [(each.requester, each.status) for each in stored(inside)] == [(MIRA, RequestStatus.APPROVED)]


@pytest.mark.engine
def test_two_containers_share_the_tables_that_a_third_made(
    inside: ImageRun, slack: LocalSlack, dynamodb_local_url: str, table_prefix: str
) -> None:
    services = YAML(typ="safe").load((ROOT / "compose.dynamodb.yaml").read_text(encoding="utf-8"))["services"]
    here = {
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_local_url,
        "COUNTERSIGN_STORE": f"dynamodb://eu-west-1/{table_prefix}",
    }
    made = inside.run(*services["tables"]["command"], **{**services["tables"]["environment"], **here})
    assert made.returncode == 0, made.stderr

    told = environment(slack, inside.folder, **{**services["countersign"]["environment"], **here})
    told["COUNTERSIGN_POLICY"] = f"{FOLDER}/policy.yml"
    del told["PATH"], told["PYTHONPATH"]
    with ExitStack() as stack:
        both = []
        for name in ("one", "other"):
            (folder := inside.folder.parent / name).mkdir()
            both.append(stack.enter_context(Serving(dict(os.environ), folder, inside.command(**told))))
        for each in both:
            each.wait_until_up(slack)
        assert slack.run_command(MIRA, ACCESS, "/access", f"prod 2h {WHY}").failure is None
        (card,) = slack.wait_until(lambda: slack.messages(ACCESS), PATIENCE)
        both[0].tell_to_stop()
        assert both[0].wait() == 0, both[0].log
        assert slack.press(JON, card, APPROVE).failure is None
        both[1].tell_to_stop()
        assert both[1].wait() == 0, both[1].log


def stored(inside: ImageRun) -> list[Request]:
    """The requests that are in the folder's store."""
    keyring = AuditKeyring.from_text((inside.folder / "countersign-audit.key").read_text(encoding="utf-8").strip())
    with closing(open_stores(f"sqlite:///{inside.folder}/countersign.db", keyring=keyring)) as stores:
        return list(stores.requests.iterate())
