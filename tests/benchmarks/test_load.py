"""The load of a small task: that it clicks, that it finds what was lost, and that limits are set as documented."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.load.accounts import Watch
from benchmarks.load.drive import load, lost, stores_of
from benchmarks.load.limits import CgroupQuota, NoLimit, StopAndContinue, cpu_limit
from benchmarks.load.office import office_slack
from benchmarks.load.people import MIX, Office
from benchmarks.load.served import served, settings_of, store_url
from core.request import RequestStatus

_PATIENCE = 240.0
"""Seconds. On a machine that is busy with something else, a click is late, not lost."""


def test_load_on_a_served_bot_loses_nothing(tmp_path: Path) -> None:
    limit = NoLimit()
    with store_url("sqlite", tmp_path) as url, office_slack(_PATIENCE) as slack:
        settings = settings_of(slack, tmp_path, url, over_http=False)
        with served(settings, tmp_path, limit) as task, stores_of(task) as stores:
            office = Office(slack)
            loaded = load(office, task, stores, limit, turns=len(MIX), per_second=20.0)
            assert loaded.failures == Counter()
            assert lost(office, stores) == []
            found = office.acknowledged
            # The check of what was lost isn't one that is always content.
            request = next(iter(found.decided))
            found.decided[request] = RequestStatus.CANCELLED
            found.asked.add("Nobody asked for this")
            assert [each.partition(":")[0] for each in lost(office, stores)] == ["asked", "cancelled"]
        assert {each.kind for each in loaded.clicks} >= set(MIX)
        assert loaded.watch.most_resident > 1


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cgroup.controllers": "cpuset cpu io"}, {"cpu.max": "25000 100000"}),
        ({"cpu/tasks": ""}, {"cpu.cfs_quota_us": "25000", "cpu.cfs_period_us": "100000"}),
    ],
    ids=["v2", "v1"],
)
def test_quota_is_that_of_a_container(tmp_path: Path, files: dict[str, str], expected: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with cpu_limit(0.25, cgroups=tmp_path) as limit:
        assert isinstance(limit, CgroupQuota)
        *_, group, serve = limit.wrap(["serve"])
        folder = Path(group).parent
        assert {each.name: each.read_text() for each in folder.iterdir()} == expected
        assert serve == "serve"


def test_process_is_stopped_where_no_quota_can_be_set(tmp_path: Path) -> None:
    with cpu_limit(0.25, cgroups=tmp_path / "nothing") as limit:
        assert isinstance(limit, StopAndContinue)
        command = limit.wrap([sys.executable, "-c", "input(); print(sum(range(3_000_000)))"])
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603  Ours.
            limit.apply_to(process.pid)
            with Watch(process.pid) as watch:
                pass
            assert process.communicate(b"\n")[0].strip() == b"4499998500000"
        assert watch.wall_seconds > 0
