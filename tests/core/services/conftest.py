"""What the tests of the services share.

Invariant: the services of one test share its SQLite file and its frozen clock.
"""

from __future__ import annotations

import pytest

from core.break_glass import BreakGlassEvent
from core.request import Request
from core.services import BreakGlassService, GrantService, RequestService
from core.services.pacing import RETRY_SECONDS
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.access_harness import KnownPrincipals, Targets
from tests.core.services.harness import DEPLOY, EVE, RITA, ChangingPolicy, Disturbance, DisturbedStores, invoke
from tests.harness.clock import FrozenClock
from tests.harness.directory import OfficeDirectory
from tests.harness.pacing import PacedTime


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy that the test may edit."""
    return ChangingPolicy()


@pytest.fixture
def directory() -> OfficeDirectory:
    """Who is in which user group."""
    return OfficeDirectory({"S0ENGINEERS": [EVE.id]})


@pytest.fixture
def principals() -> KnownPrincipals:
    """Who people are at the targets."""
    return KnownPrincipals()


@pytest.fixture
def requests(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory, principals: KnownPrincipals
) -> RequestService:
    """The service of one instance."""
    return RequestService(stores, policy, clock, directory=directory, principals=principals)


@pytest.fixture
def break_glass(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory, principals: KnownPrincipals
) -> BreakGlassService:
    """The service of one instance."""
    return BreakGlassService(stores, policy, clock, directory=directory, principals=principals)


@pytest.fixture
def grants(stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory) -> GrantService:
    """The service of one instance."""
    return GrantService(stores, policy, clock, directory=directory)


@pytest.fixture
def targets(stores: Stores, clock: FrozenClock) -> Targets:
    """The targets, and who gives and takes there."""
    return Targets(stores, clock)


@pytest.fixture
def disturbance() -> Disturbance:
    """What happens right before the next writes of the disturbed services."""
    return Disturbance()


@pytest.fixture
def paced_time() -> PacedTime:
    """The time by which disturbed services try again."""
    return PacedTime()


@pytest.fixture
def disturbed_requests(
    stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    directory: OfficeDirectory,
    disturbance: Disturbance,
    paced_time: PacedTime,
) -> RequestService:
    """The service of an instance on which others are quicker."""
    disturbed, pacing = DisturbedStores(stores, disturbance), paced_time.pacing(RETRY_SECONDS)
    return RequestService(disturbed, policy, clock, directory=directory, pacing=pacing)


@pytest.fixture
def disturbed_break_glass(
    stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    directory: OfficeDirectory,
    disturbance: Disturbance,
    paced_time: PacedTime,
) -> BreakGlassService:
    """The service of an instance on which others are quicker."""
    disturbed, pacing = DisturbedStores(stores, disturbance), paced_time.pacing(RETRY_SECONDS)
    return BreakGlassService(disturbed, policy, clock, directory=directory, pacing=pacing)


@pytest.fixture
def pending(requests: RequestService) -> Request:
    """RITA's request for prod, which needs two approvals."""
    return requests.submit(RITA, "prod", 2 * HOUR, DEPLOY)


@pytest.fixture
def single(requests: RequestService) -> Request:
    """RITA's request for staging, which needs one approval within two hours."""
    return requests.submit(RITA, "staging", HOUR, DEPLOY)


@pytest.fixture
def live(break_glass: BreakGlassService) -> BreakGlassEvent:
    """ANN's live event for prod, for an hour."""
    return invoke(break_glass)
