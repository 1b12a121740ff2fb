"""What is incident.io's own: final entries, Slack ids, and keys that don't see everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.policy.on_call_config import OnCallConfig
from core.schedules.base import ScheduleRefused
from core.schedules.opening import open_source
from tests.core.schedules.benches import JO, KEY_VARIABLE, SAM
from tests.harness.incident_io_schedules import KEY, SCHEDULE, TEAM_KEY, FakeIncidentIo
from tests.harness.schedule_server import RosterPerson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.schedules.base import ScheduleSource

T0 = datetime(2026, 1, 15, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def incident_io(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIncidentIo]:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with FakeIncidentIo() as fake:
        yield fake


def _open(fake: FakeIncidentIo) -> ScheduleSource:
    stated = {"schedule": SCHEDULE, "key": f"env:{KEY_VARIABLE}", "url": fake.url}
    return open_source("primary", OnCallConfig.model_validate({"incident_io": stated}))


def test_slack_id_of_the_person_is_kept(incident_io: FakeIncidentIo) -> None:
    incident_io.add(RosterPerson("01SAM", "Sam Example", "sam@example.com", "U0SAM"), T0, T0 + HOUR)

    (shift,) = _open(incident_io).find_shifts(T0, T0 + HOUR)

    assert shift.person.slack_id == "U0SAM"


def test_rotation_without_its_override_never_counts(incident_io: FakeIncidentIo) -> None:
    incident_io.add(SAM, T0, T0 + 8 * HOUR)
    incident_io.override(JO, T0 + HOUR, T0 + 2 * HOUR)

    shifts = _open(incident_io).find_shifts(T0, T0 + 8 * HOUR)

    assert [(each.person.source_id, each.ends_at) for each in shifts] == [
        ("PSAM", T0 + HOUR), ("PJO", T0 + 2 * HOUR), ("PSAM", T0 + 8 * HOUR),
    ]  # fmt: skip


def test_entry_of_nobody_is_no_shift(incident_io: FakeIncidentIo) -> None:
    incident_io.add(None, T0, T0 + HOUR)

    assert _open(incident_io).find_shifts(T0, T0 + HOUR) == ()
    assert len(incident_io.calls) == 1


def test_key_of_a_team_is_refused_and_says_which_to_use(
    incident_io: FakeIncidentIo, monkeypatch: pytest.MonkeyPatch
) -> None:
    # incident.io answers such a key with no entries, as if nobody were on call.
    incident_io.add(SAM, T0, T0 + HOUR)
    monkeypatch.setenv(KEY_VARIABLE, TEAM_KEY)
    source = _open(incident_io)

    for ask in (lambda: source.find_shifts(T0, T0 + HOUR), source.check):
        with pytest.raises(ScheduleRefused, match=r"hides it from this key.* key of the whole account"):
            ask()
