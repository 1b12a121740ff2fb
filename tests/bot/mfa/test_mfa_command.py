"""`countersign mfa`: an operator enrols people in MFA and removes them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from bot.mfa.opening import open_secrets
from core.actor import UserId
from core.audit.keyring import AuditKeyring
from core.clock import SystemClock
from core.mfa import MAX_WRONG_IN_WINDOW
from core.stores import open_stores
from localslack.records import Person
from localslack.server import LocalSlack

if TYPE_CHECKING:
    from core.stores import Stores

ANN = UserId("U0ANN")
KEY = "a-key-that-has-more-than-32-characters"


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "mfa.json")


def environment(place: str, **more: str | None) -> dict[str, str | None]:
    store = f"sqlite:///{Path(place).with_name('countersign.db')}"
    cleared = dict.fromkeys(("SLACK_BOT_TOKEN", "SLACK_API_URL", "COUNTERSIGN_RETENTION"))
    return {
        **cleared,
        "COUNTERSIGN_MFA_SECRETS": place,
        "COUNTERSIGN_STORE": store,
        "COUNTERSIGN_AUDIT_KEY": KEY,
        **more,
    }


def run(place: str, *arguments: str, typed: str = "", **more: str | None) -> Result:
    return CliRunner().invoke(countersign, ["mfa", *arguments], env=environment(place, **more), input=typed)


def open_store(place: str) -> Stores:
    url = environment(place)["COUNTERSIGN_STORE"]
    assert url is not None
    return open_stores(url, keyring=AuditKeyring.from_text(KEY))


def changes(place: str) -> list[tuple[str, str | None]]:
    """What the trail says of factors, and of whom."""
    with closing(open_store(place)) as stores:
        return [(each.event.value, each.subject) for each in stores.audit.get_chain("MFA")]


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


def test_each_change_of_a_factor_is_in_the_trail(place: str) -> None:
    run(place, "enrol", ANN)
    run(place, "enrol", ANN)
    run(place, "enrol", ANN, "--replace")
    run(place, "remove", ANN)
    run(place, "remove", ANN)
    assert changes(place) == [("mfa_enrolled", ANN), ("mfa_replaced", ANN), ("mfa_removed", ANN)]


def test_nothing_changes_when_the_trail_cant_be_written(place: str, tmp_path: Path) -> None:
    run(place, "enrol", ANN)
    for arguments in (("enrol", "U0BOB"), ("remove", ANN)):
        result = run(place, *arguments, COUNTERSIGN_STORE=f"sqlite:///{tmp_path}/missing/countersign.db")
        assert result.exit_code == 3
    assert run(place, "list").stdout.split() == [ANN]


def test_nothing_is_enrolled_without_an_audit_key(place: str) -> None:
    result = run(place, "enrol", ANN, COUNTERSIGN_AUDIT_KEY=None)
    assert (result.exit_code, "COUNTERSIGN_AUDIT_KEY" in result.stderr) == (2, True)


def test_app_shows_the_name_that_slack_has(place: str) -> None:
    with LocalSlack() as slack:
        slack.workspace.add(Person(id=ANN, name="ann", real_name="Ann Bell"))
        tokens = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_API_URL": slack.api_url}
        known, unknown = run(place, "enrol", ANN, **tokens), run(place, "enrol", "U0GONE", **tokens)
    assert "otpauth://totp/Countersign:Ann%20Bell?" in known.stdout
    assert "otpauth://totp/Countersign:U0GONE?" in unknown.stdout
    named = run(place, "enrol", ANN, "--replace", "--name", "ann@example.com")
    assert "otpauth://totp/Countersign:ann%40example.com?" in named.stdout


def test_operator_unlocks_a_blocked_person(place: str) -> None:
    assert run(place, "unlock", ANN).exit_code == 1
    with closing(open_store(place)) as stores:
        for _ in range(MAX_WRONG_IN_WINDOW):
            stores.break_glass.put_codes(stores.break_glass.get_codes(ANN).count_wrong(SystemClock().now()))
        assert stores.break_glass.get_codes(ANN).is_blocked
    assert run(place, "unlock", ANN).exit_code == 0
    with closing(open_store(place)) as stores:
        assert not stores.break_glass.get_codes(ANN).is_blocked
    assert changes(place) == [("mfa_unlocked", ANN)]
