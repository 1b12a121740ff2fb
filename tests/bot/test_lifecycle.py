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


def test_components_are_stopped_once_in_reverse_order() -> None:
    diary: list[str] = []
    lifecycle = Lifecycle([a_part("stores", diary), a_part("bot", diary), a_part("transport", diary)])
    lifecycle.start()
    lifecycle.stop()
    lifecycle.stop()

    assert diary == ["start stores", "start bot", "start transport", "stop transport", "stop bot", "stop stores"]


def test_failed_start_stops_the_other_components_and_says_why() -> None:
    diary: list[str] = []
    taken = InvalidInput("COUNTERSIGN_LISTEN", "it is taken", "Choose another.")
    lifecycle = Lifecycle(
        [a_part("stores", diary), a_part("transport", diary, start_fails=taken), a_part("page", diary)]
    )
    with pytest.raises(InvalidInput) as error:
        lifecycle.start()

    assert error.value is taken
    assert diary == ["start stores", "start transport", "stop transport", "stop stores"]


def test_failed_stop_keeps_no_other_component_from_stopping(caplog: pytest.LogCaptureFixture) -> None:
    diary: list[str] = []
    lifecycle = Lifecycle([a_part("stores", diary), a_part("bot", diary, stop_fails=True)])
    lifecycle.start()
    lifecycle.stop()

    assert diary[-2:] == ["stop bot", "stop stores"]
    assert "bot did not stop cleanly" in caplog.text
