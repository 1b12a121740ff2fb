"""`countersign slack`: what is needed to create the app in Slack.

Invariant: it asks Slack nothing and needs no setting.
"""

from __future__ import annotations

import click

from bot.slack.manifest import read_manifest


@click.group()
def slack() -> None:
    """Create the Slack app."""


@slack.command()
def manifest() -> None:
    """Print the app's manifest, to paste at https://api.slack.com/apps?new_app=1."""
    # As bytes: in a file it is the same on every system, whatever encoding the terminal has.
    click.echo(read_manifest(), nl=False)
