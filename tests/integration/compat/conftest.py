"""Our registry and the Go registry."""

from __future__ import annotations

import pytest

from tests.integration.clients import missing
from tests.integration.servers import Flavour, debian, distribution_v3

GO_REGISTRIES = {"debian": debian, "v3": distribution_v3}


@pytest.fixture(params=GO_REGISTRIES)
def go_registry(request: pytest.FixtureRequest) -> Flavour:
    """Each Go registry that there is: Debian's 2.8, and v3 where DISTRIBUTION_V3 names its program."""
    flavour = GO_REGISTRIES[request.param]()
    if flavour is None:
        missing(f"the Go registry ({request.param})")
    assert flavour is not None
    return flavour
