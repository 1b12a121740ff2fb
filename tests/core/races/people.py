"""The contestants: threads on one set of stores, or processes that each opened their own.

Invariant: no contestant begins before all are ready. An error that no attempt should meet ends the run.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Final, Protocol, Self

from core.stores import Stores, open_stores
from tests.core.races.attempts import BEGIN, Attempt, AttemptResult, carry_out
from tests.harness.clock import FrozenClock

MOST_AT_ONCE: Final = 16
PROCESSES: Final = 4
_PATIENCE_SECONDS: Final = 120.0
"""How long the contestants wait for the slowest before that is a failure."""


class Contestants(Protocol):
    """Several who press at once."""

    def attempt(self, attempts: Sequence[Attempt]) -> list[AttemptResult]:
        """Carry out all of these at once."""
        ...


class Threads:
    """Threads that share one set of stores."""

    def __init__(self, stores: Stores, threads: ThreadPoolExecutor) -> None:
        self._stores = stores
        self._threads = threads

    @classmethod
    @contextmanager
    def on(cls, url: str) -> Iterator[Self]:
        """Open the stores there, and close them at the end."""
        with closing(open_stores(url, clock=FrozenClock(BEGIN))) as stores, ThreadPoolExecutor(MOST_AT_ONCE) as threads:
            yield cls(stores, threads)

    def attempt(self, attempts: Sequence[Attempt], also: Barrier | None = None) -> list[AttemptResult]:
        """Carry out all of these at once; with `also`, at once with those who wait at that barrier."""
        ready = threading.Barrier(len(attempts) + 1)

        def carry_out_when_ready(attempt: Attempt) -> AttemptResult:
            ready.wait(_PATIENCE_SECONDS)
            return carry_out(self._stores, attempt)

        answers = [self._threads.submit(carry_out_when_ready, attempt) for attempt in attempts]
        if also is not None:
            also.wait(_PATIENCE_SECONDS)
        ready.wait(_PATIENCE_SECONDS)
        return [answer.result(_PATIENCE_SECONDS) for answer in answers]


class Processes:
    """Four processes, which live as long as this object, as they take seconds to start."""

    def __init__(self) -> None:
        # Not fork: the process of the tests has threads, and SQLite's connections cannot be carried over.
        context = multiprocessing.get_context("spawn")
        self._barrier = context.Barrier(PROCESSES)
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(PROCESSES):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, self._barrier), daemon=True)
            process.start()
            # Only its process holds the other end now, so that its death is seen here as the end of the pipe.
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    @contextmanager
    def on(self, url: str) -> Iterator[Self]:
        """Let each process open stores of its own there, and close them at the end."""
        for pipe in self._pipes:
            pipe.send(url)
        yield self
        for pipe in self._pipes:
            pipe.send(None)
        for pipe in self._pipes:
            assert pipe.recv() is None

    def attempt(self, attempts: Sequence[Attempt]) -> list[AttemptResult]:
        """Deal these out to the processes, and carry out all of them at once."""
        for number, pipe in enumerate(self._pipes):
            pipe.send(attempts[number::PROCESSES])
        return [result for pipe in self._pipes for result in pipe.recv()]

    def close(self) -> None:
        """Let the processes end. One that does not is killed."""
        for pipe in self._pipes:
            # The end of the pipe is the sign to stop.
            pipe.close()
        for process in self._processes:
            process.join(_PATIENCE_SECONDS)
            if process.exitcode is None:
                process.kill()
                process.join()
            process.close()


def _serve(pipe: Connection, barrier: Barrier) -> None:
    with closing(pipe), suppress(EOFError):
        while True:
            with Threads.on(pipe.recv()) as threads:
                while (attempts := pipe.recv()) is not None:
                    pipe.send(threads.attempt(attempts, also=barrier))
            pipe.send(None)
