"""`countersign playground`: the whole product in the browser, without Slack and without AWS.

Invariant: it reads no setting of a real installation, listens on the loopback only, and keeps all that it keeps in one
folder. Ctrl-C finishes what was acknowledged; the next start goes on from there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Final

import click

from bot.observability.logs import configure_logging
from bot.settings import LogForm
from playground.story_telling import tell_story

_FOLDER: Final = Path(".countersign-playground")
_HIGHEST_PORT: Final = 65_535


@click.command()
@click.option("--port", type=click.IntRange(1, _HIGHEST_PORT), help="Where the page is; 8420 if that is free.")
@click.option("--reset", is_flag=True, help="Forget everything that was done here, and start anew.")
@click.option("--store", metavar="URL", help="Keep the records elsewhere, such as dynamodb://eu-west-1/playground.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=_FOLDER, show_default=True,
    help="Where the playground lives.",
)  # fmt: skip
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser, or just say where it is.")
@click.option("--story", is_flag=True, help="Play a short story in the terminal instead.")
def playground(*, port: int | None, reset: bool, store: str | None, folder: Path, browser: bool, story: bool) -> None:
    """Try the whole product in the browser: a local Slack with the real bot in it."""
    if story:
        tell_story()
        return
    # The other commands need neither Bolt nor a web server, which take as long to load as everything else.
    from playground.folder import Folder  # noqa: PLC0415 - see above
    from playground.playground import open_playground  # noqa: PLC0415

    configure_logging(LogForm.TEXT, sys.stderr)
    # What happens is on the page; here stands only what went wrong.
    logging.root.setLevel(logging.WARNING)
    told_to_stop = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: told_to_stop.set())
    with Folder(folder, reset=reset) as home, open_playground(home, store=store, port=port) as running:
        click.echo(f"The playground is at {running.url}")
        click.echo(f"It lives in {folder}. Ctrl-C stops it, and --reset starts anew.")
        if browser and _has_screen():
            webbrowser.open(running.url)
        told_to_stop.wait()
        click.echo("\nStopping.")


def _has_screen() -> bool:
    """Whether a browser would open a window. On a bare terminal it would take the terminal."""
    if sys.platform in {"win32", "darwin"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
