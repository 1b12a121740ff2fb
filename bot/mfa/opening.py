"""Opens people's MFA secrets at the location in the settings.

Invariant: nothing is read or connected to before a secret is looked up.
"""

from __future__ import annotations

from pathlib import Path

from bot.mfa.file_store import SecretFile
from bot.mfa.secret_store import FileLocation, Secrets, read_location


def open_secrets(text: str) -> Secrets:
    """The secrets at a location. Nothing is read yet. Raises InvalidInput for a location that isn't understood."""
    location = read_location(text)
    if isinstance(location, FileLocation):
        return SecretFile(Path(location.path))
    from bot.mfa.ssm_store import SecretParameters  # noqa: PLC0415 - boto3 takes half a second

    return SecretParameters.open(location)
