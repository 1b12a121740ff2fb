"""Tickets in Jira: whether an issue is open, and whose it is.

Invariant: only an answer of Jira's own says anything about a ticket: a page of another server, an answer to somebody
who isn't signed in and one that has no status all count as none. The token is in one header, and nowhere else.

Jira Cloud is asked by its REST API v3, Data Center by v2: there is no v3 there, people have names in place of account
ids, and text is wiki markup in place of documents.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit
from urllib.request import Request

from pydantic import SecretStr

from core.access.principals import SoughtPerson
from core.targets.words import one_line
from core.tickets.base import (
    CHECK_SECONDS,
    MAX_TITLE_LENGTH,
    TicketAnswer,
    TicketFound,
    TicketUnchecked,
    TicketUnknown,
)
from core.tickets.calls import HttpAnswer, NoAnswer, TimedCalls

MAX_BYTES: Final = 2_000_000
"""More than an issue's longest description takes, or fifty comments of usual length."""
_FIELDS: Final = "summary,status,assignee,reporter,description"
_COMMENTS: Final = "maxResults=50&orderBy=-created"
_DONE: Final = "done"
"""The status category of everything that is finished, whatever a project calls its statuses."""
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*-[0-9]+")
_WIKI_MENTION: Final = re.compile(r"\[~(?:accountid:)?([^\[\]\s]{1,255})\]")
"""Each try ends at the next bracket, so that a text of brackets only takes no longer than another."""
_NOT_SIGNED_IN: Final = ("FAILED", "DENIED")
"""In X-Seraph-LoginReason. Jira answers a token that has expired as if nobody had signed in, which sees no issues."""


@dataclass(frozen=True, slots=True)
class _Person:
    """Somebody, by what is known of them."""

    accounts: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()


class JiraChecker:
    """A `core.tickets.base.TicketChecker`. Safe for threads.

    With `email`, the site is Jira Cloud and the token an API token of that account; without, Data Center and a personal
    access token.
    """

    def __init__(self, site: str, email: str | None, token: SecretStr, *, seconds: float = CHECK_SECONDS) -> None:
        self._api = f"{site}/rest/api/{'3' if email is not None else '2'}/issue"
        self._email = email
        self._token = token
        self._seconds = seconds
        self._name = f"Jira ({urlsplit(site).hostname})"

    @property
    def name(self) -> str:
        """`Jira` and its host."""
        return self._name

    def check(self, ticket: str, requester: SoughtPerson) -> TicketFound:
        """What Jira says about this issue."""
        if not _KEY.fullmatch(ticket):
            return TicketUnknown()
        calls = TimedCalls(self._seconds)
        found = self._read(self._get(calls, f"{quote(ticket, safe='')}?fields={_FIELDS}"))
        if not isinstance(found, Mapping):
            return found
        fields = _dict(found, "fields")
        status = _dict(fields, "status")
        category = _dict(status, "statusCategory").get("key")
        if not isinstance(category, str) or not category:
            return TicketUnchecked(f"{self._name} didn't say whether it is open")
        key = found.get("key")
        answer = TicketAnswer(
            is_open=category != _DONE,
            title=one_line(fields.get("summary"), MAX_TITLE_LENGTH),
            status=one_line(status.get("name"), MAX_TITLE_LENGTH),
            name=key if isinstance(key, str) and _KEY.fullmatch(key) and key.upper() != ticket.upper() else None,
        )
        return replace(answer, is_requesters=self._is_theirs(calls, ticket, fields, requester, is_open=answer.is_open))

    def _is_theirs(
        self, calls: TimedCalls, ticket: str, fields: Mapping[str, object], requester: SoughtPerson, *, is_open: bool
    ) -> bool | None:
        wanted = self._identity(requester)
        if not wanted.accounts and not wanted.emails:
            return None
        involved = [self._person(_dict(fields, role)) for role in ("assignee", "reporter") if _dict(fields, role)]
        mentioned = frozenset(self._mentions(fields.get("description")))
        if (said := self._judge(wanted, involved, mentioned)) or not is_open:
            return said
        # Only before the answer is no: who is named in a comment was asked for help.
        more = self._read(self._get(calls, f"{quote(ticket, safe='')}/comment?{_COMMENTS}"))
        comments = more.get("comments") if isinstance(more, Mapping) else None
        if not isinstance(more, Mapping) or not isinstance(comments, list):
            return None
        bodies = (each.get("body") for each in comments if isinstance(each, dict))
        said = self._judge(wanted, involved, mentioned.union(*(self._mentions(each) for each in bodies)))
        # Older comments, which aren't read, may mention them.
        return said if said or more.get("total") == len(comments) else None

    def _judge(self, wanted: _Person, involved: list[_Person], mentioned: frozenset[str]) -> bool | None:
        """True when one of them is the person; None when one may be: Jira hides addresses whose owners want it so."""
        if wanted.accounts & mentioned:
            return True
        if any(each.accounts & wanted.accounts or each.emails & wanted.emails for each in involved):
            return True
        if wanted.accounts:
            return False
        is_certain = not mentioned and all(each.emails for each in involved)
        return False if is_certain else None

    def _identity(self, requester: SoughtPerson) -> _Person:
        named = requester.mapped or ""
        emails = {each.casefold() for each in (named, requester.email or "") if "@" in each}
        return _Person(frozenset({self._folded(named)} if named and "@" not in named else ()), frozenset(emails))

    def _person(self, found: Mapping[str, object]) -> _Person:
        names = (found.get(name) for name in (("accountId",) if self._email is not None else ("name", "key")))
        email = found.get("emailAddress")
        return _Person(
            frozenset(self._folded(each) for each in names if isinstance(each, str) and each),
            frozenset({email.casefold()} if isinstance(email, str) and "@" in email else ()),
        )

    def _mentions(self, text: object) -> Iterator[str]:
        """Who is mentioned in a text: in a document by nodes of the type `mention`, in wiki markup as `[~name]`."""
        if isinstance(text, str):
            yield from (self._folded(each) for each in _WIKI_MENTION.findall(text))
            return
        waiting: list[object] = [text]
        while waiting:
            node = waiting.pop()
            if isinstance(node, list):
                waiting += node
            elif isinstance(node, dict):
                named = _dict(node, "attrs").get("id")
                if node.get("type") == "mention" and isinstance(named, str):
                    yield self._folded(named)
                waiting.append(node.get("content"))

    def _folded(self, account: str) -> str:
        # Account ids of the Cloud are exact; Data Center takes user names in any case.
        return account if self._email is not None else account.casefold()

    def _get(self, calls: TimedCalls, path: str) -> HttpAnswer | NoAnswer:
        headers = {"accept": "application/json", "user-agent": "Countersign", "authorization": self._sign_in()}
        # The site was checked when the policy was read.
        return calls.ask(Request(f"{self._api}/{path}", headers=headers), MAX_BYTES)  # noqa: S310

    def _sign_in(self) -> str:
        token = self._token.get_secret_value()
        if self._email is None:
            return f"Bearer {token}"
        return f"Basic {base64.b64encode(f'{self._email}:{token}'.encode()).decode()}"

    def _read(self, answer: HttpAnswer | NoAnswer) -> Mapping[str, object] | TicketUnknown | TicketUnchecked:
        if isinstance(answer, NoAnswer):
            return TicketUnchecked(f"{self._name} gave no answer ({answer.why})")
        reason = answer.headers.get("x-seraph-loginreason", "").upper()
        if answer.status == HTTPStatus.UNAUTHORIZED or any(each in reason for each in _NOT_SIGNED_IN):
            return TicketUnchecked(f"{self._name} doesn't accept Countersign's token")
        if answer.status == HTTPStatus.FORBIDDEN:
            return TicketUnchecked(f"{self._name} doesn't let Countersign's account look at issues")
        found = _read_object(answer.body)
        if answer.status == HTTPStatus.NOT_FOUND and found is not None and "errorMessages" in found:
            return TicketUnknown()
        if answer.status == HTTPStatus.OK and found is not None:
            return found
        wait = answer.retry_after
        return TicketUnchecked(
            f"{self._name} answered {answer.status}{'' if found is not None else ', not as Jira'}", wait
        )


def _read_object(body: bytes) -> Mapping[str, object] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _dict(found: Mapping[str, object], name: str) -> Mapping[str, object]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}
