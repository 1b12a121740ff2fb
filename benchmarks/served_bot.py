"""`python -m benchmarks.served_bot`: what `countersign serve` runs, and an empty listener beside it to compare with.

Invariant: it is put together by the same function, from the same settings; the empty listener goes through the same
door, threads and Bolt app.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from bot.observability.logs import configure_logging
from bot.serving import secrets_of, wire
from bot.settings import read_settings, read_slack_settings

EMPTY: Final = "/empty"
UP: Final = "up"
MAX_WAITING: Final = "BENCHMARK_MOST_WAITING"


def main() -> None:
    """Serve until the standard input ends."""
    settings = read_settings()
    slack = read_slack_settings().require_transport(settings.listen)
    configure_logging(settings.log, sys.stderr, secrets=secrets_of(settings, slack))
    wired = wire(settings, slack, max_waiting=int(os.environ[MAX_WAITING]))
    wired.bot.app.command(EMPTY)(lambda ack: ack())
    wired.instance.start()
    print(UP, flush=True)
    sys.stdin.read()
    wired.instance.stop()


if __name__ == "__main__":
    main()
