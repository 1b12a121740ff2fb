from __future__ import annotations

import threading

from core.services.pacing import Turns


def test_turns_are_taken_one_after_the_other() -> None:
    turns, inside, most = Turns(timeout_seconds=30), set[int](), list[int]()
    barrier = threading.Barrier(8)

    def take(number: int) -> None:
        barrier.wait()
        with turns.take("prod"):
            inside.add(number)
            most.append(len(inside))
            inside.remove(number)

    _run(take, 8)
    assert most == [1] * 8


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
