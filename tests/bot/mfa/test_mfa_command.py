"""`countersign mfa`: an operator enrols people in MFA and removes them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from bot.mfa.opening import open_secrets
from core.actor import UserId

ANN = UserId("U0ANN")


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "mfa.json")


def run(place: str, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(countersign, ["mfa", *arguments], env={"COUNTERSIGN_MFA_SECRETS": place}, input=typed)


def secret_of(result: Result) -> str:
    (address,) = [line for line in result.stdout.splitlines() if line.startswith("otpauth://")]
    return parse_qs(urlsplit(address).query)["secret"][0]


def test_enrolment_shows_the_secret_as_uri_and_qr_code(place: str) -> None:
    result = run(place, "enrol", ANN)
    assert result.exit_code == 0, result.output
    kept = open_secrets(place).find(ANN)
    assert kept is not None
    assert secret_of(result) == kept.get_secret_value()
    assert "█" in result.stdout
    assert "█" not in run(place, "enrol", "U0BOB", "--no-qr").stdout


def test_code_can_be_tried_without_being_used(place: str) -> None:
    secret = secret_of(run(place, "enrol", ANN))
    code = pyotp.TOTP(secret).now()
    for _ in range(2):
        assert run(place, "check", ANN, typed=f"{code}\n").exit_code == 0
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    assert run(place, "check", ANN, "--code", wrong).exit_code == 1


def test_nobody_is_enrolled_twice_by_mistake(place: str) -> None:
    first = secret_of(run(place, "enrol", ANN))
    again = run(place, "enrol", ANN)
    assert (again.exit_code, "--replace" in again.stderr) == (2, True)
    assert secret_of(run(place, "enrol", ANN, "--replace")) != first


def test_enrolled_person_is_listed_until_removed(place: str) -> None:
    for person in (ANN, "U0BOB"):
        run(place, "enrol", person)
    assert run(place, "list").stdout.split() == ["U0ANN", "U0BOB"]
    assert run(place, "remove", ANN).exit_code == 0
    assert run(place, "list").stdout.split() == ["U0BOB"]
    assert run(place, "remove", ANN).exit_code == 1
    assert run(place, "check", ANN, "--code", "123456").exit_code == 1


@pytest.mark.parametrize("arguments", [("enrol", "ann"), ("check", "U0ANN", "--code", "12"), ("list", "--secrets", "")])
def test_wrong_use_is_reported_in_one_line(place: str, arguments: tuple[str, ...]) -> None:
    run(place, "enrol", ANN)
    result = run(place, *arguments)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_file_that_others_may_read_is_refused(place: str) -> None:
    run(place, "enrol", ANN)
    Path(place).chmod(0o644)
    result = run(place, "list")
    assert (result.exit_code, "chmod 600" in result.stderr) == (3, True)


def test_invalid_location_in_the_environment_names_its_variable() -> None:
    result = run("s3://bucket", "list")
    assert (result.exit_code, "COUNTERSIGN_MFA_SECRETS" in result.stderr) == (2, True)
