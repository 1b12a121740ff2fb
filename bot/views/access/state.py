"""The state of access on cards and in lists: opening, open, closing, closed, or why it could not be opened.

Invariant: what is shown is what the target confirmed, and never more. What other systems said is plain text, and a line
before it says whose words they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.slack.app_surface import ACCESS
from bot.views.access.rights import count_rights, right_names, target_names
from bot.views.access.way_in import WayIn, way_in_blocks
from bot.views.block_kit import Block, code, countdown, mention, moment, mrkdwn, user_text
from core.access.grant_status import AccessPhase
from core.access.summary import AccessSummary
from core.actor import CLOCK

MAX_FALLBACKS: Final = 3
TEAM_PROCEDURE: Final = "Follow your team's procedure for emergencies without Countersign, and tell the security team."


def state_blocks(
    access: AccessSummary,
    now: datetime,
    *,
    way_in: WayIn | None = None,
    fallbacks: Sequence[str] = (),
    names_who_ended: bool = True,
) -> list[Block]:
    """The state on a card. `names_who_ended`: the card doesn't say elsewhere who ended it early, and why."""
    reason = _reason(access) if names_who_ended else None
    blocks = [mrkdwn(f"{_headline(access, names_who_ended=names_who_ended)}{_colon(reason)}")]
    blocks += [user_text(reason)] if reason is not None else []
    blocks += refusal_blocks(access, fallbacks)
    more = [*standing_lines(access), *residue_lines(access, now)]
    blocks += [mrkdwn("\n".join(more))] if more else []
    return [*blocks, *way_in_blocks(way_in)] if access.phase is AccessPhase.OPEN else blocks


def state_line(access: AccessSummary, now: datetime) -> str:
    """The state on one line, for lists and the Home tab."""
    until = moment(access.until)
    match access.phase:
        case AccessPhase.SCHEDULED:
            return f":hourglass: Opens {moment(access.starts_at)}, until {until}"
        case AccessPhase.OPENING:
            return f":hourglass_flowing_sand: Opening{_late(access)} · until {until}"
        case AccessPhase.OPEN:
            return f":unlock: Open until {until} · ends {countdown(access.until)}{_partly(access)}"
        case AccessPhase.CLOSING:
            overdue = f":warning: *Overdue*: ended {until}, and isn't removed yet"
            return overdue if access.is_overdue else f":hourglass: Closing · ended {until}"
        case AccessPhase.CLOSED:
            residue = " ".join(residue_lines(access, now))
            return f":lock: {_closed(access)}{f' · {residue}' if residue else ''}"
    return f":x: Could not be opened in {target_names(access.refused)}"


def shows_end(access: AccessSummary | None, ends_at: datetime) -> bool:
    """True when the state says that the access lasts until then, so that nothing else has to."""
    lasting = {AccessPhase.SCHEDULED, AccessPhase.OPENING, AccessPhase.OPEN}
    return access is not None and access.phase in lasting and access.until == ends_at


def state_words(access: AccessSummary) -> str:
    """The state in a few words, for notifications and screen readers."""
    until = moment(access.until)
    match access.phase:
        case AccessPhase.SCHEDULED:
            return f"opens {moment(access.starts_at)}, until {until}"
        case AccessPhase.OPENING:
            return f"opening, until {until}"
        case AccessPhase.OPEN:
            return f"{'partly open' if access.is_partial else 'open'} until {until}"
        case AccessPhase.CLOSING | AccessPhase.CLOSED:
            return _ending_words(access)
    return "could not be opened"


def _ending_words(access: AccessSummary) -> str:
    if access.is_cancelled:
        return "cancelled before it opened"
    if access.phase is AccessPhase.CLOSED:
        return "closed, but what it gave stays" if access.kept else "closed"
    return f"closing, was due to end {moment(access.until)}" if access.is_overdue else "closing"


def state_sentence(access: AccessSummary, what: str = "The access") -> str:
    """The state as a sentence about `what`."""
    is_verb = access.phase in {AccessPhase.SCHEDULED, AccessPhase.FAILED}
    return f"{what} {'' if is_verb else 'is '}{state_words(access)}."


def access_after(access: AccessSummary | None) -> str:
    """What is true of the access of a decision that was ended, in one sentence."""
    if access is None:
        return "The access has ended."
    if access.is_live:
        return "The access is being removed; the card says when it's gone."
    if access.kept:
        return "The access stays: it's also given by another decision, or from elsewhere."
    return "The access is gone." if access.was_open else "The access was never open."


def refusal_blocks(access: AccessSummary, fallbacks: Sequence[str] = (), *, is_for_grantee: bool = True) -> list[Block]:
    """What could not be opened, why, and what to do: the policy's words in an emergency."""
    refused, problem = access.refused, access.problem
    if not refused or problem is None or not _matters(access):
        return []
    # With one right, the line before says already that it could not be opened.
    was = "was" if len(refused) == 1 else "were"
    what = f"{right_names(refused)} {was} not given. " if len(access.rights) > 1 else ""
    blocks = [mrkdwn(f"{what}The target said:"), user_text(problem)]
    return [*blocks, *what_to_do(access, fallbacks, is_for_grantee=is_for_grantee)]


def what_to_do(access: AccessSummary, fallbacks: Sequence[str] = (), *, is_for_grantee: bool = True) -> list[Block]:
    """What to do about access that could not be opened."""
    if not access.is_emergency:
        tell = "Tell the people who run Countersign. When it's fixed,"
        if not is_for_grantee:
            return [mrkdwn(f"{tell} {mention(access.grantee)} can request the access again.")]
        return [mrkdwn(f"{tell} request the access again. Send:\n{code(ACCESS)}")]
    return fallback_blocks(fallbacks)


def fallback_blocks(fallbacks: Sequence[str]) -> list[Block]:
    """What the policy says to do when an emergency gets no access."""
    if not fallbacks:
        return [mrkdwn(TEAM_PROCEDURE)]
    return [mrkdwn("*If it can't wait*, the policy says:"), *(user_text(each) for each in fallbacks[:MAX_FALLBACKS])]


def problem_blocks(problem: str, *, is_all: bool) -> list[Block]:
    """Why rights of an emergency were never asked for. `is_all`: none of them was."""
    what = "*No access was opened*" if is_all else "*Some access was not opened*"
    return [mrkdwn(f":x: {what}:"), user_text(problem)]


def standing_lines(access: AccessSummary, *, to_grantee: bool = False) -> list[str]:
    """What the person had before, from elsewhere, and what other access keeps. `to_grantee` says "you"."""
    standing = access.standing
    person, has = ("You", "have") if to_grantee else (mention(access.grantee), "has")
    kept = tuple(each for each in access.kept if not each.stood_before)
    lines = []
    if standing:
        stays = "It stays when this ends." if access.is_live else "It stays."
        what = right_names(standing) if len(standing) < len(access.rights) else "this access"
        lines.append(f"{person} had {what} already, from elsewhere. {stays}")
    if kept:
        what = right_names(kept) if len(kept) < len(access.rights) else "the access"
        lines.append(f"{person} still {has} {what}, by another decision or from elsewhere.")
    return lines


def residue_lines(access: AccessSummary, now: datetime) -> list[str]:
    """How long a session that was open at the end can live on; nothing when none can."""
    if access.phase is not AccessPhase.CLOSED or access.residual_until is None or not access.has_residue(now):
        return []
    since = moment(access.closed_at or access.until)
    still = f"A session that was already open can live until *{moment(access.residual_until)}*."
    return [f"No new sessions since {since}. {still}"]


def _headline(access: AccessSummary, *, names_who_ended: bool) -> str:
    until = moment(access.until)
    match access.phase:
        case AccessPhase.SCHEDULED:
            return f":hourglass: *Opens {moment(access.starts_at)}*, until {until}"
        case AccessPhase.OPENING:
            return f":hourglass_flowing_sand: *Opening*, until {until}{_progress(access)}"
        case AccessPhase.OPEN:
            return f":unlock: *{_open(access)} until {until}* · ends {countdown(access.until)}{_partly(access)}"
        case AccessPhase.CLOSING:
            return f"{_closing(access)}{_by(access) if names_who_ended else ''}"
        case AccessPhase.CLOSED:
            return f":lock: {_closed(access)}{_by(access) if names_who_ended else ''}"
    return f":x: *Could not be opened* in {target_names(access.refused)}"


def _closing(access: AccessSummary) -> str:
    if access.is_cancelled and not access.is_overdue:
        return f":hourglass: *Cancelled* before it opened · {moment(access.until)}"
    where = target_names([each for each in access.rights if each.phase is AccessPhase.CLOSING])
    if access.is_overdue:
        return (
            f":warning: *Closing*: it ended {moment(access.until)}, and isn't removed from {where} yet; "
            "Countersign keeps trying"
        )
    return f":hourglass: *Closing*: it ended {moment(access.until)}, and is being removed from {where}"


def _closed(access: AccessSummary) -> str:
    if access.is_cancelled:
        return f"*Cancelled* before it opened · {moment(access.until)}"
    # What stays is not closed, although this decision gives it no more.
    word = "Ended" if access.is_all_kept else "Closed"
    never = "" if access.was_open else " · it was never open"
    return f"*{word}* · {moment(access.closed_at or access.until)}{never}"


def _by(access: AccessSummary) -> str:
    how = "" if access.is_cancelled else " ended early"
    return f" ·{how}{by_whom(access)}" if access.ended_early is not None and (how or by_whom(access)) else ""


def by_whom(access: AccessSummary) -> str:
    """Who ended it early, with a space before; nothing where no person did."""
    early = access.ended_early
    return f" by {mention(early.by)}" if early is not None and early.by != CLOCK else ""


def _reason(access: AccessSummary) -> str | None:
    early = access.ended_early
    return early.reason if early is not None and not access.is_ended_by_grantee else None


def _colon(reason: str | None) -> str:
    return ":" if reason is not None else ""


def _open(access: AccessSummary) -> str:
    return "Partly open" if access.is_partial else "Open"


def _partly(access: AccessSummary) -> str:
    return f" · {count_rights(len(access.open_rights), len(access.rights))}" if access.is_partial else ""


def _late(access: AccessSummary) -> str:
    return ", which takes longer than usual" if access.is_delayed else ""


def _progress(access: AccessSummary) -> str:
    lines = []
    if access.open_rights:
        lines.append(f"Open so far: {count_rights(len(access.open_rights), len(access.rights))}")
    if access.is_delayed:
        lines.append("It takes longer than usual; Countersign keeps trying")
    return f"\n{'. '.join(lines)}." if lines else ""


def _matters(access: AccessSummary) -> bool:
    """True while people may count on what was refused."""
    return access.phase in {AccessPhase.SCHEDULED, AccessPhase.OPENING, AccessPhase.OPEN, AccessPhase.FAILED}
