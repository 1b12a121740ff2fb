"""`python -m benchmarks`: run all benchmarks, or the named ones, and write RESULTS.md.

Invariant: a quick run prints its results and writes nothing; RESULTS.md contains only results of full runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import click

from benchmarks import (
    access,
    acknowledgement,
    changed_card,
    cold_start,
    credentials,
    decision_time,
    history,
    report,
    round_trips,
    sqlite_rate,
    stampede,
    terminals,
    traces,
    verification,
)
from benchmarks.results import RESULTS, Section, Size, save

BENCHMARKS: Final[dict[str, Callable[[Size], Section]]] = {
    "round-trips": round_trips.measure,
    "decision-time": decision_time.measure,
    "sqlite-rate": sqlite_rate.measure,
    "stampede": stampede.measure,
    "acknowledgement": acknowledgement.measure,
    "history": history.measure_on_sqlite,
    "history-reads": history.measure_reads,
    "verification": verification.measure,
    "report": report.measure,
    "access": access.measure,
    "credentials": credentials.measure,
    "terminals": terminals.measure,
    "changed-card": changed_card.measure,
    "cold-start": cold_start.measure,
    "traces": traces.measure,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(tuple(BENCHMARKS)))
@click.option(
    "--quick", is_flag=True, help="Run briefly, to check that the benchmarks work; RESULTS.md stays unchanged."
)
def main(names: tuple[str, ...], *, quick: bool) -> None:
    """Run all benchmarks, or only NAMES, and write benchmarks/RESULTS.md."""
    sections = []
    for name in names or tuple(BENCHMARKS):
        started = time.monotonic()
        section = BENCHMARKS[name](Size(is_quick=quick))
        sections.append(section)
        print(section)
        print(f"({time.monotonic() - started:.0f} s)\n")
        if not quick:
            save([section], tuple(BENCHMARKS))
    missed = [f"{section.name}: {goal.text}" for section in sections for goal in section.goals if not goal.is_met]
    print("\n".join(("Missed:", *missed)) if missed else "All goals are met.")
    if not quick:
        print(f"Written to benchmarks/{RESULTS.name}.")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
