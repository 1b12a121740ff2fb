"""The environment in which a command uses these credentials and no others.

Invariant: whatever this person configured for AWS, the command's default credentials are the ones that it is given, or
it has none. The person's own files are only read, and no secret of theirs is copied.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bot.terminal.aws_files import AwsFile, ConfigSection, config_path, credentials_path, read_aws_file

_CONFLICTING: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ACCOUNT_ID",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CREDENTIAL_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
"""Each names credentials, and comes before a container's in some SDK."""
_OF_CREDENTIALS: Final = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_security_token",
        "aws_account_id",
        "credential_process",
        "credential_source",
        "login_session",
        "role_arn",
        "source_profile",
        "web_identity_token_file",
    }
)
_OF_SINGLE_SIGN_ON: Final = "sso_"
_SECRET: Final = frozenset({"aws_secret_access_key", "aws_session_token", "aws_security_token"})


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what names other credentials. The machine's own role is out of reach, too."""
    kept = {name: value for name, value in environ.items() if name not in _CONFLICTING}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true"}


@contextmanager
def without_default_credentials(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The variables that keep SDKs from the credentials of the default profile, while a command runs.

    SDKs look into the default profile before they ask a container's endpoint. So where that profile has credentials,
    the command reads a copy of the configuration that has the default profile's other settings, such as its region.
    """
    config, shared = read_aws_file(config_path(environ)), read_aws_file(credentials_path(environ))
    hides_config = any(_is_default(each) and _has_credentials(each) for each in config.sections)
    hides_shared = any(_is_default(each) and _has_credentials(each) for each in shared.sections)
    hides_boto = _has_boto_file(environ)
    if not (hides_config or hides_shared or hides_boto):
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
        empty, copy = Path(folder) / "empty", Path(folder) / "config"
        empty.touch(mode=0o600)
        variables = {}
        if hides_config:
            copy.touch(mode=0o600)
            copy.write_bytes(_without_credentials(config))
            variables["AWS_CONFIG_FILE"] = str(copy)
        if hides_shared:
            # Its other profiles go with it: a copy of their keys could outlive this process.
            variables["AWS_SHARED_CREDENTIALS_FILE"] = str(empty)
        if hides_boto:
            variables["BOTO_CONFIG"] = str(empty)
        yield variables


def _is_default(section: ConfigSection) -> bool:
    return section.name in {"default", "profile default"}


def _has_credentials(section: ConfigSection) -> bool:
    return any(_is_of_credentials(key) for key in section.keys)


def _is_of_credentials(key: str) -> bool:
    return key in _OF_CREDENTIALS or key.startswith(_OF_SINGLE_SIGN_ON)


def _without_credentials(config: AwsFile) -> bytes:
    kept = [
        section.without(_is_of_credentials if _is_default(section) else _SECRET.__contains__)
        for section in config.sections
    ]
    return b"".join(kept)


def _has_boto_file(environ: Mapping[str, str]) -> bool:
    """Whether there is a file of the old boto, in which SDKs for Python still look for keys."""
    with suppress(OSError, RuntimeError):
        return "BOTO_CONFIG" in environ or any(
            os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111 - as boto finds it
            for path in ("/etc/boto.cfg", "~/.boto")
        )
    return False
