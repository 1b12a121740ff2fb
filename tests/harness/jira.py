"""A Jira that answers like the real one, Cloud or Data Center, with the vendor's rule named where it is kept.

Invariant: what Jira has no path, field or header for fails the test at the end; so does a call that it can't know.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

EMAIL: Final = "countersign@example.com"
TOKEN: Final = "token-of-the-test"
CATEGORIES: Final = {"To Do": "new", "In Progress": "indeterminate", "Done": "done"}
"""Every status has one of these categories: a project can call its statuses as it likes."""
_NOBODY_SEES_IT: Final = {
    "errorMessages": ["Issue does not exist or you do not have permission to see it."],
    "errors": {},
}
_FIELDS: Final = frozenset({"summary", "status", "assignee", "reporter", "description"})


@dataclass(frozen=True)
class JiraUser:
    """Somebody with an account. Jira leaves the address out where its owner doesn't want it to be seen."""

    account: str
    email: str | None = None


@dataclass(frozen=True)
class JiraAnswer:
    """What is answered instead of the truth."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Issue:
    """One issue."""

    key: str
    status: str = "In Progress"
    category: str = "In Progress"
    summary: str = "The checkout is down"
    assignee: JiraUser | None = None
    reporter: JiraUser | None = None
    mentions: tuple[str, ...] = ()
    comments: list[tuple[str, ...]] = field(default_factory=list)
    """Who is mentioned in each comment, oldest first."""


class FakeJira:
    """Use it as a context. `is_cloud` says which Jira it is."""

    def __init__(self, *, is_cloud: bool = True) -> None:
        self.is_cloud = is_cloud
        self.issues: dict[str, Issue] = {}
        self.moved: dict[str, str] = {}
        self.calls: list[str] = []
        self.violations: list[str] = []
        self.instead: deque[JiraAnswer] = deque()
        self.hold = threading.Event()
        self.hold.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The site."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def has(self, *issues: Issue) -> None:
        """These issues exist."""
        self.issues |= {each.key: each for each in issues}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        assert self.violations == []

    def answer(self, path: str, query: dict[str, list[str]], authorization: str) -> JiraAnswer:
        """What Jira says."""
        # Atlassian: Data Center answers on /rest/api/2, and has no version 3.
        base = f"/rest/api/{'3' if self.is_cloud else '2'}/issue/"
        if not path.startswith(base):
            self.violations.append(f"there is no {path}")
            return JiraAnswer(404, b"<html>Oops, you've found a dead link.</html>")
        key, _, rest = path.removeprefix(base).partition("/")
        if authorization != self.sign_in():
            # Who can't be signed in is answered as nobody, and nobody may see an issue.
            return _json(404, _NOBODY_SEES_IT, ("X-Seraph-LoginReason", "AUTHENTICATED_FAILED"))
        # "If the identifier doesn't match an issue, a case-insensitive search and check for moved issues is performed."
        found = self.issues.get(self.moved.get(unquote(key).upper(), unquote(key).upper()))
        if found is None:
            return _json(404, _NOBODY_SEES_IT)
        if rest == "comment":
            return _json(200, self._comments(found, query))
        if rest or set(query) != {"fields"} or not set(query["fields"][0].split(",")) <= _FIELDS:
            self.violations.append(f"{path} was asked for {query}")
        return _json(200, {"id": "10002", "key": found.key, "fields": self._fields(found)})

    def sign_in(self) -> str:
        """The header of who has the token."""
        if not self.is_cloud:
            return f"Bearer {TOKEN}"
        return f"Basic {base64.b64encode(f'{EMAIL}:{TOKEN}'.encode()).decode()}"

    def _fields(self, issue: Issue) -> dict[str, Any]:
        category = {"key": CATEGORIES[issue.category], "name": issue.category}
        return {
            "summary": issue.summary,
            "status": {"name": issue.status, "statusCategory": category},
            "assignee": self._user(issue.assignee),
            "reporter": self._user(issue.reporter),
            "description": self._text(issue.mentions),
        }

    def _comments(self, issue: Issue, query: dict[str, list[str]]) -> dict[str, Any]:
        # Pages of at most `maxResults`, in the order that `orderBy` says.
        most = int(query["maxResults"][0])
        ordered = list(reversed(issue.comments)) if query["orderBy"] == ["-created"] else issue.comments
        shown = [{"body": self._text(each)} for each in ordered[:most]]
        return {"startAt": 0, "maxResults": most, "total": len(issue.comments), "comments": shown}

    def _user(self, user: JiraUser | None) -> dict[str, Any] | None:
        if user is None:
            return None
        shown = {"emailAddress": user.email} if user.email is not None else {}
        # Cloud has account ids; Data Center has a name, and a key that may differ from it.
        return (
            {"accountId": user.account, **shown}
            if self.is_cloud
            else {"name": user.account, "key": "JIRAUSER10100", **shown}
        )

    def _text(self, mentions: tuple[str, ...]) -> object:
        if not self.is_cloud:
            return " ".join(["Please look,", *(f"[~{each}]" for each in mentions)])
        if not mentions:
            return None
        # A mention is an inline node of the document; `id` is the account's.
        nodes = [{"type": "mention", "attrs": {"id": each, "text": "@Somebody"}} for each in mentions]
        return {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": nodes}]}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        jira = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                jira.calls.append(parts.path)
                jira.hold.wait(5)
                said = (
                    jira.instead.popleft()
                    if jira.instead
                    else jira.answer(parts.path, parse_qs(parts.query), self.headers.get("Authorization", ""))
                )
                self.send_response_only(said.status)
                for name, value in (*said.headers, ("Content-Length", str(len(said.body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said.body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def secret() -> SecretStr:
    """The token."""
    return SecretStr(TOKEN)


def _json(status: int, body: object, *headers: tuple[str, str]) -> JiraAnswer:
    return JiraAnswer(status, json.dumps(body).encode(), (("Content-Type", "application/json"), *headers))
