"""The image, built and run: another user than its own, on a read-only root, before a local Slack."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from bot.views.request.card import APPROVE
from core.audit.keyring import AuditKeyring
from core.request import RequestStatus
from core.stores import open_stores
from tests.end_to_end.harness import ACCESS, JON, MIRA, WHY
from tests.harness.image_build import COMMIT, VERSION, BuiltImage, obtain_image
from tests.harness.image_run import ImageRun
from tests.harness.served_bot import AUDIT_KEY, PATIENCE, Serving, environment, free_port, new_slack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localslack.server import LocalSlack

pytestmark = pytest.mark.image
FOLDER: Final = "/var/lib/countersign"


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


def settings(slack: LocalSlack, folder: Path, port: int) -> dict[str, str]:
    """The variables of `serve`, with the paths that hold in the image."""
    told = environment(slack, folder, COUNTERSIGN_METRICS=f"127.0.0.1:{port}")
    del told["PATH"], told["PYTHONPATH"]
    return {name: value.replace(str(folder), FOLDER) for name, value in told.items()}


def test_image_says_what_it_is_and_how_it_runs(image: BuiltImage, inside: ImageRun) -> None:
    labels = image.config["Labels"]

    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.revision"] == COMMIT
    assert (image.config["User"], image.config["WorkingDir"]) == ("65532:65532", FOLDER)
    assert (image.config["Entrypoint"], image.config["Cmd"]) == (["countersign"], ["serve"])
    assert image.config["StopSignal"] == "SIGTERM"
    assert inside.run("--version").stdout.startswith("countersign ")


def test_bot_in_the_image_serves_and_drains(inside: ImageRun, slack: LocalSlack) -> None:
    port = free_port()
    told = settings(slack, inside.folder, port)
    with Serving({"PATH": os.environ["PATH"]}, inside.folder, inside.command(**told)) as serving:
        serving.wait_until_up(slack)
        assert slack.run_command(MIRA, ACCESS, "/access", f"prod 2h {WHY}").failure is None
        (card,) = slack.wait_until(lambda: slack.messages(ACCESS), PATIENCE)
        assert slack.press(JON, card, APPROVE).failure is None
        serving.tell_to_stop()
        assert serving.wait() == 0, serving.log

    with closing(
        open_stores(f"sqlite:///{inside.folder}/countersign.db", keyring=AuditKeyring.from_text(AUDIT_KEY))
    ) as stores:
        (stored,) = stores.requests.iterate()
    assert stored.status is RequestStatus.APPROVED
