"""`python -m benchmarks.load`: clicks on `countersign serve` within the limits of a task, and what they cost it.

Invariant: what is printed was measured in this run. With a click that failed or was lost, the exit code is 1.
"""

from __future__ import annotations

import os
import sys
import time

import click

from benchmarks.load.accounts import MemoryUse
from benchmarks.load.drive import Loaded, load, lost, stores_of, warm_up
from benchmarks.load.limits import CpuLimit, cpu_limit
from benchmarks.load.office import office_slack
from benchmarks.load.people import CLICKS_OF_THE_MIX, MIX, Office
from benchmarks.load.served import ServedTask, scratch_folder, served, settings_of, store_url


@click.command()
@click.option("--cpu", default=0.25, show_default=True, help="The share of one core; 0 for no limit.")
@click.option("--store", type=click.Choice(["sqlite", "dynamodb"]), default="sqlite", show_default=True)
@click.option("--transport", type=click.Choice(["socket-mode", "http"]), default="socket-mode", show_default=True)
@click.option("--clicks", default=10.0, show_default=True, help="Clicks a second.")
@click.option("--seconds", default=60.0, show_default=True, help="How long.")
@click.option("--rest", default=10.0, show_default=True, help="Seconds at rest before memory is read.")
def main(*, cpu: float, store: str, transport: str, clicks: float, seconds: float, rest: float) -> None:
    """Send CLICKS a second to a limited `countersign serve`, and print what it took."""
    turns = max(round(clicks * seconds * len(MIX) / CLICKS_OF_THE_MIX), 1)
    print(
        f"{clicks:g} clicks a second for {seconds:g} s, {store}, {transport}; "
        f"load of the machine {os.getloadavg()[0]:.1f}"
    )
    with (
        scratch_folder() as folder,
        store_url(store, folder) as url,
        office_slack() as slack,
        cpu_limit(cpu or None) as limit,
    ):
        settings = settings_of(slack, folder, url, over_http=transport == "http")
        with served(settings, folder, limit) as task, stores_of(task) as stores:
            _print_start(task, limit, cpu)
            office = Office(slack)
            time.sleep(rest)
            _print_memory("at rest", MemoryUse.read(task.pid))
            warm_up(office, stores)
            loaded = load(office, task, stores, limit, turns=turns, per_second=clicks)
            missing = lost(office, stores)
            time.sleep(rest)
            after = MemoryUse.read(task.pid)
        _print_load(loaded)
        _print_memory("after", after)
        print(
            f"recorded: {_count(office)}; without an outcome yet: {dict(office.acknowledged.unclear)}; "
            f"lost: {len(missing)}"
        )
        for each in (*missing, *loaded.failures):
            print(f"  {each}")
        sys.exit(1 if missing or loaded.failures else 0)


def _count(office: Office) -> str:
    found = office.acknowledged
    return (
        f"{len(found.asked)} asked, {len(found.decided)} decided, {len(found.emergencies)} declared, "
        f"{len(found.closed)} closed"
    )


def _print_start(task: ServedTask, limit: CpuLimit, cpu: float) -> None:
    print(f"{limit.name}{f' of {cpu:g}' if cpu else ''}")
    print(f"start until /readyz: {task.start_seconds:.1f} s, {task.start_cpu_seconds:.2f} s of processor time")


def _print_memory(when: str, use: MemoryUse) -> None:
    print(
        f"memory {when}: {use.resident:.0f} MiB resident, {use.proportional:.0f} MiB proportional, "
        f"peak {use.peak:.0f} MiB; {use.threads} threads"
    )


def _print_load(loaded: Loaded) -> None:
    print(f"{'click':<12}{'number':>8}{'p50':>10}{'p95':>10}{'p99':>10}{'longest':>10}")
    for kind in (None, *sorted({each.kind for each in loaded.clicks})):
        number = sum(kind in (None, each.kind) for each in loaded.clicks)
        times = "".join(f"{loaded.quantile(part, kind) * 1000:>7.0f} ms" for part in (0.5, 0.95, 0.99, 1.0))
        print(f"{kind or 'all':<12}{number:>8}{times}")
    watch = loaded.watch
    print(
        f"processor: {loaded.cpu_milliseconds:.1f} ms a click; {watch.share:.3f} of a core "
        f"over {watch.wall_seconds:.0f} s"
    )
    if loaded.throttling is not None:
        periods, throttled, seconds = loaded.throttling
        print(f"throttled in {throttled} of {periods} periods, threads waited {seconds:.1f} s")
    print(f"memory under load: {watch.most_resident:.0f} MiB resident; {watch.most_threads} threads")
    print(f"delivered {loaded.settle_seconds:.1f} s after the last click; calls of Slack: {dict(loaded.calls)}")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.load")
