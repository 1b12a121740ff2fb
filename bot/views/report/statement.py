"""What the report says in words: its scope, its main numbers, and what was verified.

Invariant: pure. Each sentence about integrity is true as far as it goes, and what wasn't checked is said as plainly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.audit.restores import Restore
from core.duration import format_duration
from core.report.report import AccessReport, Integrity, Verification


@dataclass(frozen=True, slots=True)
class Statement:
    """A verdict with what it rests on. `mood` is good, warn or bad."""

    verdict: str
    mood: str
    lines: tuple[str, ...]


def describe_scope(report: AccessReport) -> Iterator[str]:
    """What the report covers."""
    period, zone = report.period, report.period.zone
    moments = [f"{period.local(each):%Y-%m-%d %H:%M}" for each in (period.since, period.until, report.made_at)]
    yield (
        f"From {moments[0]} up to {moments[1]}, made {moments[2]}. All times on this page are in the time zone {zone}; "
        "in the CSV files they are in UTC."
    )
    yield (
        f"Store: `{report.store}`. {report.reading.entries:,} entries of the audit trail. What is recorded later "
        "isn't in this report."
    )
    for restore in map(Restore.of, report.reading.restores):
        until = f"as of {period.local(restore.as_of):%Y-%m-%d %H:%M}" if restore.as_of is not None else "an empty one"
        yield (
            f"The store was restored from a backup, {until}, at {period.local(restore.at):%Y-%m-%d %H:%M}. What was "
            "recorded in between is lost, and isn't in this report."
        )
    if report.names.problem:
        yield f"Names: {report.names.problem}"
    if report.review_problem:
        yield f"Reviews: {report.review_problem}"


def describe_facts(report: AccessReport) -> Iterator[tuple[str, str, str]]:
    """The main numbers: a name, a value, and a remark."""
    requests, events, access = report.requests, report.events, report.access
    people = requests.outcome_total("approved")
    by_rule = requests.outcome_total("approved by a rule")
    yield "Requests", f"{requests.total:,}", f"{people:,} approved by people, {by_rule:,} by a rule"
    median, most = requests.wait_at(0.5), requests.wait_at(0.9)
    if median is not None and most is not None:
        yield "Median time to decision", format_duration(median), f"nine of ten within {format_duration(most)}"
    yield "Break-glass events", f"{events.total:,}", f"{events.live:,} active now"
    overdue = sum(each.is_overdue for each in access.reviews)
    yield "Overdue reviews now", f"{overdue:,}", f"{len(access.reviews):,} waiting in all"
    yield "Refused attempts", f"{report.refusals.total:,}", ""
    holders = {each.person for each in access.holders}
    yield (
        "Access open now",
        f"{len(access.holders):,}",
        f"{len(holders):,} {'person' if len(holders) == 1 else 'people'}",
    )


def describe_integrity(report: AccessReport) -> Statement:
    """What is known about whether the trail is as it was written."""
    integrity, reading = report.integrity, report.reading
    lines = [*_describe_verification(integrity.verification), *_describe_checkpoint(report)]
    if reading.left_out:
        found = [f"{reading.unusable:,} without a genuine seal"] if reading.unusable else []
        found += [f"{reading.unreadable:,} that can't be read"] if reading.unreadable else []
        lines += [f"Entries that can't be used: {', '.join(found)}. Nothing that they say is in this report:"]
        lines += [*reading.named, *(["…"] if reading.left_out > len(reading.named) else [])]
    else:
        lines.append(f"The seal of each of the {reading.entries:,} entries that this report read was checked again.")
    if report.access.unreadable:
        lines.append(
            f"Records that can't be read, and may be access that is open: {', '.join(report.access.unreadable)}."
        )
    lines.append(
        f"Digest over the entries that were read, in their order: `{reading.digest}`. The same trail gives the same "
        "digest for the same period."
    )
    return _judge(report, tuple(lines))


def _judge(report: AccessReport, lines: tuple[str, ...]) -> Statement:
    found = report.integrity.verification
    if report.reading.left_out or (found is not None and found.findings):
        return Statement("the audit trail has been changed, or is damaged", "bad", lines)
    if found is None:
        return Statement("not verified as a whole", "warn", lines)
    if report.access.unreadable:
        return Statement("verified in part", "warn", lines)
    return Statement("verified against the audit trail", "good", lines)


def _describe_verification(found: Verification | None) -> Iterator[str]:
    if found is None:
        yield (
            "The trail was not verified for this report, because `--no-verify` was given: removed entries, and changed "
            "records, would not show. To verify it, run `countersign audit verify`."
        )
        return
    tally = found.tally
    scope = f"entries: {tally.entries:,}, chains: {tally.chains:,}, records: {tally.records:,}"
    if not found.findings:
        yield f"The whole trail was verified for this report: {scope}. No tampering was found."
        return
    yield f"The whole trail was verified for this report: {scope}. Findings: {found.findings:,}."
    yield from (f"{each.chain}: {each.kind}: {each.text}" for each in found.shown)
    if found.findings > len(found.shown):
        yield "All of them: `countersign audit verify`."


def _describe_checkpoint(report: AccessReport) -> Iterator[str]:
    integrity: Integrity = report.integrity
    if integrity.checkpoint is None:
        yield "There is no checkpoint yet, so a chain that was removed as a whole would not show."
        return
    entry, checkpoint = integrity.checkpoint
    until = f"{report.period.local(checkpoint.until):%Y-%m-%d %H:%M}"
    pinned = f"The last checkpoint is `{entry.seq}:{entry.digest}`, and pins what was recorded until {until}."
    if integrity.verification is None:
        yield f"{pinned} It was not compared with the trail."
        return
    later = integrity.verification.tally.uncovered
    entries = "1 entry is" if later == 1 else f"{later:,} entries are"
    rest = f" {entries} later, and not pinned yet." if later else ""
    yield f"{pinned}{rest} Kept elsewhere, its number and digest show later that nobody set the trail back."
