"""What a rule makes of a ticket: which one a request is for, and whether it lets the request go on.

Invariant: nothing is guessed: of several tickets none is chosen. A ticket that isn't known to be open, and the
requester's own where the rule wants that, approves nothing automatically.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.errors import InvalidInput
from core.policy.decision import Condition, Decision, RequestDecision, decide
from core.policy.rules import PolicyDocument
from core.policy.ticket_config import IfUnreachable, TicketConfig, WhoseTicket
from core.tickets.base import TicketAnswer, TicketFound, TicketUnchecked, TicketUnknown

TICKET: Final = "ticket"
"""The name of the condition, and of the form's field."""
JIRA: Final = "jira"
"""Where the policy's table of people says who they are in Jira."""
_MAX_SHOWN: Final = 80
_MAX_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class TicketRules:
    """Judges tickets by one policy version."""

    document: PolicyDocument
    digest: str

    def config_of(self, rule: str | None) -> TicketConfig | None:
        """The ticket that this approval rule asks for; None if it asks for none, or is gone."""
        found = self.document.approval_rule(rule) if rule is not None else None
        return found.ticket if found is not None else None

    def link(self, rule: str, ticket: str | None) -> str | None:
        """Where people can read this ticket of a request under this rule."""
        config = self.config_of(rule)
        return config.link(ticket) if config is not None and ticket is not None else None

    def is_ticket(self, word: str) -> bool:
        """True when a rule asks for tickets, and this is one by its form."""
        return any(each.ticket.matches(word) for each in self.document.approval if each.ticket is not None)

    def judge(self, action: str, rule: str, ticket: str, requester: str, found: TicketFound | None) -> Decision:
        """May a request with this ticket go on? `found` is what its check said; None where there is none.

        What can't be checked now is met or not as the rule says.
        """
        return decide(action, rule, self.conditions(rule, ticket, requester, found), self.digest)

    def conditions(self, rule: str, ticket: str, requester: str, found: TicketFound | None) -> tuple[Condition, ...]:
        """The conditions of a request with this ticket; none where the rule asks for no ticket."""
        config = self.config_of(rule)
        if config is None:
            return ()
        if not config.matches(ticket):
            return (_condition(is_met=False, text=_not_of_form(ticket, config)),)
        is_met, text = _judge(config, ticket, requester, found)
        return (_condition(is_met=is_met, text=text),)

    def join(
        self, decision: RequestDecision, ticket: str | None, requester: str, found: TicketFound | None
    ) -> RequestDecision:
        """The decision about a request, with what its ticket makes of it; the same where the rule asks for none."""
        config = self.config_of(decision.rule)
        if config is None or not decision.is_allowed:
            return decision
        if ticket is None:
            needed = _condition(is_met=False, text=f"rule {decision.rule} asks for a ticket like {config.example}")
            return decision.join((needed,))
        more = self.conditions(decision.rule or "", ticket, requester, found)
        return decision.join(more, self.judge_automatic(decision.rule, ticket, found))

    def judge_automatic(self, rule: str | None, ticket: str, found: TicketFound | None) -> tuple[Condition, ...]:
        """May it be approved without people, as far as its ticket goes? Nothing where the rule asks for no ticket."""
        config = self.config_of(rule)
        if config is None:
            return ()
        is_theirs = isinstance(found, TicketAnswer) and (config.whose is WhoseTicket.ANYONE or found.is_requesters)
        if isinstance(found, TicketAnswer) and found.is_open and is_theirs:
            return (_condition(is_met=True, text=f"the check of {ticket} was good"),)
        what = "open" if config.whose is WhoseTicket.ANYONE else "open, and the requester's"
        return (_condition(is_met=False, text=f"{ticket} isn't known to be {what}"),)


def is_checked_in_jira(document: PolicyDocument) -> bool:
    """True when a rule checks tickets in Jira, so that people have names there."""
    checks = (rule.ticket.check for rule in document.approval if rule.ticket is not None)
    return any(check is not None and check.jira is not None for check in checks)


def find_ticket(config: TicketConfig, given: str | None, justification: str) -> str:
    """The ticket that a request is for: what was given as one, or else the one that the reason names.

    Raises InvalidInput when there is none, more than one, or one of another form.
    """
    example = config.example
    if given is not None and given.strip():
        found = config.find(given)
        if not found:
            raise InvalidInput(TICKET, _not_of_form(given.strip(), config), f"Write it like {example}.")
    else:
        found = config.find(justification)
        if not found:
            problem = "this needs a ticket, and none was named"
            raise InvalidInput(TICKET, problem, f"Name one like {example}, in the reason or as the ticket.")
    if len(found) > 1:
        named = ", ".join(found[:_MAX_NAMED])
        raise InvalidInput(TICKET, f"there are several tickets: {named}", "Name the one that it is for as the ticket.")
    return found[0]


def _judge(config: TicketConfig, ticket: str, requester: str, found: TicketFound | None) -> tuple[bool, str]:
    match found:
        case TicketAnswer():
            problem = _find_problem(config, ticket, requester, found)
            whose = f", and a ticket of {requester}" if found.is_requesters else ""
            return problem is None, problem or f"{ticket} is open{whose}"
        case TicketUnknown():
            return False, f"there is no ticket {ticket} that Countersign can see"
        case TicketUnchecked(problem):
            return config.if_unreachable is IfUnreachable.WARN, f"{ticket} couldn't be checked: {problem}"
    return True, f"{ticket} is a ticket by its form"


def _find_problem(config: TicketConfig, ticket: str, requester: str, found: TicketAnswer) -> str | None:
    if found.name is not None and not config.matches(found.name):
        return f"{ticket} was moved and is {found.name} now, which isn't a ticket like {config.example}"
    if not found.is_open:
        return f"{ticket} is closed{f' ({found.status})' if found.status else ''}"
    if found.is_requesters is False and config.whose is WhoseTicket.REQUESTER:
        return (
            f"{ticket} is somebody else's ticket: it isn't assigned to {requester}, wasn't reported by {requester} and "
            f"doesn't mention {requester}"
        )
    return None


def _not_of_form(ticket: str, config: TicketConfig) -> str:
    return f"{ticket!a:.{_MAX_SHOWN}} isn't a ticket like {config.example}"


def _condition(*, is_met: bool, text: str) -> Condition:
    return Condition(name=TICKET, is_met=is_met, text=text)
