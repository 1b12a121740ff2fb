"""What hypothesis draws for the domain: moments, durations and legible texts.

Invariant: each value drawn here is one that a record takes as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

moments = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001  hypothesis wants bounds without a zone.
    max_value=datetime(2999, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
_seen = st.characters(
    exclude_categories=("Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn"),
    exclude_characters="\u115f\u1160\u2800\u3164\uffa0",
)
legible_texts = st.text(_seen, min_size=20, max_size=99)


def durations(at_most: timedelta) -> st.SearchStrategy[timedelta]:
    """More than nothing, up to this, in microseconds."""
    return st.timedeltas(min_value=timedelta(microseconds=1), max_value=at_most)
