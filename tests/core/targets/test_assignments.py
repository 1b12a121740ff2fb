"""Account assignments of Identity Center, over a strict fake."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.access.timing import CALL_TIMEOUT, SETTLE
from core.targets.aws_names import MAX_SESSION
from core.targets.base import Absent, Held, InProgress, Later, TargetRefused, Unknown
from core.targets.identity_center.outstanding import MAX_OUTSTANDING
from core.targets.identity_center.sessions import parse_session_duration, read_session_duration
from tests.core.targets.harness import GIVE_KEY as KEY
from tests.core.targets.harness import a_right, give, settled, take
from tests.harness.identity_center import (
    ACCOUNT,
    ADMIN,
    MANAGEMENT_ACCOUNT,
    READER,
    Fault,
    IdentityCenterServer,
)

if TYPE_CHECKING:
    from core.access.right import Right
    from core.targets.identity_center.instance import SsoInstance
    from core.targets.identity_center.target import IdentityCenter
    from tests.harness.clock import FrozenClock

CREATE = "CreateAccountAssignment"
DELETE = "DeleteAccountAssignment"
LIST = "ListAccountAssignments"
DESCRIBE = "DescribeAccountAssignmentCreationStatus"


@pytest.fixture
def right(aws: IdentityCenterServer) -> Right:
    user = aws.add_user("jon", "jon@example.com")
    return a_right(ACCOUNT, ADMIN, user.id)


def row(right: Right) -> tuple[str, str, str, str]:
    return right.resource, right.level, "USER", right.principal


def test_creation_is_polled_until_aws_lists_it(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.polls_until_done = 3

    first = target.give(right, clock.now(), KEY)
    assert isinstance(first, InProgress)
    assert [target.poll(first.token) for _ in range(3)] == [first, first, Held()]
    assert [each for each in aws.names_called() if each != "DescribePermissionSet"] == [
        LIST,
        CREATE,
        DESCRIBE,
        DESCRIBE,
        DESCRIBE,
        LIST,
    ]
    assert aws.assignments == {row(right)}


def test_success_counts_only_when_a_list_shows_it(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.list_lag_reads = 2

    first = target.give(right, clock.now(), KEY)
    assert isinstance(first, InProgress)
    assert [target.poll(first.token) for _ in range(3)] == [first, first, Held()]


def test_list_is_believed_after_the_settle_time(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    first = target.give(right, clock.now(), KEY)
    assert isinstance(first, InProgress)
    aws.list_lag_reads = 1_000_000
    assert target.poll(first.token) == first

    clock.advance(SETTLE)
    assert target.poll(first.token) == Absent()


def test_what_stood_before_is_said_and_not_made_again(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.assignments.add(row(right))

    assert target.give(right, clock.now(), KEY) == Held(stood_before=True)
    assert CREATE not in aws.names_called()


def test_lists_are_read_to_their_end(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.page_size = 1
    for number in range(3):
        # They sort before any user's id: what is looked for is on the last page.
        aws.assignments.add((ACCOUNT, ADMIN, "USER", f"00000000-0000-4000-8000-00000000000{number}"))
    aws.assignments.add(row(right))

    assert target.give(right, clock.now(), KEY) == Held(stood_before=True)


def test_group_of_the_same_id_is_not_the_user(aws: IdentityCenterServer, target: IdentityCenter, right: Right) -> None:
    aws.assignments.add((ACCOUNT, ADMIN, "GROUP", right.principal))

    assert target.inspect(right) == Absent()


def test_failure_is_declined_with_the_words_of_aws(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.failures.append("The role quota of account 111122223333\u2028is reached")

    answer = give(target, right, clock.now())
    assert answer == TargetRefused("Identity Center could not do it: The role quota of account 111122223333 is reached")


def test_unknown_user_is_declined(target: IdentityCenter, right: Right, clock: FrozenClock) -> None:
    nobody = a_right(right.resource, right.level, "00000000-0000-4000-8000-000000000000")

    answer = give(target, nobody, clock.now())
    assert isinstance(answer, TargetRefused)
    assert "User not found" in answer.reason


def test_deletion_is_polled_until_no_list_shows_it(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right
) -> None:
    aws.assignments.add(row(right))
    aws.list_lag_reads = 1

    first = target.take(right, KEY)
    assert isinstance(first, InProgress)
    assert [target.poll(first.token) for _ in range(2)] == [first, Absent()]


def test_taking_what_is_absent_is_absent(target: IdentityCenter, right: Right) -> None:
    assert target.take(right, KEY) == Absent()


def test_not_found_is_not_believed_while_it_is_listed(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right
) -> None:
    aws.assignments.add(row(right))
    aws.fail(DELETE, Fault("error", "ResourceNotFoundException"))

    assert isinstance(target.take(right, KEY), Later)
    assert take(target, right) == Absent()


def test_deleted_permission_set_is_absent(aws: IdentityCenterServer, target: IdentityCenter, right: Right) -> None:
    del aws.permission_sets[ADMIN]

    assert target.inspect(right) == Absent()
    assert target.take(right, KEY) == Absent()


def test_wrong_region_is_never_absent(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.assignments.add(row(right))
    aws.home_region = "us-east-1"

    for answer in (target.inspect(right), target.take(right, KEY), target.give(right, clock.now(), KEY)):
        assert isinstance(answer, TargetRefused)
        assert "Check the region" in answer.reason


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ConflictException", 400, Later),
        ("ThrottlingException", 400, Later),
        ("ServiceQuotaExceededException", 400, Later),
        ("ExpiredTokenException", 400, Later),
        ("InternalServerException", 500, Unknown),
        ("AccessDeniedException", 400, TargetRefused),
        ("ValidationException", 400, TargetRefused),
        ("UnrecognizedClientException", 400, TargetRefused),
    ],
)
def test_error_of_create_becomes_an_answer(
    aws: IdentityCenterServer,
    target: IdentityCenter,
    right: Right,
    clock: FrozenClock,
    code: str,
    status: int,
    expected: type,
) -> None:
    aws.fail(CREATE, Fault("error", code, status))

    answer = target.give(right, clock.now(), KEY)
    assert isinstance(answer, expected), answer
    words = answer.reason if isinstance(answer, TargetRefused) else getattr(answer, "problem", "")
    assert code in words
    if isinstance(answer, Later):
        # What throttles one right throttles all; a quota is one account's.
        assert answer.is_for_all == (code in {"ThrottlingException", "ExpiredTokenException"})
    # Nothing is stuck: the next attempt succeeds.
    assert give(target, right, clock.now()) == Held()


def test_reads_that_fail_are_later(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.fail(LIST, Fault("lost"), Fault("error", "InternalServerException", 500), Fault("garbled"))

    assert isinstance(target.inspect(right), Later)
    assert isinstance(target.inspect(right), Later)
    assert isinstance(target.give(right, clock.now(), KEY), Later)
    assert CREATE not in aws.names_called()


def test_write_of_somebody_else_is_waited_for(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    with aws.somebody_else_writes():
        assert isinstance(target.give(right, clock.now(), KEY), Later)
    assert give(target, right, clock.now()) == Held()


@pytest.mark.parametrize("kind", ["lost", "garbled"])
def test_lost_answer_is_unknown_and_found_by_looking(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock, kind: str
) -> None:
    aws.polls_until_done = 0
    aws.fail(CREATE, Fault("lost" if kind == "lost" else "garbled"))

    assert isinstance(target.give(right, clock.now(), KEY), Unknown)
    assert target.inspect(right) == Held()

    aws.fail(DELETE, Fault("lost" if kind == "lost" else "garbled"))
    assert isinstance(target.take(right, KEY), Unknown)
    assert target.inspect(right) == Absent()


def test_delayed_effect_shows_later(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.polls_until_done = 0
    aws.fail(CREATE, Fault("delayed", delay=timedelta(seconds=20)))

    assert isinstance(target.give(right, clock.now(), KEY), Unknown)
    assert target.inspect(right) == Absent()
    clock.advance(timedelta(seconds=20))
    assert target.inspect(right) == Held()


def test_operation_that_aws_forgot_is_unknown(target: IdentityCenter) -> None:
    for kind in ("creation", "deletion"):
        assert isinstance(target.poll(f"{kind}:00000000-0000-4000-8000-000000000000"), Unknown)


def test_token_of_another_target_is_declined(aws: IdentityCenterServer, target: IdentityCenter) -> None:
    assert isinstance(target.poll("webhook:1"), TargetRefused)
    assert aws.calls == []


def test_at_most_five_creations_are_outstanding(
    aws: IdentityCenterServer, target: IdentityCenter, clock: FrozenClock
) -> None:
    aws.accounts |= {f"{each:012}" for each in range(8)}
    rights = [a_right(f"{each:012}", ADMIN, aws.add_user(f"user{each}").id) for each in range(8)]

    answers = [target.give(each, clock.now(), KEY) for each in rights]
    assert [type(each) for each in answers] == [InProgress] * MAX_OUTSTANDING + [Later] * 3
    assert aws.most_outstanding == MAX_OUTSTANDING
    # As soon as one ended, another may begin.
    assert settled(target, answers[0]) == Held()
    assert isinstance(target.give(rights[5], clock.now(), KEY), InProgress)
    assert isinstance(target.give(rights[6], clock.now(), KEY), Later)


def test_creation_that_nobody_polled_is_forgotten(
    aws: IdentityCenterServer, target: IdentityCenter, clock: FrozenClock
) -> None:
    aws.accounts |= {f"{each:012}" for each in range(6)}
    rights = [a_right(f"{each:012}", ADMIN, aws.add_user(f"user{each}").id) for each in range(6)]
    for each in rights[:5]:
        target.give(each, clock.now(), KEY)

    clock.advance(timedelta(minutes=10))
    assert isinstance(target.give(rights[5], clock.now(), KEY), InProgress)


def test_calls_keep_to_five_a_second(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    began_at = clock.now()
    for _ in range(55):
        assert target.inspect(right) == Absent()
    # The first five are free; AWS, which allows 20 a second, never throttled.
    assert timedelta(seconds=10) <= clock.now() - began_at < timedelta(seconds=10, milliseconds=1)
    assert len(aws.calls) == 55


def test_management_account_is_declined_with_the_reason(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.is_delegated = True
    managed = a_right(MANAGEMENT_ACCOUNT, right.level, right.principal)

    answer = target.give(managed, clock.now(), KEY)
    assert isinstance(answer, TargetRefused)
    assert "delegated administrator" in answer.reason


@pytest.mark.parametrize(
    ("resource", "level", "principal"),
    [
        ("11112222333", ADMIN, "00000000-0000-4000-8000-000000000000"),
        (ACCOUNT, "AdministratorAccess", "00000000-0000-4000-8000-000000000000"),
        (ACCOUNT, ADMIN, "jon@example.com"),
        ("00000000-0000-4000-8000-000000000000", "owner", "00000000-0000-4000-8000-000000000000"),
    ],
)
def test_right_that_does_not_fit_is_declined_uncalled(
    aws: IdentityCenterServer, target: IdentityCenter, clock: FrozenClock, resource: str, level: str, principal: str
) -> None:
    unfit = a_right(resource, level, principal)

    for answer in (target.inspect(unfit), target.give(unfit, clock.now(), KEY), target.take(unfit, KEY)):
        assert isinstance(answer, TargetRefused)
    assert aws.calls == []


def test_open_session_outlives_as_the_permission_set_says(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    assert target.residual(right) == MAX_SESSION
    assert aws.calls == []

    give(target, right, clock.now())
    assert target.residual(right) == timedelta(hours=1)
    reader = a_right(right.resource, READER, right.principal)
    take(target, reader)
    assert target.residual(reader) == timedelta(hours=4)
    take(target, reader)
    assert aws.names_called().count("DescribePermissionSet") == 2
    assert target.residual(a_right("00000000-0000-4000-8000-000000000000", "member", right.principal)) == MAX_SESSION
    assert not target.ends_sessions


@pytest.mark.parametrize(
    ("text", "hours"),
    [(None, 1), ("PT1H", 1), ("PT1H30M", 1.5), ("PT3600S", 1), ("P1D", 12), ("PT12H", 12), ("P", 12), ("PT", 12)],
)
def test_session_duration_is_read_as_aws_writes_it(
    aws: IdentityCenterServer, instance: SsoInstance, text: str | None, hours: float
) -> None:
    aws.permission_sets[ADMIN] = text
    if text in {"P", "PT"}:
        assert parse_session_duration(text) == MAX_SESSION
        return
    assert read_session_duration(instance, ADMIN) == timedelta(hours=hours)


def test_no_call_begins_that_could_end_too_late(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    # Each list takes eight seconds of the step's 25: there is no time left in which a write could end.
    aws.call_takes = timedelta(seconds=8)

    answer = target.give(right, clock.now(), KEY)
    assert isinstance(answer, InProgress)
    aws.page_size = 1
    for name in ("ann", "eva", "kim"):
        aws.assignments.add(row(a_right(ACCOUNT, READER, aws.add_user(name).id)))
    began_at = clock.now()
    reader = a_right(ACCOUNT, READER, right.principal)
    assert isinstance(target.give(reader, clock.now(), KEY), Later)
    assert aws.names_called().count(CREATE) == 1
    assert clock.now() - began_at <= CALL_TIMEOUT
