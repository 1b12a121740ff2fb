"""The machine of a person: a home of its own, paired with a server, and the `countersign` command as it is installed.

Invariant: nothing of the developer's own home or AWS configuration is seen. Every start of the command is counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from bot.terminal.configuration import ConfigurationFile, PairedServer
from bot.terminal.token_store import TokenStore
from tests.harness.fake_broker import DEVICE, TOKEN

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 60.0
_SCRIPT: Final = """#!{python}
import sys
with open({starts!r}, "a") as starts:
    print(*sys.argv[1:], file=starts)
from bot.terminal.start import main
sys.exit(main())
"""
"""What an installer writes, and a line that counts."""


class PairedMachine:
    """A home below this folder."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self._starts = folder / "starts"
        self.command = folder / "bin" / "countersign"
        self.command.parent.mkdir()
        self.command.write_text(_SCRIPT.format(python=sys.executable, starts=str(self._starts)), encoding="utf-8")
        self.command.chmod(0o755)
        self.environment = {
            "PATH": f"{self.command.parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "AWS_EC2_METADATA_DISABLED": "true",
            "TZ": "UTC",
        }

    @property
    def cache(self) -> Path:
        """Where credentials are cached."""
        return self.home / ".cache" / "countersign" / "credentials"

    @property
    def cached(self) -> list[Path]:
        """The files with credentials."""
        return sorted(self.cache.glob("*.json"))

    @property
    def starts(self) -> list[str]:
        """The arguments of each start of the command."""
        return self._starts.read_text(encoding="utf-8").splitlines() if self._starts.exists() else []

    def pair(self, server: str, token: str = TOKEN, device: str = DEVICE) -> None:
        """Keep what `countersign login` keeps."""
        folder = self.home / ".config" / "countersign"
        store, file = TokenStore(folder), ConfigurationFile(folder)
        paired = PairedServer(
            device_id=device,
            device_name="laptop",
            expires_at=datetime.now(UTC) + timedelta(hours=12),
            token_in=store.keep(server, device, SecretStr(token)),
        )
        file.write(file.read().with_pairing(server, paired))

    def start(self, *arguments: str, has_stdin: bool = False, **more: str) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(  # noqa: S603 - the command is ours
            [str(self.command), *arguments],
            env={**self.environment, **more},
            stdin=subprocess.PIPE if has_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        process = self.start(*arguments, has_stdin=False, **more)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run_python(self, code: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run Python code on this machine."""
        return subprocess.run(  # noqa: S603 - the code is ours
            [sys.executable, "-c", code, *arguments],
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
