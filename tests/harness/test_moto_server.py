"""The lock around moto, which the race suites rely on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from werkzeug.test import Client

from tests.harness.moto_server import OneAtATime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment


def test_a_request_enters_only_when_the_last_answer_is_complete() -> None:
    meeting = threading.Barrier(2)
    met = []

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            # Two requests that are in here at once meet. One alone waits in vain, for as short as is still convincing.
            meeting.wait(timeout=0.2)
            met.append(True)
        except threading.BrokenBarrierError:
            meeting.reset()
        yield b"done"

    client = Client(OneAtATime(application))
    with ThreadPoolExecutor(2) as others:
        replies = [others.submit(client.get, "/") for _ in range(2)]
        assert [reply.result().data for reply in replies] == [b"done", b"done"]
    assert not met
