"""What people read on a pager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.notifications.page_plan import PagePlanner
from core.audit.trail import AuditAction
from core.policy import parse_policy
from tests.core.policy.test_pager_policy import pager_file
from tests.texts import records
from tests.texts.records import LATER, MINUTE, NOW
from tests.texts.writing import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.pagers.base import PagerAlert
    from core.request import Request

_POLICY: Final = parse_policy(
    pager_file("pagerduty: {routing_key: env:K}, justification: true")
    .replace("name: main", "name: prod, page: true")
    .encode()
)


def pager() -> Iterator[Text]:
    """Every page."""
    planner, later = PagePlanner(lambda _: "Rita Example"), _later()
    for title, record, event, at in (
        ("a request", records.pending(), AuditAction.REQUEST_SUBMITTED, NOW),
        ("a request that starts later", later, AuditAction.PAGE_DUE, later.expires_at - MINUTE),
        ("a declaration", records.active(), AuditAction.BREAK_GLASS_INVOKED, NOW),
        ("an overdue review", records.closed(), AuditAction.REVIEW_REMINDED, LATER),
    ):
        alert = planner.plan(record, event, _POLICY, at)
        assert alert is not None
        yield Text("Pages", title, _write(alert))


def _later() -> Request:
    request = records.pending()
    return request.replace(starts_at=request.expires_at)


def _write(alert: PagerAlert) -> str:
    details = "\n".join(f"{name}: {text}" for name, text in alert.details.items())
    return f"{alert.severity}: {alert.summary}\n{details}"
