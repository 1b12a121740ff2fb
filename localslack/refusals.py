"""The errors that the local Slack raises.

Invariant: every refusal carries the error code that Slack uses, because apps branch on it.
"""

from __future__ import annotations

from typing import Any


class SlackRefusal(Exception):
    """The answer `{"ok": false, "error": …}`, with the error as Slack's reference for the method names it."""

    def __init__(self, error: str, *, problems: list[str] | None = None, **details: Any) -> None:  # noqa: ANN401
        # `details` are further keys of the answer, of any JSON type.
        super().__init__(error)
        self.error = error
        self.problems = problems or []
        self.details = details

    def to_json(self) -> dict[str, Any]:
        """The body of the answer."""
        answer: dict[str, Any] = {"ok": False, "error": self.error, **self.details}
        if self.problems:
            if self.error == "invalid_blocks":
                answer["errors"] = self.problems
            answer["response_metadata"] = {"messages": [f"[ERROR] {problem}" for problem in self.problems]}
        return answer


class NotOnScreen(Exception):
    """A test did what no Slack client allows, for example pressed a button that isn't there."""
