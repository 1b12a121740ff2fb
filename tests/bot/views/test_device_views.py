"""Forms, lists and notices about terminals: valid at their longest, with the machine's own words as plain text."""

from __future__ import annotations

import pytest

from bot.views.access.cloudtrail import activity_blocks
from bot.views.access.list import AccessListKind, AccessRow, access_list_page
from bot.views.break_glass.follow_up_forms import review_form
from bot.views.devices import notices
from bot.views.devices.list import device_page
from bot.views.devices.pairing import code_form, pair_form
from bot.views.devices.replies import device_disowned, pairing_refused, terminal_paired
from bot.views.pagination import PER_PAGE
from bot.views.request.list import ListKind, RequestRow, list_page
from bot.views.timeline import request_timeline
from core.access.device import DeviceStatus
from core.access.summary import summarize
from core.clock import new_id
from core.services.device_ending import EndedDevice
from core.services.timeline import RequestTimeline
from localslack.block_kit import check_message_blocks, check_view
from tests.bot.views.samples import AGENT, HOUR, NAME, a_device, a_grant, a_pairing, a_session, an_activity
from tests.bot.views.test_break_glass_card import shut
from tests.bot.views.test_request_card import pending
from tests.harness.clock import A_MOMENT

ACCESS = summarize([a_grant()], A_MOMENT)
assert ACCESS is not None
ENDED = EndedDevice(a_device(), (a_session(),) * 9, (pending(),) * 9, (ACCESS.source,), ("p" * 300,) * 9)
MESSAGES = {
    "new device": notices.new_device(a_device()),
    "disowned": notices.disowned(a_device(status=DeviceStatus.REVOKED)),
    "ended by another": notices.ended_by_another(a_device(status=DeviceStatus.REVOKED)),
    "issued": notices.credentials_issued(a_session()),
    "revoked": notices.session_revoked(a_session()),
    "failing": notices.deny_failing(a_session(), "p" * 900),
    "paired": terminal_paired(a_pairing()),
    "refused": pairing_refused(a_pairing()),
    "devices": device_page([a_device(each) for each in range(PER_PAGE)], page=2, has_more=True, now=A_MOMENT),
    "stranger": device_disowned(ENDED, [ACCESS], A_MOMENT, has_alarm=True),
    "live": access_list_page(
        AccessListKind.LIVE,
        [AccessRow(ACCESS, may_revoke=True, sessions=[a_session()] * 9)] * PER_PAGE,
        page=2, has_more=True, now=A_MOMENT,
    ),
    "mine": list_page(
        ListKind.MINE,
        [RequestRow(pending().replace(id=new_id()), sessions=[a_session()] * 9) for _ in range(PER_PAGE)],
        page=2, has_more=True, now=A_MOMENT,
    ),
    "timeline": request_timeline(RequestTimeline(pending(), (), (), {}, tuple(map(an_activity, range(8))))),
}  # fmt: skip
VIEWS = {
    "code": code_form(),
    "pair": pair_form(a_pairing(), 12 * HOUR),
    "review": review_form(shut(), [an_activity(each) for each in range(8)]),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_longest_message_is_valid(name: str) -> None:
    check_message_blocks(list(MESSAGES[name].blocks))


@pytest.mark.parametrize("name", VIEWS)
def test_longest_form_is_valid(name: str) -> None:
    check_view(VIEWS[name], "modal")


def test_words_of_a_machine_mention_nobody() -> None:
    for message in MESSAGES.values():
        assert all(each not in text for text in _mrkdwn([*message.blocks]) for each in (NAME, AGENT, "<!channel>"))
        assert "<!channel>" not in message.text
    for view in VIEWS.values():
        assert all("<!channel>" not in text for text in _mrkdwn(view["blocks"]))


def test_query_is_shown_whole_or_not_at_all() -> None:
    activity = [an_activity(each) for each in range(8)]
    text = " ".join(_mrkdwn(activity_blocks(activity, "0" * 16)))

    assert "prints what isn't shown here" in text
    assert text.count("ORDER BY eventtime```") == text.count("```SELECT") >= 1
    assert "prints what" not in " ".join(_mrkdwn(activity_blocks(activity[:1], "0" * 16)))
    assert activity_blocks([], "0" * 16) == []


def test_button_is_drawn_only_while_it_works() -> None:
    assert notices.NOT_ME in str(notices.new_device(a_device()).blocks)
    assert notices.NOT_ME not in str(notices.new_device(a_device(status=DeviceStatus.REVOKED)).blocks)


def _mrkdwn(blocks: object) -> list[str]:
    if isinstance(blocks, dict):
        own = [str(blocks["text"])] if blocks.get("type") == "mrkdwn" else []
        return own + [text for each in blocks.values() for text in _mrkdwn(each)]
    if isinstance(blocks, list | tuple):
        return [text for each in blocks for text in _mrkdwn(each)]
    return []
