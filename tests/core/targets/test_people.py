"""Who a person of Slack is in Identity Center."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.access.principals import SoughtPerson
from core.targets.base import Later, TargetRefused
from core.targets.identity_center.people import ResolvedPerson, resolve_person
from tests.harness.identity_center import Fault

if TYPE_CHECKING:
    from core.targets.identity_center.instance import SsoInstance
    from tests.harness.identity_center import IdentityCenterServer

JON = "U0JON"


def test_mapping_names_a_user_by_id_or_name(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    jon = aws.add_user("jon.doe", "jon@example.com")

    for word in (jon.id, "jon.doe", "Jon.Doe"):
        # AWS's comparison of case isn't documented: as written comes first, then lower case.
        assert resolve_person(instance, SoughtPerson(JON, mapped=word)) == ResolvedPerson(jon.id, "jon.doe")


def test_mapping_goes_before_the_address(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    jon = aws.add_user("jon.admin", "jon+admin@example.com")
    aws.add_user("jon", "jon@example.com")

    sought = SoughtPerson(JON, mapped="jon.admin", email="jon@example.com")
    assert resolve_person(instance, sought) == ResolvedPerson(jon.id, "jon.admin")


def test_address_finds_the_user_in_either_case(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    jon = aws.add_user("jon", "jon@example.com")

    assert resolve_person(instance, SoughtPerson(JON, email="Jon@Example.com")) == ResolvedPerson(jon.id, "jon")


def test_two_users_are_a_refusal(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    aws.add_user("jon", "jon@example.com")
    aws.add_user("jon2", "Jon@example.com")

    found = resolve_person(instance, SoughtPerson(JON, email="Jon@example.com"))
    assert isinstance(found, TargetRefused)
    assert "more than one user" in found.reason

    aws.add_user("jon3", "jon@example.com")
    assert isinstance(resolve_person(instance, SoughtPerson(JON, email="jon@example.com")), TargetRefused)


@pytest.mark.parametrize("word", ["nobody", "00000000-0000-4000-8000-000000000000"])
def test_no_user_is_a_refusal(aws: IdentityCenterServer, instance: SsoInstance, word: str) -> None:
    aws.add_user("jon")

    found = resolve_person(instance, SoughtPerson(JON, mapped=word))
    assert isinstance(found, TargetRefused)
    assert "has no user" in found.reason
    assert "`people:`" in found.reason


def test_person_without_mapping_is_not_sought(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    found = resolve_person(instance, SoughtPerson(JON))

    assert isinstance(found, TargetRefused)
    assert JON in found.reason
    assert aws.calls == []


def test_disabled_user_is_a_refusal(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    jon = aws.add_user("jon", "jon@example.com", "DISABLED")

    for sought in (SoughtPerson(JON, email="jon@example.com"), SoughtPerson(JON, mapped=jon.id)):
        found = resolve_person(instance, sought)
        assert isinstance(found, TargetRefused)
        assert "is disabled" in found.reason


def test_user_with_another_address_is_a_refusal(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    jon = aws.add_user("jon", "jon@example.com")
    aws.answers_after["GetUserId"] = lambda: setattr(jon, "email", "eva@example.com")

    found = resolve_person(instance, SoughtPerson(JON, email="jon@example.com"))
    assert isinstance(found, TargetRefused)
    assert "another address" in found.reason


@pytest.mark.parametrize("fault", [Fault("lost"), Fault("error", "ThrottlingException"), Fault("garbled")])
def test_look_up_that_fails_is_later(aws: IdentityCenterServer, instance: SsoInstance, fault: Fault) -> None:
    aws.add_user("jon")
    aws.fail("GetUserId", fault)

    assert isinstance(resolve_person(instance, SoughtPerson(JON, mapped="jon")), Later)


def test_address_stands_in_no_repr() -> None:
    assert "jon@example.com" not in repr(SoughtPerson(JON, email="jon@example.com"))
