"""What an approval rule says about tickets: their form, where they are checked, and what holds while that is away.

Invariant: the file never contains a secret. A pattern takes no time to match, and a link leads to the configured https
address only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Self
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, StrictStr, WithJsonSchema, model_validator

from core.errors import InvalidInput
from core.policy.document import PolicyModel, mistake
from core.policy.target_config import Address, SecretSource
from core.targets.web_address import check_web_address
from core.tickets.pattern import MAX_PATTERN_LENGTH, check_pattern, find_tickets, matches, write_example

_TICKET: Final = "{ticket}"
_MAX_ADDRESS_LENGTH: Final = 500
_API_GATEWAY: Final = "api.atlassian.com"
"""Where Jira Cloud takes API tokens with scopes. Nobody can read a ticket there."""


class IfUnreachable(StrEnum):
    """What holds while a ticket can't be checked."""

    REFUSE = "refuse"
    WARN = "warn"


class WhoseTicket(StrEnum):
    """Whose a ticket has to be."""

    REQUESTER = "requester"
    ANYONE = "anyone"


def _check_pattern(text: str) -> str:
    try:
        return check_pattern(text)
    except InvalidInput as error:
        raise mistake(f"{text!r:.60} can't be the form of a ticket: {error.problem}", error.fix) from error


def _check_link(text: str) -> str:
    if text.count(_TICKET) != 1:
        raise mistake("this address doesn't say where the ticket goes", f"Write {_TICKET} in it, once.")
    _check_plain_address(text.replace(_TICKET, "x"), "https://tickets.example.com/{ticket}")
    if _TICKET in (urlsplit(text).netloc or _TICKET):
        raise mistake("the ticket can't be part of the host", f"Write {_TICKET} after the host.")
    return text


def _check_site(text: str) -> str:
    _check_plain_address(text, "https://example.atlassian.net")
    if set(text) & set("?#{}"):
        raise mistake("this is more than the address of a site", "Write it like https://example.atlassian.net.")
    return text.rstrip("/")


def _check_plain_address(text: str, example: str) -> None:
    try:
        check_web_address(text)
    except InvalidInput as error:
        raise mistake(error.problem, f"Write it like {example}.") from error
    if not text.startswith("https://") and urlsplit(text).scheme != "http":
        raise mistake("this can't be a link", f"Write it like {example}.")
    if len(text) > _MAX_ADDRESS_LENGTH or set(text) & set('|<>"\\^` '):
        raise mistake("this can't be a link", f"Write it like {example}.")


def _check_email(text: str) -> str:
    name, at, host = text.partition("@")
    if not (name and at and "." in host) or not text.isprintable() or set(text) & set(" :") or len(text) > 254:  # noqa: PLR2004
        raise mistake(f"{text!a:.60} is not an e-mail address", "Write that of the account whose token it is.")
    return text


TicketPattern = Annotated[
    StrictStr,
    AfterValidator(_check_pattern),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_PATTERN_LENGTH}),
]
TicketLink = Annotated[
    StrictStr,
    AfterValidator(_check_link),
    WithJsonSchema({"type": "string", "pattern": r"^https?://[^\s|<>]*\{ticket\}[^\s|<>]*$"}),
]
JiraSite = Annotated[
    StrictStr,
    AfterValidator(_check_site),
    WithJsonSchema({"type": "string", "pattern": r"^https?://[^\s?#|<>]+$"}),
]
AccountEmail = Annotated[
    StrictStr,
    AfterValidator(_check_email),
    WithJsonSchema({"type": "string", "pattern": r"^[^\s@:]+@[^\s@:]+$"}),
]


class JiraConfig(PolicyModel):
    """A Jira that tickets are looked up in."""

    site: JiraSite = Field(description="Its address, such as https://example.atlassian.net.")
    email: AccountEmail | None = Field(
        default=None,
        description="Jira Cloud: the account whose API token it is. Left out: Jira Data Center, and token is a "
        "personal access token.",
    )
    token: SecretSource = Field(description="Where the token is: env:NAME or file:/path. Never the token itself.")

    @property
    def is_cloud(self) -> bool:
        """True for Jira Cloud, whose tokens belong to an e-mail address."""
        return self.email is not None

    @property
    def host(self) -> str:
        """The host of the site."""
        return urlsplit(self.site).hostname or self.site


class TicketWebhookConfig(PolicyModel):
    """A receiver of signed questions about tickets."""

    url: Address = Field(description="Where it is asked: https://…, or env:NAME or file:/path if that's a secret.")
    secret: SecretSource = Field(description="Where the secret is: env:NAME or file:/path. Never the secret itself.")


class TicketCheckConfig(PolicyModel):
    """Where tickets are checked: exactly one of these."""

    jira: JiraConfig | None = Field(default=None, description="In Jira.")
    webhook: TicketWebhookConfig | None = Field(default=None, description="By a service of your own.")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.jira is None) == (self.webhook is None):
            raise mistake("a ticket is checked in one place", "Write exactly one of jira and webhook.")
        return self


class TicketConfig(PolicyModel):
    """The ticket that a request needs."""

    pattern: TicketPattern = Field(description=r"The form of a ticket, such as INC-\d+; all of the ticket matches it.")
    url: TicketLink | None = Field(
        default=None,
        description="Where a ticket can be read, such as https://tickets.example.com/{ticket}. Left out: its page in "
        "Jira, if it is checked there.",
    )
    check: TicketCheckConfig | None = Field(
        default=None, description="Where it is checked that the ticket is open. Left out: nowhere, only its form."
    )
    whose: WhoseTicket = Field(
        default=WhoseTicket.REQUESTER,
        description="Whose it has to be, if the check can tell; the requester's if left out.",
    )
    if_unreachable: IfUnreachable = Field(
        default=IfUnreachable.REFUSE,
        description="What holds while it can't be checked: refuse, or warn on the card; refuse if left out.",
    )

    @property
    def example(self) -> str:
        """A ticket of this form, for people to see what is meant."""
        return write_example(self.pattern)

    def matches(self, ticket: str) -> bool:
        """True when this is a ticket by its form."""
        return matches(self.pattern, ticket)

    def find(self, text: str) -> tuple[str, ...]:
        """The tickets that a text names, each once."""
        return find_tickets(self.pattern, text)

    def link(self, ticket: str) -> str | None:
        """Where people can read this ticket; None if the policy doesn't say, or it isn't one by its form."""
        template = self.url or self._jira_link()
        if template is None or not template.startswith("https://") or not self.matches(ticket):
            return None
        return template.replace(_TICKET, quote(ticket, safe=""))

    def _jira_link(self) -> str | None:
        jira = self.check.jira if self.check is not None else None
        return f"{jira.site}/browse/{_TICKET}" if jira is not None and jira.host != _API_GATEWAY else None
