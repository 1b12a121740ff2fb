"""What people type to end, extend, revoke and see access: every form, and every mistake with the line to send."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.interactions.commands.access import AccessCommand, parse_access
from bot.interactions.commands.open_access import (
    EndAccess,
    ExtendAccess,
    NamedAccess,
    RevokeAccess,
    RevokePerson,
    ShowLive,
)
from bot.views.request.form import RequestDraft
from core.actor import ProfileName, UserId
from core.errors import InvalidInput

ID = "0123456789abcdef"
REQUEST, EVENT = f"REQUEST#{ID}", f"BREAKGLASS#{ID}"
PROD = NamedAccess(ProfileName("prod"))
EITHER = NamedAccess(ProfileName(ID), (REQUEST, EVENT))
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("live", ShowLive()),
        ("LIVE 3", ShowLive(3)),
        ("end", EndAccess(NamedAccess())),
        ("end prod", EndAccess(PROD)),
        ("End `prod`", EndAccess(PROD)),
        (f"end {ID}", EndAccess(EITHER)),
        (f"end `{ID.upper()}`", EndAccess(NamedAccess(ProfileName(ID.upper()), (REQUEST, EVENT)))),
        (f"end request#{ID}", EndAccess(NamedAccess(sources=(REQUEST,)))),
        (f"end BREAKGLASS#{ID}", EndAccess(NamedAccess(sources=(EVENT,)))),
        ("extend", ExtendAccess(NamedAccess())),
        ("extend prod", ExtendAccess(PROD)),
        ("extend 2h", ExtendAccess(NamedAccess(), 2 * HOUR)),
        ("extend 2 h to finish", ExtendAccess(NamedAccess(), 2 * HOUR, "to finish")),
        ("extend prod for 90m", ExtendAccess(PROD, 1.5 * HOUR)),
        ("extend prod 2h the migration  is *slow*", ExtendAccess(PROD, 2 * HOUR, "the migration  is *slow*")),
        ("extend prod the migration is slow", ExtendAccess(PROD, None, "the migration is slow")),
        ("extend prod 3 more tables", ExtendAccess(PROD, None, "3 more tables")),
        (f"extend {ID} 1h", ExtendAccess(EITHER, HOUR)),
        (f"revoke {ID} the incident is over", RevokeAccess((REQUEST, EVENT), "the incident is over")),
        (f"revoke `BreakGlass#{ID.upper()}`  it is over ", RevokeAccess((EVENT,), "it is over")),
        ("revoke <@U0ANN> &lt;left&gt; us", RevokePerson(UserId("U0ANN"), "<left> us")),
        ("REVOKE  <@W0ANN|ann.smith>  left,\nsee <@U0BEN|ben>", RevokePerson(UserId("W0ANN"), "left,\nsee @ben")),
        ("revoke U0ANN left us", RevokePerson(UserId("U0ANN"), "left us")),
        ("revoke @U0ANN left us", RevokePerson(UserId("U0ANN"), "left us")),
        ("live 2h a profile of that name", RequestDraft(("live",), 2 * HOUR, "a profile of that name")),
        ("end 2h a profile of that name", RequestDraft(("end",), 2 * HOUR, "a profile of that name")),
    ],
)
def test_valid_line_about_open_access_is_understood(text: str, command: AccessCommand) -> None:
    assert parse_access(text) == command


@pytest.mark.parametrize(
    ("text", "field", "problem", "fix"),
    [
        ("liv", "text", "`liv` isn't a command", "Send this instead:\n`/access live`"),
        ("revok", "text", "`revok` isn't a command", "`/access revoke`"),
        (f"revok {ID} it is over", "text", "`revok` isn't a command", f"`/access revoke {ID} it is over`\nTo request"),
        ("extnd", "text", "`extnd` isn't a command", "`/access extend`"),
        ("live all", "page", "`all` isn't a page number", "`/access live 2`"),
        ("end prod I am done", "text", "only a profile or an id", "Send this instead:\n`/access end prod`"),
        ("end <#C0OPS|ops>", "profile", "'#ops' is not a profile's name", "`/access end`"),
        (f"end grant#{ID}", "profile", "is not a profile's name", "`/access end`"),
        ("extend prod 0h", "duration", "no time at all", "`/access extend prod 2h`"),
        (f"extend prod {'x' * 501}", "justification", "can't be used: it has 501 characters", "Shorten it to 500"),
        ("revoke", "id", "what to revoke, and the reason, are missing", f"`/access revoke {ID} the incident is over`"),
        (f"revoke {ID}", "reason", "the reason is missing", f"`/access revoke {ID} the incident is over`"),
        ("revoke <@U0ANN|ann>", "reason", "the reason is missing", "`/access revoke U0ANN the incident is over`"),
        ("revoke @ann left us", "person", "Slack didn't say who `@ann` is", "Choose the person from the list"),
        ("revoke &lt;@U0ANN&gt; left us", "id", "`<@U0ANN>` is neither an id nor a person", f"{ID} left us`"),
        ("revoke <#C0OPS|ops> closed", "id", "`#ops` is neither an id nor a person", f"{ID} closed`"),
        ("revoke <!subteam^S0SRE|@sre> closed", "person", "Slack didn't say who `@sre` is", "Choose the person"),
        ("revoke prod it is over", "id", "`prod` is neither an id nor a person", f"{ID} it is over`"),
        (f"revoke grant#{ID} it is over", "id", "is neither an id nor a person", "Copy the id from the card"),
        (f"revoke {ID} {'x' * 501}", "reason", "this reason can't be used: it has 501 characters", "Shorten it to 500"),
        (f"revoke {ID} x", "reason", "this reason can't be used: it has 1 characters", "Write at least 3"),
    ],
)
def test_mistake_about_open_access_names_the_line(text: str, field: str, problem: str, fix: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_access(text)

    assert caught.value.field == field
    assert problem in caught.value.problem
    assert fix in caught.value.fix


PIECES = st.sampled_from(
    [
        "prod",
        "2h",
        "2",
        "h",
        "for",
        ID,
        REQUEST,
        "#",
        "`",
        "<@U0ANN|ann>",
        "<@",
        "&lt;@U0ANN&gt;",
        "@ann",
        "U0ANN",
        "\0",
    ]
)


@given(st.sampled_from(["live", "end", "extend", "revoke"]), st.lists(PIECES | st.text(max_size=5), max_size=6))
def test_any_line_about_open_access_is_answered(keyword: str, words: list[str]) -> None:
    with suppress(InvalidInput):
        command = parse_access(" ".join([keyword, *words]))
        if isinstance(command, RevokePerson):
            # Nobody is named by what merely looks like a mention.
            typed = {word.strip("`").removeprefix("@") for word in " ".join(words).split()}
            assert command.person in typed or "<@U0ANN|ann>" in words
