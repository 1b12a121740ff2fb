"""Requests that wait to be delivered.

Invariant: each is made by the test's clock, under the profile that the test says.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core.audit.trail import AuditAction
from tests.builders import APPROVER, PROD, SECOND_APPROVER, a_draft, a_request

if TYPE_CHECKING:
    from core.actor import ProfileName
    from core.request import Request
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock


def submit(stores: Stores, clock: FrozenClock, profile: ProfileName = PROD) -> Request:
    """A request with one entry to tell."""
    return stores.requests.create(
        a_request(now=clock.now(), profile=profile, required_approvals=2), a_draft(profile=profile)
    )


def submit_with_votes(stores: Stores, clock: FrozenClock, profile: ProfileName = PROD) -> Request:
    """A request with three entries to tell; a second has passed since."""
    request = submit(stores, clock, profile)
    for approver in (APPROVER, SECOND_APPROVER):
        voted = request.approve(approver, clock.now())
        request = stores.requests.update(voted, a_draft(AuditAction.APPROVAL_ADDED, actor=approver, profile=profile))
    clock.advance(timedelta(seconds=1))
    return request
