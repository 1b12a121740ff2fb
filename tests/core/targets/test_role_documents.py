"""The names, policies and documents of a role: within AWS's patterns, and enough for what Countersign calls."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access.session import source_identity_for
from core.policy import parse_policy
from core.targets.aws_names import SESSION_NAME, session_name
from core.targets.aws_role.clients import BotoClients
from core.targets.aws_role.deny_policy import ROOM_FOR_ALL, deny_all, deny_grant, is_dead, is_ours
from core.targets.aws_role.documents import (
    broker_policy,
    example_scp,
    find_roles,
    revoker_policy,
    revoker_trust_policy,
    server_policy,
    trust_policy,
)
from core.targets.aws_role.names import session_tags
from core.targets.aws_role.session_policy import MAX_POLICY_LENGTH, session_policy
from tests.core.targets.role_office import POLICY, RoleOffice
from tests.harness.pretend_aws import ALLOW_ALL, BROKER, LOCAL, PROD, REVOKER, serve_pretend_aws

if TYPE_CHECKING:
    from core.stores import Stores
    from tests.harness.clock import FrozenClock

ROLES = find_roles(parse_policy(POLICY.encode()).targets)
END = datetime(2026, 1, 15, 5, 0, 0, 999_999, tzinfo=UTC)


def shapes() -> dict[str, Any]:
    """STS's own service model."""
    file = Path(botocore.__file__).parent / "data" / "sts" / "2011-06-15" / "service-2.json.gz"
    found: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))["shapes"]
    return found


def test_session_policy_ends_within_the_window() -> None:
    policy = json.loads(session_policy(END))

    (statement,) = policy["Statement"]
    assert statement["Condition"] == {"DateLessThan": {"aws:CurrentTime": "2026-01-15T05:00:00Z"}}
    assert len(session_policy(END)) < 160 < MAX_POLICY_LENGTH


@pytest.mark.parametrize(
    ("person", "name"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Änn Döe", "Ann-Doe"),
        ("李小龍", "countersign-0123456789abcdef-U0ANN"),
        ("a" * 70, "a" * 64),
        ("x", "countersign-0123456789abcdef-U0ANN"),
        ("", "countersign-0123456789abcdef-U0ANN"),
    ],
)
def test_session_is_named_after_its_person(person: str, name: str) -> None:
    assert session_name(person, source_identity_for("0123456789abcdef", "U0ANN")) == name


@given(st.text(max_size=200))
def test_any_name_fits_the_pattern_of_aws(person: str) -> None:
    assert SESSION_NAME.fullmatch(session_name(person, "U0ANN"))
    assert all(len(each["Value"]) <= 256 for each in session_tags("REQUEST#0123456789abcdef", person))


def test_source_identity_fits_the_service_model() -> None:
    model = shapes()["sourceIdentityType"]
    longest = source_identity_for("0123456789abcdef", "U" + "0" * 31)

    assert model["min"] <= len(longest) <= model["max"]
    assert SESSION_NAME.fullmatch(longest)


def test_deny_of_one_grant_is_no_longer_than_of_all() -> None:
    one = deny_grant("0123456789abcdef", source_identity_for("0123456789abcdef", "U" + "0" * 31))
    everything = deny_all(END)

    assert max(one.characters, everything.characters) <= ROOM_FOR_ALL
    assert is_ours(one.name)
    assert is_ours(everything.name)
    assert not is_ours("countersign-revoker")
    assert not is_dead(everything.name, END + timedelta(hours=1))
    assert is_dead(everything.name, END + timedelta(hours=1, minutes=2))


def test_documents_are_enough_for_all_that_is_called(stores: Stores, clock: FrozenClock, aws_environment: None) -> None:
    del aws_environment
    own = [broker_policy(ROLES.values()), server_policy(ROLES.values())]
    with serve_pretend_aws(clock) as aws:
        aws.add_role(BROKER, trust=trust_policy(ROLES["ops"], BROKER), policies=dict(zip("ab", own, strict=True)))
        for name, role in (("ops", LOCAL), ("far", PROD)):
            aws.add_role(role, trust=trust_policy(ROLES[name], BROKER), policies={"work": ALLOW_ALL})
        trust = revoker_trust_policy(ROLES["far"], BROKER)
        aws.add_role(REVOKER, trust=trust, policies={"edit": revoker_policy([ROLES["far"]])})
        office = RoleOffice(stores, clock, aws)
        for profile in ("prod", "remote"):
            source = office.open(profile=profile)
            issued = office.issue(profile=profile)
            assert office.works(issued)
            office.end(source)
            assert not office.works(issued)
        clock.advance(timedelta(hours=2))
        office.tend()
        assert office.denies(LOCAL) == office.denies(PROD) == []


def test_documents_name_no_other_role() -> None:
    for document in (broker_policy([ROLES["ops"]]), server_policy([ROLES["far"]]), revoker_policy([ROLES["far"]])):
        resources = [each for statement in document["Statement"] for each in statement["Resource"]]  # type: ignore[union-attr, index, call-overload]
        assert resources in ([LOCAL], [REVOKER], [PROD])


def test_example_scp_fits_and_spares_countersign() -> None:
    scp = example_scp(ROLES.values())

    assert len(json.dumps(scp)) < 5_120
    conditions = [each["Condition"] for each in scp["Statement"]]  # type: ignore[union-attr, index, call-overload]
    assert conditions == [
        {"StringNotLike": {"sts:SourceIdentity": "countersign-*"}},
        {
            "StringNotLike": {"aws:SourceIdentity": "countersign-*"},
            # It ends access early, so it has no source identity of a grant.
            "ArnNotLike": {"aws:PrincipalArn": [REVOKER]},
        },
    ]


def test_sts_is_asked_in_its_region(aws_environment: None) -> None:
    del aws_environment

    assert BotoClients().sts("eu-central-1").meta.endpoint_url == "https://sts.eu-central-1.amazonaws.com"
