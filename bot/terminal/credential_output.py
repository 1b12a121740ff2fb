"""Credentials as the AWS SDKs read them: from a `credential_process`, and from a container's endpoint.

Invariant: nothing is imported but the standard library. What is written has exactly the fields that the SDKs document.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Mapping


def write_for_process(fields: Mapping[str, str]) -> str:
    """What a `credential_process` prints: one line of JSON. Without `Expiration`, SDKs would never ask again."""
    return json.dumps(
        {
            "Version": 1,
            "AccessKeyId": fields["AccessKeyId"],
            "SecretAccessKey": fields["SecretAccessKey"],
            "SessionToken": fields["SessionToken"],
            "Expiration": fields["Expiration"],
        }
    )


def write_for_container(fields: Mapping[str, str]) -> str:
    """What a container-credentials endpoint answers. Here the session's token is called `Token`."""
    return json.dumps(
        {
            "AccessKeyId": fields["AccessKeyId"],
            "SecretAccessKey": fields["SecretAccessKey"],
            "Token": fields["SessionToken"],
            "Expiration": fields["Expiration"],
        }
    )


def write_for_environment(fields: Mapping[str, str]) -> dict[str, str]:
    """The variables that every AWS tool reads. Who reads them can't renew the credentials."""
    return {
        "AWS_ACCESS_KEY_ID": fields["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": fields["SecretAccessKey"],
        "AWS_SESSION_TOKEN": fields["SessionToken"],
        "AWS_CREDENTIAL_EXPIRATION": fields["Expiration"],
    }


def print_credentials(text: str) -> bool:
    """Print what `write_for_process` made. Where nobody can read it, say so in a line; returns whether it's printed."""
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it's closed")  # noqa: TRY301 - one answer for all of them
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        if sys.stdout is not None:
            # What is left of it would be tried again at the end, with a second error.
            os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())
        if sys.stderr is not None:
            problem = (error.strerror or type(error).__name__).lower()
            sys.stderr.write(f"countersign: credentials can't be written to standard output: {problem}\n")
        return False
    return True
