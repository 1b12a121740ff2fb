"""`python -m tools.first_minute`: how long a newcomer takes from `git clone` to the first approval that they see.

Invariant: it does what README.md says, in a new folder, with what is committed here: clone, `make playground`, and the
tour's first two steps. It waits for nothing but the page; a person reads as well.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import click
from playwright.sync_api import expect, sync_playwright

_HERE: Final = Path(__file__).parents[1]
_PATIENCE_MS: Final = 30_000


def main() -> None:
    """Measure, and print each step's seconds. Needs git, make, Chromium, and a package index."""
    with tempfile.TemporaryDirectory(prefix="first-minute-") as folder:
        began = time.monotonic()
        clone = Path(folder) / "countersign"
        _run("git", "clone", "--quiet", str(_HERE), str(clone))
        cloned = time.monotonic()
        # Unbuffered, since the address is read from a pipe.
        process = subprocess.Popen(  # noqa: S603 - ours
            [_find("make"), "playground"], cwd=clone, stdout=subprocess.PIPE, text=True,
            env={"PATH": _path(), "HOME": folder, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            url = next(line.split()[-1] for line in process.stdout or () if "playground is at" in line)
            started = time.monotonic()
            _approve(url)
            approved = time.monotonic()
        finally:
            process.terminate()
            process.wait()
    click.echo(f"clone {cloned - began:.1f} s")
    click.echo(f"make playground, installing included {started - cloned:.1f} s")
    click.echo(f"request, approve, and see it {approved - started:.1f} s")
    click.echo(f"together {approved - began:.1f} s")


def _approve(url: str) -> None:
    expect.set_options(timeout=_PATIENCE_MS)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        page.get_by_role("button", name="Write it for her").click()
        expect(page.locator("#pane-0-composer")).to_be_focused()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Show me Jon's button").click()
        expect(page.get_by_role("button", name="Approve", exact=True).last).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("article").filter(has_text="Open until").first).to_be_visible()
        browser.close()


def _run(*command: str) -> None:
    subprocess.run([_find(command[0]), *command[1:]], check=True)  # noqa: S603 - ours


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"{program} isn't installed")
    return found


def _path() -> str:
    return ":".join({str(Path(_find(program)).parent): None for program in ("make", "python3", "sh", "git")})


if __name__ == "__main__":
    main()
