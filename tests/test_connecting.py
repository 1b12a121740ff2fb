"""The numbered path of README.md and docs/slack.md, followed word by word with a local Slack."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.harness.served_bot import new_slack
from tests.harness.terminal_script import marked_blocks, run_on_terminal

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "slack.md"]
PIPX = """#!/bin/sh
# Installs as pipx does, where the clone is: before this ran, there is no command.
test "$*" = "install ." && test -f pyproject.toml
printf '#!/bin/sh\\nexec %s -W error -m bot.cli "$@"\\n' "$PYTHON" > "$HOME/bin/countersign"
chmod +x "$HOME/bin/countersign"
"""


def test_path_can_be_followed_word_by_word(tmp_path: Path) -> None:
    """That of docs/slack.md, which has every command of the README's."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "bin" / "pipx").write_text(PIPX)
    (tmp_path / "bin" / "pipx").chmod(0o755)
    with new_slack() as slack:
        environment = {
            # Not the PATH of the tests, which may have the command already.
            "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "TERM": "dumb",
            "LANG": "C.UTF-8",
            "SLACK_API_URL": slack.api_url,
        }
        answers = [
            ("Bot token", slack.bot_token),
            ("App-level token", slack.app_token),
            ("Channel", ""),
            ("You", "@mira"),
            ("Who approves", "@eng"),
            ("What people request", ""),
        ]
        script = "".join(marked_blocks(PAGES[1]))
        shown = run_on_terminal(script, tmp_path, environment, answers, stop_at=" is up, over socket mode")

    assert "no problems found" in shown
    assert "stopped" in shown.splitlines()[-1]
    for secret in (slack.bot_token, slack.app_token):
        assert secret not in shown


def test_both_pages_have_the_same_steps_and_commands() -> None:
    readme, slack = (each.read_text(encoding="utf-8") for each in PAGES)
    section = readme.partition("## Connect a real Slack workspace")[2].partition("\n## ")[0]
    steps = re.findall(r"^(\d)\. \*\*([A-Z][\w ]+?)\.?\*\*", section, re.MULTILINE)

    assert len(steps) == 6
    assert re.findall(r"^## (\d)\. ([\w ]+)$", slack, re.MULTILINE) == steps
    assert [each for each in marked_blocks(PAGES[0]) if each not in marked_blocks(PAGES[1])] == []


def test_services_are_started_as_their_pages_say() -> None:
    section = PAGES[0].read_text(encoding="utf-8").partition("### Leave it running")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    pages = "\n".join(each.read_text(encoding="utf-8") for each in (ROOT / "docs" / "deploying").glob("*.md"))
    known = {line.strip() for line in pages.splitlines()}

    assert [line for block in blocks for line in block.splitlines() if line.strip() not in known] == []
    assert [each.splitlines()[-1].split()[:2] for each in blocks] == [
        ["systemctl", "enable"],
        ["docker", "compose"],
        ["--values", "values.yaml"],
    ]
