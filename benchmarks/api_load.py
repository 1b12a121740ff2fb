"""The load that terminals put on a served bot: long polls that wait, and calls for credentials, beside a pretend AWS.

Invariant: a process of its own, so that it takes nothing from the people whose clicks are timed but the machine's two
cores. A call is sent when it is due. What failed is counted, and never left out.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, Final

from core.clock import SystemClock
from tests.harness.pretend_aws import BROKER, serve_pretend_aws

CALLERS: Final = 16
ARRIVAL_SECONDS: Final = 3.0
TIMEOUT_SECONDS: Final = 60.0


@dataclass
class ApiLoad:
    """What is asked of the API at `where`, and how it answered."""

    where: str
    tokens: list[str]
    request: str
    version: str
    polls: int
    per_second: int
    stopped: threading.Event = field(default_factory=threading.Event)
    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Until it is stopped."""
        with ExitStack() as stack:
            for number in range(self.polls):
                self._open_poll(stack, number)
            # They wait for as long as nothing changes; what is measured is not their arrival, all at one moment.
            self.stopped.wait(ARRIVAL_SECONDS)
            callers = [threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)]
            for each in callers:
                each.start()
            print("running", flush=True)
            self.stopped.wait()
            for each in callers:
                each.join(TIMEOUT_SECONDS)

    def _open_poll(self, stack: ExitStack, number: int) -> None:
        connection = stack.enter_context(closing(http.client.HTTPConnection(self.where, timeout=TIMEOUT_SECONDS)))
        path = f"/v1/requests/{self.request}?wait=25&seen={self.version}"
        headers = {"Authorization": f"Bearer {self.tokens[number % len(self.tokens)]}"}
        threading.Thread(target=self._poll, args=(connection, path, headers), daemon=True).start()

    def _poll(self, connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> None:
        while not self.stopped.is_set():
            try:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                answer.read()
                self._count("poll", answer.status)
            except (OSError, http.client.HTTPException):
                if not self.stopped.is_set():
                    self.failures["poll closed"] += 1
                return

    def _count(self, kind: str, status: int) -> None:
        if status != 200:  # noqa: PLR2004
            self.failures[f"{kind} {status}"] += 1
            # As Retry-After would have it.
            self.stopped.wait(1.0)

    def _call(self, first: int) -> None:
        connection = http.client.HTTPConnection(self.where, timeout=TIMEOUT_SECONDS)
        begin, number = time.monotonic(), first
        while not self.stopped.wait(max(begin + number / self.per_second - time.monotonic(), 0.0)):
            due = begin + number / self.per_second
            headers = {"Authorization": f"Bearer {self.tokens[number % len(self.tokens)]}"}
            connection.request("POST", "/v1/credentials/role", headers=headers)
            answer = connection.getresponse()
            answer.read()
            self._count("credentials", answer.status)
            self.seconds.append(time.monotonic() - due)
            number += CALLERS
        connection.close()


def main() -> None:
    """Serve a pretend AWS; then load the API that a line of standard input names, each time until the next line."""
    with serve_pretend_aws(SystemClock()) as aws, ThreadPoolExecutor(1) as thread:
        keys = aws.add_role_session(BROKER)
        print(json.dumps([aws.url, keys.access_key_id, keys.secret_access_key, keys.session_token]), flush=True)
        while line := sys.stdin.readline().strip():
            told: dict[str, Any] = json.loads(line)
            load = ApiLoad(**told)
            running = thread.submit(load.run)
            sys.stdin.readline()
            load.stopped.set()
            running.result()
            times = sorted(load.seconds) or [0.0]
            median = times[len(times) // 2]
            print(json.dumps([len(load.seconds), dict(load.failures), median]), flush=True)


if __name__ == "__main__":
    main()
