"""`countersign report`: the evidence of a period, for an access review: one HTML page, and the tables as CSV.

Invariant: it changes nothing in the store, and reads it by pages. A file is there whole or not at all, and the page
says what was verified and what wasn't.

Exit codes: 0 done, 1 done, and the audit trail has findings, 2 the input can't be used, 3 the store failed.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

import click

from bot.commands.audit_verify import showing
from bot.commands.opening import opened, store_option
from bot.commands.progress_line import ProgressLine
from bot.commands.report_files import check_places, write_csv, write_html
from bot.commands.report_names import find_names
from bot.commands.terminal import FILE, count_of
from bot.settings import Settings, read_settings
from bot.views.report.page import MAX_ROWS
from bot.views.report.statement import describe_integrity
from core.audit.chain_check import SealCheck
from core.audit.checkpoint import find_last_checkpoint, read_seal_check
from core.audit.findings import Tally
from core.audit.verification import TrailVerification
from core.clock import Clock, SystemClock, require_utc
from core.errors import InvalidInput
from core.invalid_policy import InvalidPolicy
from core.policy import load_policy
from core.policy.rules import EventTimes
from core.report.access_now import find_review_time, read_access
from core.report.collecting import TrailReading, collect
from core.report.period import Period
from core.report.report import AccessReport, Integrity, Verification, make_report
from core.report.spooled_rows import SpooledRows
from core.stores.base import Stores
from core.text import without_password

_FOUND: Final = 1
_KEY: Final = "COUNTERSIGN_AUDIT_KEY"
_MAX_SHOWN: Final = 20
_LOOKED_AT: Final = 100
_MAX_ALL_ROWS: Final = 1_000_000


@click.command()
@store_option
@click.option("--since", metavar="TIME", required=True, help="From this time on, such as 2026-07-01.")
@click.option("--until", metavar="TIME", help="Up to this time, not including it. Default: now.")
@click.option(
    "--out", metavar="FILE", type=FILE, required=True, help="The HTML page to write. It replaces an older one."
)
@click.option(
    "--csv", "folder", metavar="FOLDER", type=FILE, help="Write each table as a CSV file into this folder, too."
)
@click.option("--timezone", "zone_name", default="UTC", show_default=True, help="The time zone, such as Europe/Berlin.")
@click.option(
    "--rows",
    "max_rows",
    default=MAX_ROWS,
    show_default=True,
    type=click.IntRange(1, _MAX_ALL_ROWS),
    help="How many rows of a table the page shows.",
)
@click.option("--no-verify", is_flag=True, help="Leave out the verification of the whole trail. The page says so.")
@click.option("--no-names", is_flag=True, help="Don't ask Slack what people are called.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def report(
    *, store: str | None, since: str, until: str | None, out: str, folder: str | None, zone_name: str, max_rows: int,
    no_verify: bool, no_names: bool, quiet: bool,
) -> None:  # fmt: skip
    """Write a report for an access review: requests, break-glass, reviews, refusals, and who has access now."""
    # With another key genuine records look forged, and the trail would say so.
    settings, clock = read_settings(store=store).require_audit_key(), SystemClock()
    period = _read_period(since, until, _read_zone(zone_name), clock.now())
    # TrailReading may take a minute: a place that can't be written to is found before.
    check_places(out, folder)
    with opened(settings) as stores, SpooledRows() as book, ProgressLine(is_wanted=not quiet) as progress:
        made = _make(stores, settings, period, book, clock, progress, is_verified=not no_verify)
        made = find_names(made, is_wanted=not no_names)
        if folder is not None:
            write_csv(folder, made)
        write_html(out, made, max_rows)
    if not quiet:
        _say(made, out, folder)
    found = made.integrity.verification
    if made.reading.left_out or (found is not None and found.findings):
        click.get_current_context().exit(_FOUND)


def _make(
    stores: Stores, settings: Settings, period: Period, book: SpooledRows, clock: Clock, progress: ProgressLine,
    *, is_verified: bool,
) -> AccessReport:  # fmt: skip
    seals = read_seal_check(stores.audit, settings.keyring)

    def show(count: int) -> None:
        progress.show(f"reading: {count_of(count, 'entry')}")

    reading = collect(stores.audit, seals, period, book, show)
    # Before anything else is read: a record that looks forged is noted in the trail.
    _require_own_key(stores, seals, reading)
    found = _verify(
        TrailVerification(stores, seals, clock.now(), Tally(), showing(stores, progress)), is_wanted=is_verified
    )
    within, problem = _review_within(settings)
    return make_report(
        book,
        reading,
        read_access(stores, clock.now(), within),
        Integrity(found, find_last_checkpoint(stores.audit, settings.keyring)[1]),
        period=period,
        store=without_password(settings.store),
        review_within=within,
        review_problem=problem,
    )


def _require_own_key(stores: Stores, seals: SealCheck, reading: TrailReading) -> None:
    """Raises InvalidInput for a key that sealed nothing: of the period, or of the beginning if that is empty."""
    if reading.entries:
        is_own = reading.unusable < reading.entries
    else:
        first = [*islice(stores.audit.export(on_malformed=lambda _: None), _LOOKED_AT)]
        is_own = not first or any(seals.find_problem(each) is None for each in first)
    if not is_own:
        raise InvalidInput(_KEY, "it sealed none of these entries", "Set it to the key that the bot uses.")


def _verify(run: TrailVerification, *, is_wanted: bool) -> Verification | None:
    if not is_wanted:
        return None
    findings = run.verify_all()
    shown = tuple(islice(findings, _MAX_SHOWN))
    return Verification(run.tally, len(shown) + sum(1 for _ in findings), shown)


def _review_within(settings: Settings) -> tuple[timedelta, str]:
    try:
        return find_review_time(load_policy(settings.policy)), ""
    except InvalidPolicy:
        within = EventTimes().review_within
        return within, (
            f"the policy {settings.policy} can't be read, so reviews count as late after {within.days} days."
        )


def _say(made: AccessReport, out: str, folder: str | None) -> None:
    reading = made.reading
    click.echo(f"wrote {out}: {count_of(reading.entries, 'entry')}, {count_of(made.requests.total, 'request')}, "
               f"{count_of(made.events.total, 'break-glass event')}")  # fmt: skip
    if folder is not None:
        click.echo(f"wrote {count_of(len(made.tables), 'table')} into {folder}")
    click.echo(f"integrity: {describe_integrity(made).verdict}")
    if made.names.problem:
        click.echo(f"names: {made.names.problem}")


def _read_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    # What isn't known is a KeyError; a name that leads elsewhere, or to a folder, the others.
    except (KeyError, ValueError, OSError) as error:
        raise InvalidInput(
            "timezone", f"{name!r:.60} is not the name of a time zone", "Write one like Europe/Berlin or UTC."
        ) from error


def _read_period(since: str, until: str | None, zone: ZoneInfo, now: datetime) -> Period:
    begin = _read_moment("since", since, zone)
    end = now if until is None else _read_moment("until", until, zone)
    if begin >= end:
        raise InvalidInput(
            "since", f"{since!r:.60} is not before the end", "Write an earlier time, or a later --until."
        )
    return Period(begin, min(end, now) if begin < now else end, zone)


def _read_moment(option: str, text: str, zone: ZoneInfo) -> datetime:
    """A time with its zone, or a day, which begins in this zone."""
    try:
        if len(text) == len("2026-01-15"):
            day = date.fromisoformat(text)
            return require_utc(datetime(day.year, day.month, day.day, tzinfo=zone))
        return require_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            option,
            f"{text!r:.60} is neither a date nor a time with a time zone",
            "Write 2026-01-15 or 2026-01-15T10:00:00Z.",
        ) from error
