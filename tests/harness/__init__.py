"""What the tests and the benchmarks run against: databases, a failing network, a clock that stands still.

Invariant: every engine is real software on a loopback port, started and stopped here; none asks for an account.
"""
