"""The option --env-file: settings from a file, for people who don't want to load it into their shell.

Invariant: what is set in the environment wins, and the file is read before any setting is.
"""

from __future__ import annotations

import os

import click

from bot.commands.terminal import FILE


def _load(_: click.Context, __: click.Parameter, path: str | None) -> None:
    if path is not None:
        # The settings take long to load, and most commands of people need none.
        from bot.settings.env_file import add_missing, is_private, read_env_file  # noqa: PLC0415 - see above

        add_missing(read_env_file(path), os.environ)
        if not is_private(path):
            click.echo(
                f"countersign: everybody on this host can read or change {path}. Run: chmod 600 {path}", err=True
            )


env_file_option = click.option(
    "--env-file", metavar="FILE", type=FILE, is_eager=True, expose_value=False, callback=_load,
    help="A file of settings, such as `countersign init` writes. The environment comes first.",
)  # fmt: skip
