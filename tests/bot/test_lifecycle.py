"""Parts are started in order and stopped in the opposite one, whatever fails in between."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.lifecycle import Component, Lifecycle
from core.errors import InvalidInput


def a_part(name: str, diary: list[str], start_fails: Exception | None = None, stop_fails: bool = False) -> Component:  # noqa: FBT001, FBT002
    def act(what: str, error: Exception | None) -> Callable[[], None]:
        def do() -> None:
            diary.append(f"{what} {name}")
            if error is not None:
                raise error

        return do

    return Component(name, act("start", start_fails), act("stop", RuntimeError("no") if stop_fails else None))


def test_parts_are_stopped_in_the_opposite_order_and_once() -> None:
    diary: list[str] = []
    instance = Lifecycle([a_part("stores", diary), a_part("bot", diary), a_part("door", diary)])
    instance.start()
    instance.stop()
    instance.stop()

    assert diary == ["start stores", "start bot", "start door", "stop door", "stop bot", "stop stores"]


def test_when_one_cannot_be_started_the_others_are_stopped_and_the_reason_is_told() -> None:
    diary: list[str] = []
    taken = InvalidInput("COUNTERSIGN_LISTEN", "it is taken", "Choose another.")
    instance = Lifecycle([a_part("stores", diary), a_part("door", diary, start_fails=taken), a_part("page", diary)])
    with pytest.raises(InvalidInput) as error:
        instance.start()

    assert error.value is taken
    assert diary == ["start stores", "start door", "stop door", "stop stores"]


def test_one_that_does_not_stop_well_keeps_no_other_from_stopping(caplog: pytest.LogCaptureFixture) -> None:
    diary: list[str] = []
    instance = Lifecycle([a_part("stores", diary), a_part("bot", diary, stop_fails=True)])
    instance.start()
    instance.stop()

    assert diary[-2:] == ["stop bot", "stop stores"]
    assert "bot did not stop in good order" in caplog.text
