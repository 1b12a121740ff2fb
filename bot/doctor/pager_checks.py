"""Paging: could people be paged now?

Invariant: nobody is paged. What can't be checked without a page is said to be unchecked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from types import MappingProxyType

from bot.doctor.finding import CheckResult, fine, note, wrong
from core.errors import DeliveryFailed
from core.pagers.base import PagerOpener
from core.pagers.opening import Pagers
from core.policy import Policy
from core.policy.pager_config import INCIDENT_IO


def check_pager(policy: Policy, more: Mapping[str, PagerOpener] = MappingProxyType({})) -> Iterator[CheckResult]:
    """The pager of the policy, if it names one. `more` opens kinds of pagers in place of Countersign's own."""
    config = policy.notifications.pager
    if config is None:
        return
    with closing(Pagers(more)) as pagers:
        try:
            found = pagers.get(config).check()
        except DeliveryFailed as failure:
            yield wrong(f"pager: {failure.problem}", "docs/on-call.md says how paging is set up.")
            return
    yield note(f"pager: {found}") if config.kind == INCIDENT_IO else fine(f"pager: {found}")
