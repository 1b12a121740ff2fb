"""What may be typed in the playground's terminal, and that nothing else runs."""

from __future__ import annotations

import pytest

from localslack.refusals import NotOnScreen
from playground.terminal_line import read_line


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("countersign", ["--help"]),
        ("countersign login", ["login"]),
        ('countersign request prod 1h "x; id" --wait', ["request", "prod", "1h", "x; id", "--wait"]),
        ("countersign access list --json", ["access", "list", "--json"]),
        ("countersign exec prod-admin -- aws s3 ls", ["exec", "prod-admin", "--", "aws", "s3", "ls"]),
        ("countersign exec --env prod -- aws s3 ls", ["exec", "--env", "prod", "--", "aws", "s3", "ls"]),
        ("countersign exec --help", ["exec", "--help"]),
    ],
)  # fmt: skip
def test_countersign_runs(line: str, arguments: list[str]) -> None:
    assert read_line(line) == arguments


@pytest.mark.parametrize(
    "line",
    [
        "ls",
        "bash -c 'countersign login'",
        "/bin/sh",
        "./countersign login",
        "countersign serve",
        "countersign tables create",
        "countersign playground --reset",
        "countersign --config x login",
        "countersign access list --store sqlite:////tmp/x.db",
        "countersign access list --store=sqlite:////tmp/x.db",
        "countersign login --token-file /tmp/token",
        "countersign exec prod -- bash",
        "countersign exec prod -- /bin/sh -c id",
        "countersign exec prod -- ./aws s3 ls",
        "countersign exec prod bash -- aws s3 ls",
        "countersign exec bash -- aws; bash",
        "countersign exec --store=x prod -- aws s3 ls",
        "countersign exec -- aws s3 ls",
        "countersign exec prod aws s3 ls",
        "countersign exec prod",
        'countersign request "prod',
        "",
    ],
)
def test_nothing_else_runs(line: str) -> None:
    with pytest.raises(NotOnScreen):
        read_line(line)
