"""The notes of what changed in the directory, on which an answer is judged too old."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.directory import MAX_NOTES, NOTES_KEPT, DirectoryNotes
from tests.harness.clock import A_MOMENT


def test_nothing_noted_means_no_change() -> None:
    assert DirectoryNotes().changed_at("U0ANN") is None


def test_change_is_remembered_for_its_subject_only() -> None:
    notes = DirectoryNotes().add("U0ANN", A_MOMENT)
    assert notes.changed_at("U0ANN") == A_MOMENT
    assert notes.changed_at("S0SRE") is None


def test_latest_change_counts_even_when_noted_out_of_order() -> None:
    later = A_MOMENT + timedelta(seconds=5)
    assert DirectoryNotes().add("U0ANN", later).add("U0ANN", A_MOMENT).changed_at("U0ANN") == later


def test_old_change_is_dropped_when_no_answer_can_be_older() -> None:
    notes = DirectoryNotes().add("U0ANN", A_MOMENT).add("U0BOB", A_MOMENT + NOTES_KEPT)
    assert set(notes.changes) == {"U0BOB"}
    assert notes.changed_at("U0ANN") is None


def test_notes_are_stored_and_read_unchanged() -> None:
    notes = DirectoryNotes().add("U0ANN", A_MOMENT)
    assert DirectoryNotes.from_item(notes.to_item()) == notes


def test_notes_are_kept_while_an_answer_can_be_older() -> None:
    assert DirectoryNotes().add("U0ANN", A_MOMENT).kept_until() == A_MOMENT + NOTES_KEPT


@given(st.lists(st.integers(min_value=0, max_value=3_500), min_size=1, max_size=20), st.integers(1, 3))
def test_no_change_is_lost_when_there_are_too_many(seconds: list[int], factor: int) -> None:
    # Forgotten one by one, changes count for everybody: an answer may be asked for twice, but is never too old.
    heard: dict[str, datetime] = {}
    notes = DirectoryNotes()
    moments = [A_MOMENT + timedelta(seconds=each) for each in sorted(seconds)]
    for number in range(MAX_NOTES // 10 * factor):
        for index, at in enumerate(moments):
            subject = f"U0{number}X{index}"
            heard[subject], notes = at, notes.add(subject, at)
    assert len(notes.changes) <= MAX_NOTES
    for subject, at in heard.items():
        known = notes.changed_at(subject)
        assert known is not None
        assert known >= at
    assert all(first <= second for first, second in pairwise(notes.changes.values()))
