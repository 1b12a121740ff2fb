"""Secrets in a file and in AWS's Parameter Store: the same promises, and nobody else reads them."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from pydantic import SecretStr

from bot.mfa.opening import open_secrets
from bot.mfa.secret_store import FileLocation, ParameterLocation, Secrets, read_location
from bot.mfa.ssm_store import SecretParameters
from core.actor import UserId
from core.clock import new_id
from core.errors import InvalidInput, StoreMisconfigured, StoreUnavailable
from tests.harness.aws import REGION

ANN, BOB = UserId("U0ANN"), UserId("U0BOB")
FIRST, SECOND = SecretStr("A" * 32), SecretStr("B" * 32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "countersign-mfa.json"


@pytest.fixture(params=["file", "ssm"])
def open_one(request: pytest.FixtureRequest, file: Path) -> Iterator[Callable[[], Secrets]]:
    """Opens the same secrets, each time as another instance does."""
    if request.param == "file":
        yield lambda: open_secrets(str(file))
        return
    request.getfixturevalue("aws_environment")
    # With boto3's own time-outs: moto takes its time when it is asked first.
    client = boto3.client("ssm", region_name=REGION, endpoint_url=request.getfixturevalue("moto_url"))
    path = f"/countersign/{new_id()}"
    yield lambda: SecretParameters(client, path)
    client.close()


@pytest.fixture
def secrets(open_one: Callable[[], Secrets]) -> Secrets:
    return open_one()


def test_new_store_has_no_secrets(secrets: Secrets) -> None:
    assert secrets.find(ANN) is None
    assert secrets.people() == ()
    assert not secrets.remove(ANN)


def test_secret_is_found_by_every_instance_for_its_owner_alone(
    secrets: Secrets, open_one: Callable[[], Secrets]
) -> None:
    secrets.put(ANN, FIRST, is_replacing=False)
    assert open_one().find(ANN) == FIRST
    assert secrets.find(BOB) is None
    assert secrets.people() == (ANN,)


def test_nobody_gets_a_second_one_by_mistake(secrets: Secrets) -> None:
    secrets.put(ANN, FIRST, is_replacing=False)
    with pytest.raises(InvalidInput, match="--replace"):
        secrets.put(ANN, SECOND, is_replacing=False)
    assert secrets.find(ANN) == FIRST
    secrets.put(ANN, SECOND, is_replacing=True)
    assert secrets.find(ANN) == SECOND


def test_removed_secret_is_gone_at_once(secrets: Secrets, open_one: Callable[[], Secrets]) -> None:
    for person in (ANN, BOB):
        secrets.put(person, FIRST, is_replacing=False)
    assert open_one().remove(ANN)
    assert secrets.find(ANN) is None
    assert secrets.people() == (BOB,)


def test_more_people_than_fit_on_one_page_are_all_named(secrets: Secrets) -> None:
    people = tuple(UserId(f"U0PERSON{number:02d}") for number in range(23))
    for person in people:
        secrets.put(person, FIRST, is_replacing=False)
    assert secrets.people() == people


# The file


def test_file_is_readable_by_its_owner_alone(file: Path) -> None:
    open_secrets(str(file)).put(ANN, FIRST, is_replacing=False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
@pytest.mark.parametrize("use", [lambda secrets: secrets.find(ANN), lambda secrets: secrets.remove(ANN)])
def test_file_that_others_may_touch_is_not_read(file: Path, mode: int, use: Callable[[Secrets], object]) -> None:
    secrets = open_secrets(str(file))
    secrets.put(ANN, FIRST, is_replacing=False)
    file.chmod(mode)
    with pytest.raises(StoreMisconfigured, match="chmod 600"):
        use(secrets)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"secrets": {"ann": "A"}}', '{"secrets": {"U0ANN": 1}}', "\udcff"])
def test_file_of_something_else_is_refused_and_not_shown(file: Path, content: str) -> None:
    file.write_bytes(content.encode(errors="surrogateescape"))
    file.chmod(0o600)
    with pytest.raises(StoreMisconfigured, match="is not a file of MFA secrets"):
        open_secrets(str(file)).find(ANN)


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreMisconfigured, match="cannot be used"):
        open_secrets(str(tmp_path)).find(ANN)


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreMisconfigured, match="cannot be used"):
        open_secrets(str(tmp_path / "missing" / "mfa.json")).put(ANN, FIRST, is_replacing=False)


def test_operators_who_enrol_people_at_once_lose_nobody(file: Path) -> None:
    people = tuple(UserId(f"U0PERSON{number}") for number in range(8))
    begin = threading.Barrier(len(people))

    def enrol(person: UserId) -> None:
        secrets = open_secrets(str(file))
        begin.wait()
        secrets.put(person, FIRST, is_replacing=False)

    threads = [threading.Thread(target=enrol, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert open_secrets(str(file)).people() == people


def test_write_that_fails_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = open_secrets(str(file))
    secrets.put(ANN, FIRST, is_replacing=False)

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreMisconfigured, match="No space left"):
        secrets.put(BOB, SECOND, is_replacing=False)
    monkeypatch.undo()
    assert secrets.people() == (ANN,)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


# AWS


def test_parameter_is_a_secure_string(aws_environment: None, moto_url: str) -> None:
    del aws_environment
    client = boto3.client("ssm", region_name=REGION, endpoint_url=moto_url)
    SecretParameters(client, f"/countersign/{new_id()}").put(ANN, FIRST, is_replacing=False)
    kinds = {each["Type"] for each in client.describe_parameters()["Parameters"] if each["Name"].endswith(ANN)}
    client.close()
    assert kinds == {"SecureString"}


def test_place_at_aws_opens_the_parameters_of_its_region(aws_environment: None) -> None:
    del aws_environment
    assert isinstance(open_secrets(f"ssm://{REGION}/countersign/mfa"), SecretParameters)


def test_unreachable_store_lets_nobody_in(aws_environment: None) -> None:
    del aws_environment
    # Nothing listens on this port of this machine.
    secrets = SecretParameters.open(ParameterLocation(REGION, "/countersign/mfa", "http://127.0.0.1:9"))
    with pytest.raises(StoreUnavailable, match="MFA secrets"):
        secrets.find(ANN)


# The place


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("countersign-mfa.json", FileLocation("countersign-mfa.json")),
        ("/var/lib/countersign/mfa.json", FileLocation("/var/lib/countersign/mfa.json")),
        ("ssm://eu-west-1/countersign/mfa", ParameterLocation("eu-west-1", "/countersign/mfa")),
        ("ssm://eu-west-1/countersign/mfa/", ParameterLocation("eu-west-1", "/countersign/mfa")),
        (
            "ssm://us-gov-west-1/x?endpoint_url=http://localhost:1",
            ParameterLocation("us-gov-west-1", "/x", "http://localhost:1"),
        ),
    ],
)
def test_place_is_a_path_or_parameters(text: str, location: object) -> None:
    assert read_location(text) == location


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "folder/",
        "a\0b",
        "file:///mfa.json",
        "s3://bucket/mfa",
        "ssm://Europe/mfa",
        "ssm://eu-west-1",
        "ssm://eu-west-1/",
        "ssm://eu-west-1/aws/mfa",
        "ssm://eu-west-1/a b",
        "ssm://eu-west-1/mfa?region=x",
        "ssm://[",
    ],
)
def test_place_that_is_not_understood_opens_nothing(text: str) -> None:
    with pytest.raises(InvalidInput, match="Write a path such as"):
        open_secrets(text)
