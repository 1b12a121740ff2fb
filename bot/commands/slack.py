"""`countersign slack`: what you need to create the app in Slack.

Invariant: it sends nothing to Slack and needs no setting.
"""

from __future__ import annotations

import click

from bot.slack.manifest import read_manifest


@click.group()
def slack() -> None:
    """Create the Slack app."""


@slack.command()
def manifest() -> None:
    """Print the app manifest, to paste at https://api.slack.com/apps?new_app=1."""
    # As bytes, so that a redirected file is the same on every system, whatever the terminal's encoding.
    click.echo(read_manifest(), nl=False)
