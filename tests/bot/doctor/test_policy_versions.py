"""The versions of the policy, as an operator sees them: after a sweep, in `policy history` and `policy show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bot.doctor.conftest import Installation


def test_sweep_writes_the_version_and_history_lists_it(installation: Installation) -> None:
    before = (installation.folder / "policy.yml").read_text(encoding="utf-8")
    assert installation.run("sweep").exit_code == 0
    installation.write_policy(before.replace("4h", "3h"))
    assert installation.run("sweep").exit_code == 0
    newest, oldest = installation.run("policy", "history").stdout.splitlines()
    assert newest.endswith("in force, +2 -2 lines")
    digest = oldest.split()[1]
    assert installation.run("policy", "show", digest).stdout == before


def test_version_that_is_not_known_is_refused(installation: Installation) -> None:
    assert installation.run("sweep").exit_code == 0
    result = installation.run("policy", "show", "abc")
    assert result.exit_code == 2
    assert "no version of the policy begins with 'abc'" in result.stderr
