"""How a process of ours waits to be stopped."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from tests.harness.served_bot import PATIENCE

WAITS: Final = """
import os, signal, sys, threading
from bot.commands.running import listen_for_signals

def signal_this_thread():
    for _ in range(1000):
        # The main thread gets its turn, until it has nothing left to do but wait.
        os.sched_yield()
        while sys._current_frames()[threading.main_thread().ident].f_code.co_name != "wait":
            os.sched_yield()
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

requested = listen_for_signals()
threading.Thread(target=signal_this_thread, daemon=True).start()
requested.wait()
"""


def test_signal_that_another_thread_gets_stops_it_too() -> None:
    # It stands for the one that comes just before the wait begins, which no test can time.
    done = subprocess.run([sys.executable, "-c", WAITS], timeout=PATIENCE, check=False)  # noqa: S603  Ours.
    assert done.returncode == 0
