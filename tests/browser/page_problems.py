"""What goes wrong on a page without a test looking at it: errors, warnings, and requests that leave the machine.

Invariant: nothing is left out but what a test said it expects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Request, WebError


# Without slots: Playwright keeps what it makes of a handler on the object that the handler belongs to.
@dataclass
class PageProblems:
    """The problems of every page in the contexts that are watched, in the order in which they came."""

    _found: list[str] = field(default_factory=list)
    _expected: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Note what goes wrong on each page of this context, those that are opened later too."""
        context.on("weberror", self._note_error)
        context.on("console", self._note_console)
        context.on("request", self._note_request)

    def expect(self, pattern: str) -> None:
        """Let problems pass in which this regular expression is found."""
        self._expected.append(pattern)

    def unexpected(self) -> list[str]:
        """What nobody expected."""
        return [each for each in self._found if not any(re.search(pattern, each) for pattern in self._expected)]

    def _note_error(self, error: WebError) -> None:
        self._found.append(f"threw: {error.error}")

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._found.append(f"logged: {message.text} ({message.location['url']})")

    def _note_request(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in {"127.0.0.1", None}:
            self._found.append(f"requested: {request.url}")
