"""Usages that are no longer among the newest are packed, and count as before."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import UserId
from core.clock import TICK
from core.errors import MalformedRecord
from core.usage import MAX_RECENT, UsageLedger
from core.usage_archive import PastUsage, is_packed, pack_usages, unpack_usages
from tests.builders import INVOKER, PROD, an_event
from tests.harness.clock import A_MOMENT

usages = st.lists(
    st.builds(
        PastUsage,
        at=st.integers(0, 10**12).map(lambda ticks: A_MOMENT + ticks * TICK),
        event_id=st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}"),
        is_waived=st.booleans(),
    )
)


@given(usages)
def test_packed_usages_are_read_back_exactly(packed: list[PastUsage]) -> None:
    text = pack_usages(packed)
    assert unpack_usages(text) == packed
    assert unpack_usages(text, after=A_MOMENT + TICK) == [each for each in packed if each.at > A_MOMENT + TICK]
    assert all(is_packed(each.event_id, text) for each in packed)
    assert is_packed("f" * 16, text) == any(each.event_id == "f" * 16 for each in packed)


@pytest.mark.parametrize("text", ["x", "AAAA", "not base64!", "/" * 68])
def test_other_text_is_refused(text: str) -> None:
    item = {**UsageLedger.of_profile(PROD).to_item(), "archived": text}
    with pytest.raises(MalformedRecord, match="archived"):
        UsageLedger.from_item(item)


def _used(count: int) -> UsageLedger:
    ledger = UsageLedger.of_profile(PROD)
    for number in range(count):
        ledger = ledger.add(an_event(invoker=UserId(f"U0{number}"), now=A_MOMENT + number * timedelta(seconds=1)))
    return ledger


def test_ledger_holds_only_the_newest_usages_in_full() -> None:
    ledger = _used(3 * MAX_RECENT)
    assert [usage.invoker for usage in ledger.usages] == [f"U0{n}" for n in range(2 * MAX_RECENT, 3 * MAX_RECENT)]
    assert len(ledger.since(A_MOMENT - TICK)) == 3 * MAX_RECENT
    assert UsageLedger.from_item(ledger.to_item()) == ledger


def test_thousand_usages_take_little_more_room_than_ten() -> None:
    ten, thousand = (len(json.dumps(_used(count).to_item())) for count in (10, 1000))
    assert thousand - ten < 990 * 24


def test_short_ledger_is_stored_as_older_versions_stored_it() -> None:
    item = UsageLedger.of_invoker(INVOKER).add(an_event()).to_item()
    assert set(item) == {"owner", "updated_at", "usages"}
    usage = cast("list[dict[str, str]]", item["usages"])[0]
    assert set(usage) == {"event_id", "invoker", "profile", "at", "ends_at"}


def test_end_of_an_archived_usage_is_noted() -> None:
    first = an_event()
    ledger = UsageLedger.of_profile(PROD).add(first)
    for number in range(1, MAX_RECENT + 3):
        ledger = ledger.add(an_event(invoker=UserId(f"U0{number}"), now=A_MOMENT + number * timedelta(seconds=1)))
    closed = first.close(UserId("U0OTHER"), A_MOMENT + TICK, "not needed")
    settled = ledger.settle(closed)
    assert [past.event_id for past in settled.since(A_MOMENT - TICK) if past.is_waived] == [first.id]
    assert ledger.settle(an_event()) == ledger
