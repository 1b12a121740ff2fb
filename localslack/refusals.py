"""How the local Slack says no.

Invariant: every refusal carries the very word that Slack uses, since the bot decides by it.
"""

from __future__ import annotations

from typing import Any


class SlackRefusal(Exception):
    """The answer `{"ok": false, "error": …}`, as the method's page in Slack's documentation names the error."""

    def __init__(self, error: str, *, problems: list[str] | None = None, **details: Any) -> None:  # noqa: ANN401
        # `details` are further keys of the answer, of whatever JSON type Slack gives them.
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
    """A driven person tried what their client would not let them do, say to press a button that is not there."""
