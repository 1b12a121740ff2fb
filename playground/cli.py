"""`countersign playground`: the whole product in the browser, without Slack and without AWS.

Invariant: it reads no setting of a real installation, listens on the loopback only, and stores everything in one
folder. Ctrl-C finishes what was acknowledged; the next start continues from there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import webbrowser
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import click

from bot.observability.logs import configure_logging
from bot.settings import LogForm
from playground.story_terminal import print_story

_FOLDER: Final = Path(".countersign-playground")
_MAX_PORT: Final = 65_535


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, _MAX_PORT),
    help="The port of the page. Default: 8420, or a free one if that is taken.",
)
@click.option("--reset", is_flag=True, help="Delete everything in the folder and start fresh.")
@click.option("--empty", is_flag=True, help="Start a new folder without a week of earlier decisions in it.")
@click.option(
    "--store", metavar="URL", help="Store the records elsewhere, for example dynamodb://eu-west-1/playground."
)
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=_FOLDER, show_default=True,
    help="Where the playground stores its files.",
)  # fmt: skip
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser, or only print its address.")
@click.option("--story", is_flag=True, help="Play a short story in the terminal instead.")
def playground(
    *, port: int | None, reset: bool, empty: bool, store: str | None, folder: Path, browser: bool, story: bool
) -> None:
    """Try Countersign in your browser, with a local Slack."""
    if story:
        print_story()
        return
    # Bolt and the web server take as long to load as everything else, and the other commands don't need them.
    from playground.folder import Folder  # noqa: PLC0415 - see above
    from playground.playground import open_playground  # noqa: PLC0415

    configure_logging(LogForm.TEXT, sys.stderr)
    # The page shows what happens; the terminal shows only problems.
    logging.root.setLevel(logging.WARNING)
    # Not an Event: see `countersign serve`.
    stop_requested = SimpleQueue[int]()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stop_requested.put(received))
    with (
        Folder(folder, reset=reset) as home,
        open_playground(home, store=store, port=port, has_history=not empty) as running,
    ):
        click.echo(f"The playground is at {running.url}")
        click.echo(f"Its files are in {folder}. Press Ctrl-C to stop; --reset starts fresh.")
        if browser and _has_screen():
            webbrowser.open(running.url)
        stop_requested.get()
        click.echo("\nStopping.")


def _has_screen() -> bool:
    """Whether a browser can open a window. Without a display, it would take over the terminal."""
    if sys.platform in {"win32", "darwin"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
