"""The `aws` of the playground's terminal: two commands of the AWS CLI, with the same output, by boto3.

Invariant: it calls the pretend AWS only, and ends where the environment doesn't name it. Exit codes are the AWS CLI's:
0 done, 252 unknown command, 253 not configured, 254 AWS refused, 255 anything else.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

_KNOWN: Final = "The playground's aws knows two commands: aws s3 ls, and aws sts get-caller-identity."
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS")


def main() -> int:
    """Run one command. Gives its exit code."""
    runs = {"s3 ls": _list_buckets, "sts get-caller-identity": _show_identity}
    run = runs.get(" ".join(sys.argv[1:]))
    if run is None:
        _say(_KNOWN)
        return 252
    if any(urlsplit(os.environ.get(name, "")).hostname != "127.0.0.1" for name in _ENDPOINTS):
        _say("There is no pretend AWS here.")
        return 253
    try:
        run()
    except NoCredentialsError:
        _say("Unable to locate credentials.")
        return 253
    except ClientError as error:
        _say(f"\n{error}")
        return 254
    except BotoCoreError as error:
        _say(f"\n{error}")
        return 255
    return 0


def _list_buckets() -> None:
    for bucket in _client("s3").list_buckets()["Buckets"]:
        print(f"{bucket['CreationDate']:%Y-%m-%d %H:%M:%S} {bucket['Name']}")  # noqa: T201 - a command's output.


def _show_identity() -> None:
    answer = _client("sts").get_caller_identity()
    shown = {key: answer[key] for key in ("UserId", "Account", "Arn")}
    print(json.dumps(shown, indent=4))  # noqa: T201 - a command's output.


def _client(service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time.
    session: Any = boto3.session.Session(region_name="eu-west-1")
    return session.client(service, config=Config(retries={"total_max_attempts": 2}, connect_timeout=5))


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - a command's output.
