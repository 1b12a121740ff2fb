"""Which connections make room for others, and how many bytes wait for their signature."""

from __future__ import annotations

import pytest

from bot.observability.metrics import TurnedAway
from bot.transport.connections import ConnectionLimits, ConnectionTable, site_of
from bot.transport.file_limit import MAX_CONNECTIONS, connections_for


class Caller:
    """A connection that notes why it was refused."""

    def __init__(self, table: ConnectionTable, site: str = "192.0.2.1", *, is_answering: bool = False) -> None:
        self._table = table
        self.site = site
        self.is_answering = is_answering
        self.refused_for: TurnedAway | None = None

    def refuse(self, reason: TurnedAway) -> None:
        self.refused_for = reason
        self._table.remove(self)


def new_table(connections: int = 4, per_address: int = 4, unverified_bytes: int = 100) -> ConnectionTable:
    return ConnectionTable(ConnectionLimits(connections, per_address, unverified_bytes))


def add(table: ConnectionTable, site: str = "192.0.2.1", *, is_verified: bool = False) -> Caller:
    caller = Caller(table, site)
    table.add(caller)
    if is_verified:
        table.verify(caller)
    return caller


def refused(callers: list[Caller]) -> list[int]:
    return [number for number, each in enumerate(callers) if each.refused_for is not None]


class TestTable:
    def test_never_holds_more_than_its_limit(self) -> None:
        table = new_table()
        callers = [add(table) for _ in range(50)]

        assert len(table) == 4
        assert refused(callers) == list(range(46))

    def test_keeps_verified_ones_and_closes_the_oldest_other(self) -> None:
        table = new_table()
        verified = [add(table, is_verified=True) for _ in range(2)]
        callers = [add(table) for _ in range(5)]

        assert refused(verified) == []
        assert refused(callers) == [0, 1, 2]

    def test_closes_the_verified_one_idle_longest_last(self) -> None:
        table = new_table()
        callers = [add(table, is_verified=True) for _ in range(4)]
        table.verify(callers[0])
        callers[1].is_answering = True
        newest = add(table)

        assert refused([*callers, newest]) == [2]

    def test_refuses_the_newest_if_all_others_are_answered(self) -> None:
        table = new_table()
        callers = [add(table, is_verified=True) for _ in range(4)]
        for each in callers:
            each.is_answering = True
        newest = add(table)

        assert refused([*callers, newest]) == [4]
        assert len(table) == 4

    def test_bounds_each_address_while_there_is_room(self) -> None:
        table = new_table(connections=10, per_address=2)
        quiet = add(table, "192.0.2.2")
        callers = [add(table) for _ in range(5)]

        assert refused(callers) == [0, 1, 2]
        assert refused([quiet]) == []

    def test_bounds_no_address_whose_requests_are_verified(self) -> None:
        # A load balancer is one address for all of Slack.
        table = new_table(connections=10, per_address=2)
        callers = [add(table, is_verified=True) for _ in range(9)]

        assert refused(callers) == []

    def test_bounds_all_unverified_bytes_together(self) -> None:
        table = new_table()
        small, large, last = add(table), add(table), add(table)
        table.hold(small, 30)
        table.hold(large, 60)
        table.hold(last, 20)

        assert refused([small, large, last]) == [1]
        assert table.unverified_bytes == 50

    def test_frees_the_bytes_of_what_is_verified_or_gone(self) -> None:
        table = new_table()
        first, second = add(table), add(table)
        table.hold(first, 60)
        table.verify(first)
        table.hold(second, 70)
        assert table.unverified_bytes == 70
        table.remove(second)
        table.remove(second)
        assert table.unverified_bytes == 0
        assert refused([first, second]) == []


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        (None, ""),
    ],
)
def test_site_is_an_ipv4_address_or_a_customers_network(host: str | None, site: str) -> None:
    assert site_of(host) == site


@pytest.mark.parametrize(
    ("files", "connections"), [(1, 1), (256, 64), (1024, 640), (1384, 1000), (1_000_000, MAX_CONNECTIONS)]
)
def test_connections_leave_files_for_the_bot_itself(files: int, connections: int) -> None:
    assert connections_for(files) == connections
