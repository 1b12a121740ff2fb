"""`countersign slack`: what you need to create the app in Slack.

Invariant: it sends nothing to Slack and needs no setting.
"""

from __future__ import annotations

from pathlib import Path

import click

from bot.commands.policy_files import read_or_exit
from bot.commands.terminal import FILE


@click.group()
def slack() -> None:
    """Create the Slack app."""


@slack.command()
@click.option(
    "--policy",
    "policy_path",
    envvar="COUNTERSIGN_POLICY",
    type=FILE,
    metavar="FILE",
    help="Ask also for what this policy needs, such as e-mail addresses for schedules. Default: COUNTERSIGN_POLICY.",
)
@click.pass_context
def manifest(context: click.Context, policy_path: str | None) -> None:
    """Print the app manifest, to paste at https://api.slack.com/apps?new_app=1."""
    from bot.slack.manifest import read_manifest, write_manifest  # noqa: PLC0415 - no other command needs it
    from core.policy import load_policy  # noqa: PLC0415 - as above

    source = context.get_parameter_source("policy_path")
    if policy_path is None or (source is click.core.ParameterSource.ENVIRONMENT and not Path(policy_path).exists()):
        # As bytes, so that a redirected file is the same on every system, whatever the terminal's encoding.
        click.echo(read_manifest(), nl=False)
        return
    click.echo(write_manifest(read_or_exit(policy_path, load_policy)), nl=False)
