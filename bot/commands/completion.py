"""`countersign completion`: what a shell needs to complete commands and options.

Invariant: it prints a script and changes nothing; the person decides where it is loaded.
"""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

_PROGRAM: Final = "countersign"
_VARIABLE: Final = "_COUNTERSIGN_COMPLETE"
_SHELLS: Final = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print a script that completes commands and options in a shell.

    \b
    bash   eval "$(countersign completion bash)"      in ~/.bashrc; needs bash 4.4
    zsh    eval "$(countersign completion zsh)"       in ~/.zshrc, after compinit
    fish   countersign completion fish | source       in ~/.config/fish/config.fish
    """  # noqa: D301 - click's mark for lines that stay as they are
    found = get_completion_class(shell)
    if found is not None:
        click.echo(found(click.get_current_context().find_root().command, {}, _PROGRAM, _VARIABLE).source())
