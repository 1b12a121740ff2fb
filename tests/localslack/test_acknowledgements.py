"""How long an acknowledgement may take: Slack's three seconds, as long as nobody asks for another limit."""

from __future__ import annotations

import pytest

from localslack.acknowledgements import failure_of
from localslack.app_transport import Reply
from localslack.limits import ACKNOWLEDGE_SECONDS
from localslack.server import LocalSlack


@pytest.mark.parametrize(("seconds", "failure"), [(0.2, None), (0.3, "operation_timeout")])
def test_answer_that_trickles_in_counts_by_its_end(seconds: float, failure: str | None) -> None:
    # A connection's own timeout begins anew with every byte.
    assert failure_of(Reply(200, "", "", seconds), 0.2) == failure


@pytest.mark.parametrize(("asked", "granted"), [(None, ACKNOWLEDGE_SECONDS), (10.0, 10.0)])
def test_limit_is_slacks_unless_another_is_given(asked: float | None, granted: float) -> None:
    slack = LocalSlack(timeout_seconds=asked)
    try:
        assert slack.socket_mode.timeout_seconds == granted
    finally:
        slack.stop()
