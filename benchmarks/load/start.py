"""`python -m benchmarks.load.start`: how long `countersign serve` takes to be ready in a small task.

Invariant: a start ends when /readyz says yes, with the store read and Slack connected. Cold means that Python compiles
every module, the standard library's too, as on the first start of an installation without bytecode.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import click

from benchmarks.load.accounts import MemoryUse
from benchmarks.load.limits import cpu_limit
from benchmarks.load.office import office_slack
from benchmarks.load.served import scratch_folder, served, settings_of, store_url


@click.command()
@click.option("--cpu", default=0.25, show_default=True, help="The share of one core; 0 for no limit.")
@click.option("--store", type=click.Choice(["sqlite", "dynamodb"]), default="sqlite", show_default=True)
@click.option("--starts", default=5, show_default=True, help="How many of each kind.")
@click.option("--python", default=sys.executable, help="Which Python runs `serve`; by default this one.")
def main(*, cpu: float, store: str, starts: int, python: str) -> None:
    """Start again and again, with bytecode and without."""
    with scratch_folder() as folder, store_url(store, folder) as url:
        _start(folder, url, cpu, python, folder / "warm")
        for kind in ("with bytecode", "without"):
            runs = []
            for number in range(starts):
                bytecode = folder / ("warm" if kind == "with bytecode" else f"cold-{number}")
                runs.append(_start(folder, url, cpu, python, bytecode))
            seconds, spent, memory = (sorted(each) for each in zip(*runs, strict=True))
            print(
                f"{store}, {cpu:g} of a core, {kind}: ready after {statistics.median(seconds):.1f} s "
                f"({seconds[0]:.1f} to {seconds[-1]:.1f}), {statistics.median(spent):.2f} s of processor time, "
                f"{statistics.median(memory):.0f} MiB resident"
            )


def _start(folder: Path, url: str, cpu: float, python: str, bytecode: Path) -> tuple[float, float, float]:
    with office_slack() as slack, cpu_limit(cpu or None) as limit:
        settings = settings_of(slack, folder, url, over_http=False, PYTHONPYCACHEPREFIX=str(bytecode))
        with served(settings, folder, limit, python=python) as task:
            return task.start_seconds, task.start_cpu_seconds, MemoryUse.read(task.pid).resident


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.load.start")
