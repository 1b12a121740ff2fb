"""Codes according to RFC 6238: its test vectors, the neighbouring time steps, and text that isn't a code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from bot.mfa.totp import Totp, check_code, enrolment_uri, new_secret
from core.actor import UserId
from core.errors import InvalidInput, NotAllowed, StoreMisconfigured
from tests.harness.clock import A_MOMENT

ANN, BOB = UserId("U0ANN"), UserId("U0BOB")
RFC_SECRET = SecretStr("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
"""The 20 bytes `12345678901234567890` of RFC 6238, appendix B, in base32."""
STEP = timedelta(seconds=30)


class Kept:
    """Secrets in a dict."""

    def __init__(self, **secrets: SecretStr) -> None:
        self._secrets = secrets

    def find(self, person: UserId) -> SecretStr | None:
        return self._secrets.get(person)

    def put(self, person: UserId, secret: SecretStr, *, is_replacing: bool) -> None:
        assert is_replacing or person not in self._secrets
        self._secrets[person] = secret

    def remove(self, person: UserId) -> bool:
        return self._secrets.pop(person, None) is not None

    def people(self) -> tuple[UserId, ...]:
        return tuple(map(UserId, sorted(self._secrets)))


@pytest.fixture
def totp() -> Totp:
    return Totp(Kept(U0ANN=RFC_SECRET, U0BOB=new_secret()))


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_vectors_of_the_rfc(totp: Totp, seconds: int, code: str) -> None:
    """The last six of its eight digits, which is what six digits are by the RFC's own arithmetic."""
    assert totp.find_step(ANN, code, datetime.fromtimestamp(seconds, UTC)) == seconds // 30


@pytest.mark.parametrize(("steps", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_code_one_step_before_or_after_counts_for_its_own_step(totp: Totp, *, steps: int, is_right: bool) -> None:
    at = datetime.fromtimestamp(1_234_567_890, UTC)
    found = totp.find_step(ANN, "005924", at - steps * STEP)
    assert found == (1_234_567_890 // 30 if is_right else None)


def test_another_persons_code_is_wrong(totp: Totp) -> None:
    assert totp.find_step(BOB, "005924", datetime.fromtimestamp(1_234_567_890, UTC)) is None


@pytest.mark.parametrize("typed", ["005 924", " 005924\n", "00 59 24"])
def test_spaces_that_apps_show_do_not_matter(typed: str) -> None:
    assert check_code(typed) == "005924"


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "12345a", "１２３４５６", "-12345", "12.345", "x" * 5000])  # noqa: RUF001
def test_malformed_code_is_reported_and_not_tried(totp: Totp, typed: str) -> None:
    with pytest.raises(InvalidInput, match="this isn't a 6-digit code") as refusal:
        totp.find_step(ANN, typed, A_MOMENT)
    assert refusal.value.field == "code"
    assert typed == "" or typed not in str(refusal.value)


def test_person_without_mfa_is_told_how_to_enrol(totp: Totp) -> None:
    with pytest.raises(
        NotAllowed, match="U0EVE is not enrolled for MFA; ask an operator to run `countersign mfa enrol`"
    ):
        totp.find_step(UserId("U0EVE"), "123456", A_MOMENT)


def test_spoilt_secret_is_reported_by_owner_and_not_shown() -> None:
    with pytest.raises(StoreMisconfigured, match="U0ANN") as refusal:
        Totp(Kept(U0ANN=SecretStr("not!base32"))).find_step(ANN, "123456", A_MOMENT)
    assert "not!base32" not in str(refusal.value)


def test_new_secret_is_another_each_time_and_has_160_bits() -> None:
    secrets = {new_secret().get_secret_value() for _ in range(20)}
    assert len(secrets) == 20
    assert all(len(secret) * 5 == 160 for secret in secrets)


def test_app_reads_the_address() -> None:
    assert enrolment_uri(ANN, RFC_SECRET) == (
        f"otpauth://totp/Countersign:U0ANN?secret={RFC_SECRET.get_secret_value()}&issuer=Countersign"
    )
