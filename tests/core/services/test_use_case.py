from __future__ import annotations

import pytest

from core.audit.trail import AuditAction, EntryDraft
from core.errors import (
    ConcurrentModification,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    NotAllowed,
    Refused,
    RequestNotFound,
    StoreUnavailable,
)
from core.services.observer import Unobserved
from core.services.pacing import RETRY_SECONDS
from core.services.use_case import (
    AuditedAttempt,
    audit_refusals,
    reading_again_if_decided,
    retry_on_conflict,
)
from tests.builders import APPROVER, PROD, REQUESTER, a_request
from tests.core.services.harness import person
from tests.harness.clock import A_MOMENT
from tests.harness.pacing import PacedTime

WHO = person(APPROVER)


class Notebook:
    """A RefusalLog that keeps what was noted in memory."""

    def __init__(self) -> None:
        self.drafts: list[EntryDraft] = []

    def note(self, draft: EntryDraft) -> None:
        """Keep it."""
        self.drafts.append(draft)

    def flush(self) -> None:
        """Nothing waits here."""


def test_use_case_without_a_conflict_runs_once() -> None:
    runs = iter(["done"])
    assert retry_on_conflict(lambda: next(runs), Unobserved()) == "done"
    assert list(runs) == []


@pytest.mark.parametrize("conflicts", [1, 2, 30])
def test_use_case_runs_again_after_each_conflict(conflicts: int) -> None:
    runs: list[int] = []

    def use_case() -> str:
        runs.append(1)
        if len(runs) <= conflicts:
            raise ConcurrentModification("REQUEST#1")
        return "done"

    time = PacedTime()
    assert retry_on_conflict(use_case, Unobserved(), time.pacing(RETRY_SECONDS)) == "done"
    assert len(runs) == conflicts + 1
    assert len(time.pauses) == conflicts, "a pause after each conflict"


def test_last_try_ends_in_store_unavailable_with_nothing_changed() -> None:
    runs: list[int] = []
    time = PacedTime()

    def use_case() -> None:
        runs.append(1)
        raise ConcurrentModification("REQUEST#1")

    with pytest.raises(StoreUnavailable, match=r"REQUEST#1 was changed \d+ times") as error:
        retry_on_conflict(use_case, Unobserved(), time.pacing(RETRY_SECONDS))
    assert not error.value.is_outcome_unknown
    assert isinstance(error.value.__cause__, ConcurrentModification)
    assert RETRY_SECONDS - 0.5 < time.now < RETRY_SECONDS
    assert len(runs) == len(time.pauses) + 1
    assert max(time.pauses) > 10 * max(time.pauses[:2]), "the pauses grow"
    assert len(set(time.pauses)) == len(time.pauses), "with jitter"


@pytest.mark.parametrize(
    "error",
    [RequestNotFound("1"), NotAllowed("approve", ("no",)), StoreUnavailable("down", is_outcome_unknown=True)],
)
def test_only_a_conflict_is_retried(error: Exception) -> None:
    runs: list[int] = []

    def use_case() -> None:
        runs.append(1)
        raise error

    with pytest.raises(type(error)):
        retry_on_conflict(use_case, Unobserved())
    assert runs == [1]


def test_conflict_is_only_what_was_decided_meanwhile() -> None:
    request = a_request()
    with pytest.raises(ConcurrentModification) as conflict, reading_again_if_decided(request):
        raise InvalidStateTransition(request.chain, "approved", "denied")
    assert conflict.value.record == request.chain
    with pytest.raises(RequestNotFound), reading_again_if_decided(request):
        raise RequestNotFound(request.id)


REQUEST = a_request()


@pytest.mark.parametrize(
    ("error", "details"),
    [
        (NotAllowed("approve", ("one", "two"), "prod"), {"rule": "prod", "unmet": ["one", "two"]}),
        (NotAllowed("approve", ("no rule",)), {"unmet": ["no rule"]}),
        (
            LimitReached("cooldown", "30m", A_MOMENT),
            {"limit": "cooldown", "value": "30m", "ends_at": "2026-01-15T03:53:45.120000Z"},
        ),
        (
            InvalidStateTransition("R", "denied", "approved", decided_by="U0BOB", decided_at=A_MOMENT),
            {
                "status": "denied",
                "wanted": "approved",
                "decided_by": "U0BOB",
                "decided_at": "2026-01-15T03:53:45.120000Z",
            },
        ),
        (InvalidStateTransition("R", "active", "reviewed"), {"status": "active", "wanted": "reviewed"}),
        (Refused("for another reason"), {"why": "for another reason"}),
    ],
)
def test_refusal_is_noted_with_all_its_facts_and_passes(error: Refused, details: dict[str, object]) -> None:
    notebook = Notebook()

    def approve() -> None:
        attempt = AuditedAttempt(AuditAction.APPROVE_REFUSED, WHO)
        with audit_refusals(attempt, notebook, Unobserved()):
            attempt.record = REQUEST
            raise error

    with pytest.raises(type(error)) as passed:
        approve()
    assert passed.value is error
    (draft,) = notebook.drafts
    assert (draft.event, draft.actor, draft.outcome) == (AuditAction.APPROVE_REFUSED, str(APPROVER), "refused")
    assert (draft.record, draft.profile, draft.subject) == (REQUEST.chain, PROD, REQUESTER)
    assert draft.details == details


def test_attempt_without_a_record_is_about_the_one_who_tries() -> None:
    notebook = Notebook()

    def submit() -> None:
        with audit_refusals(AuditedAttempt(AuditAction.SUBMIT_REFUSED, WHO, PROD), notebook, Unobserved()):
            raise NotAllowed("request", ("no",))

    with pytest.raises(NotAllowed):
        submit()
    (draft,) = notebook.drafts
    assert (draft.record, draft.profile, draft.subject) == (None, PROD, APPROVER)


@pytest.mark.parametrize(
    "error", [InvalidInput("profile", "is none", "Fix it."), RequestNotFound("1"), StoreUnavailable("down"), KeyError()]
)
def test_other_errors_are_not_noted(error: Exception) -> None:
    notebook = Notebook()
    attempt = AuditedAttempt(AuditAction.APPROVE_REFUSED, WHO)
    with pytest.raises(type(error)), audit_refusals(attempt, notebook, Unobserved()):
        raise error
    assert notebook.drafts == []


def test_success_is_not_noted() -> None:
    notebook = Notebook()
    with audit_refusals(AuditedAttempt(AuditAction.APPROVE_REFUSED, WHO), notebook, Unobserved()):
        pass
    assert notebook.drafts == []
