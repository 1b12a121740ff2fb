"""The panel of the pretend pager: what was paged, and what its person does about it.

Invariant: a press is about the page that it shows. One that was resolved meanwhile is refused, and nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from core.clock import format_time
from localslack.records import Json
from localslack.refusals import NotOnScreen
from playground.demo_pager import DemoPager, DemoPagerState

_Key = Annotated[str, Field(max_length=200)]


class _PagerRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AcknowledgePage(_PagerRequest):
    """The person on call says that they are on it."""

    do: Literal["acknowledge"]
    key: _Key


class ResolvePage(_PagerRequest):
    """Somebody resolves it at the pager."""

    do: Literal["resolve"]
    key: _Key


_Asked: TypeAlias = Annotated[AcknowledgePage | ResolvePage, Field(discriminator="do")]
_REQUEST: Final[TypeAdapter[_Asked]] = TypeAdapter(_Asked)


class PagerPanel:
    """Safe for threads. `on_acknowledged` is called after a page was acknowledged, and may take a while."""

    def __init__(
        self, pager: DemoPager, on_acknowledged: Callable[[], None], on_change: Callable[[Json], None]
    ) -> None:
        self._pager = pager
        self._on_acknowledged = on_acknowledged
        pager.watch(lambda state: on_change(show_pages(state)))

    def carry_out(self, body: object) -> Json:
        """Do what the page asks. Raises NotOnScreen, and pydantic's ValidationError."""
        match _REQUEST.validate_python(body):
            case AcknowledgePage(key=key):
                if not self._pager.acknowledge(key):
                    raise NotOnScreen("this page doesn't ring any more")
                self._on_acknowledged()
            case ResolvePage(key=key):
                if self._pager.state.find_open(key) is None:
                    raise NotOnScreen("this page is resolved already")
                self._pager.resolve(key)
        return self.show()

    def show(self) -> Json:
        """The pages, the newest first. Never waits."""
        return show_pages(self._pager.state)


def show_pages(state: DemoPagerState) -> Json:
    """The pages as the page shows them."""
    return {
        "pages": [
            {
                "key": each.key,
                "summary": each.summary,
                "severity": each.severity,
                "at": format_time(each.at),
                "paged": each.paged,
                "state": each.state,
                "person": each.person,
                "changed_at": format_time(each.changed_at),
            }
            for each in state.pages
        ]
    }
