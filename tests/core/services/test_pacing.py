from __future__ import annotations

import threading

from core.services.pacing import Turns


def test_turns_are_taken_one_after_the_other() -> None:
    turns, order = Turns(timeout_seconds=30), list[str]()
    first_is_in, second_is_in = threading.Event(), threading.Event()

    def first() -> None:
        with turns.take("prod"):
            first_is_in.set()
            # As long as the first has its turn, the second can't have one.
            assert not second_is_in.wait(0.2)
            order.append("first")

    def second() -> None:
        first_is_in.wait()
        with turns.take("prod"):
            second_is_in.set()
            order.append("second")

    _run(lambda number: (first, second)[number](), 2)
    assert order == ["first", "second"]


def test_turn_that_never_comes_holds_nobody_up() -> None:
    turns, done = Turns(timeout_seconds=0.01), list[str]()
    with turns.take("prod"):
        _run(lambda _: _take(turns, "prod", done), 2)
        _run(lambda _: _take(turns, "staging", done), 1)
    assert done == ["prod", "prod", "staging"]
    _take(turns, "prod", done)


def _take(turns: Turns, what: str, done: list[str]) -> None:
    with turns.take(what):
        done.append(what)


def _run(task: object, count: int) -> None:
    assert callable(task)
    threads = [threading.Thread(target=task, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
